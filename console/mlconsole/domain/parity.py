"""Training-serving skew: what two programs made of the same rows, feature by feature."""

from __future__ import annotations

from enum import StrEnum

from mlconsole.records import record


class Sameness(StrEnum):
    """What came of one feature.

    MISSING: serving has no such feature. NEW: training has none, which alone is no failure.
    """

    SAME = "same"
    DIFFERS = "differs"
    MISSING = "missing"
    NEW = "new"


@record
class Difference:
    """One row in which a feature differs: its number from 1, and both values as text, empty for none."""

    row: int
    train: str
    serve: str


@record
class FeatureParity:
    """One feature as training and serving have it.

    Attributes:
        feature: its name.
        sameness: what came of it.
        rows: rows in which it differs.
        largest: the largest difference of two numbers; None where there is none.
        mean: the mean difference over all rows that have two numbers.
        scale: the standard deviation of training's numbers, which differences are measured by; 0 where there is none.
        first: the first row in which it differs.
        is_shuffled: it has the same values on both sides, in other rows.
    """

    feature: str
    sameness: Sameness
    rows: int = 0
    largest: float | None = None
    mean: float | None = None
    scale: float = 0.0
    first: Difference | None = None
    is_shuffled: bool = False


@record
class Parity:
    """Two programs on the same rows; the features stand in training's order, behind them those it does not have.

    ``is_shuffled``: both made the same rows of the features that both have, and not in the same order.
    """

    source: str
    train: str
    serve: str
    rows_train: int
    rows_serve: int
    features: tuple[FeatureParity, ...]
    tolerance: float
    is_shuffled: bool = False

    @property
    def first(self) -> FeatureParity | None:
        """The first feature that is not the same: those behind it may be made from it.

        One that has the same values in other rows comes after one that has not.
        """
        bad = (Sameness.DIFFERS, Sameness.MISSING)
        found = [one for one in self.features if one.sameness in bad]
        return next((one for one in found if not one.is_shuffled), found[0] if found else None)

    @property
    def failed(self) -> bool:
        """True when serving does not have what training had."""
        return self.first is not None or self.rows_train != self.rows_serve
