"""Two tables compared row by row and feature by feature, in pieces: the same rows, made by two programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlconsole.domain.drift import Kind
from mlconsole.domain.parity import Difference, FeatureParity, Sameness
from mlconsole.drift.table import Table

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

MOST_TEXT = 200
SEED = 20_121
SINGLE = 1.2e-7
"""What a number loses of itself in 32 bits, twice over: no more is ever the same in a program that serves in them."""


class _Values:
    """What both sides held, whatever its order: the sums of digests."""

    def __init__(self) -> None:
        self.sums = [0, 0]

    def add(self, *digests: pl.Series) -> None:
        """Take in digests of as many values of both."""
        for side, one in enumerate(digests):
            self.sums[side] += int(one.to_numpy().sum())

    @property
    def are_same(self) -> bool:
        """True when both held the same."""
        return self.sums[0] % 2**64 == self.sums[1] % 2**64


class _Feature:
    """What was seen of one feature so far."""

    def __init__(self, name: str, scale: float, tolerance: float) -> None:
        self.name, self.scale, self.tolerance = name, scale, tolerance
        self.rows = self.pairs = 0
        self.total = 0.0
        self.largest: float | None = None
        self.first: Difference | None = None
        self.values = _Values()

    def add(self, start: int, train: pl.DataFrame, serve: pl.DataFrame) -> None:
        """Compare the feature in rows that begin with number ``start``, from 0."""
        import numpy as np

        ours, theirs = train[self.name], serve[self.name]
        self.values.add(ours.hash(SEED), theirs.hash(SEED))
        differs = np.zeros(train.height, dtype=bool)
        if ours.dtype.is_numeric() and theirs.dtype.is_numeric():
            differs = self._numbers(ours, theirs)
        else:
            differs = ~ours.eq_missing(theirs).to_numpy()
        differs |= _wrong(train, self.name) != _wrong(serve, self.name)
        self.rows += int(differs.sum())
        if self.first is None and differs.any():
            place = int(np.argmax(differs))
            self.first = Difference(start + place + 1, _text(ours[place]), _text(theirs[place]))

    def _numbers(self, ours: pl.Series, theirs: pl.Series) -> np.ndarray:
        """Which rows differ; two that are both no number, or both the same infinity, do not."""
        import numpy as np

        nothing = ours.is_null().to_numpy() != theirs.is_null().to_numpy()
        a, b = (one.fill_null(float("nan")).to_numpy() for one in (ours, theirs))
        both = np.isfinite(a) & np.isfinite(b)
        with np.errstate(over="ignore", invalid="ignore"):
            gap = np.where(both, np.abs(a - b), 0.0)
            rounding = min(self.tolerance, SINGLE) * np.maximum(np.abs(a), np.abs(b))
            limit = np.maximum(self.tolerance * self.scale, rounding)
        gap = np.minimum(gap, np.finfo(np.float64).max)
        unlike = ~both & ~((np.isnan(a) & np.isnan(b)) | (a == b))
        count = int(both.sum())
        if count:
            self.largest = max(self.largest or 0.0, float(gap.max()))
            self.total += float((gap / count).sum()) * count
            self.pairs += count
        found: np.ndarray = nothing | unlike | (both & (gap > limit))
        return found

    def result(self) -> FeatureParity:
        """What came of it."""
        mean = min(self.total, 1.7e308) / self.pairs if self.pairs else None
        sameness = Sameness.DIFFERS if self.rows else Sameness.SAME
        is_shuffled = bool(self.rows) and self.values.are_same
        return FeatureParity(self.name, sameness, self.rows, self.largest, mean, self.scale, self.first, is_shuffled)


@dataclass(slots=True)
class Compared:
    """What two tables have in common: rows of each, every feature, and whether the same rows stand in another order."""

    rows_train: int
    rows_serve: int
    features: tuple[FeatureParity, ...]
    is_shuffled: bool


def compare(train: Table, serve: Table, tolerance: float) -> Compared:
    """The rows that both have, and every feature.

    Numbers are the same when they are no further apart than ``tolerance`` standard deviations of training's, or than
    what 32 bits lose; whole numbers and moments only when they are equal.
    """
    shared = {name: _kind(kind, serve.kinds[name]) for name, kind in train.kinds.items() if name in serve.kinds}
    ours, theirs = train.only(list(shared)).with_kinds(shared), serve.only(list(shared)).with_kinds(shared)
    scales = _scales(ours, shared)
    exact = {name for name, kind in shared.items() if kind is not Kind.FLOAT}
    features = {name: _Feature(name, scales.get(name, 0.0), 0.0 if name in exact else tolerance) for name in shared}
    rows = [0, 0]
    whole = _Values()
    for start, left, right in _aligned(ours, theirs, shared, rows):
        if shared:
            whole.add(*(side.select(list(shared)).hash_rows(SEED) for side in (left, right)))
        for feature in features.values():
            feature.add(start, left, right)
    found = [
        features[name].result() if name in features else FeatureParity(name, Sameness.MISSING) for name in train.kinds
    ]
    found += [FeatureParity(name, Sameness.NEW) for name in serve.kinds if name not in train.kinds]
    is_other = any(one.sameness is Sameness.DIFFERS for one in found)
    return Compared(rows[0], rows[1], tuple(found), is_other and rows[0] == rows[1] and whole.are_same)


def _kind(ours: Kind, theirs: Kind) -> Kind:
    """What a feature is read as: what both are, else text."""
    if ours.is_written_as_number and theirs.is_written_as_number:
        return ours if ours is theirs else Kind.FLOAT
    if Kind.EMPTY in (ours, theirs):
        return theirs if ours is Kind.EMPTY else ours
    return ours if ours is theirs and ours is not Kind.NESTED else Kind.TEXT


def _scales(table: Table, kinds: Mapping[str, Kind]) -> dict[str, float]:
    """The standard deviation of each column of floats; in 80 bits, because the squares of some are beyond 64."""
    import numpy as np

    sums: dict[str, tuple[int, np.longdouble, np.longdouble]] = {}
    for piece in table.pieces():
        for series in piece.get_columns():
            if kinds.get(series.name) is not Kind.FLOAT or not series.dtype.is_numeric():
                continue
            values = series.drop_nulls().to_numpy().astype(np.longdouble)
            values = values[np.isfinite(values)]
            count, total, squares = sums.get(series.name, (0, np.longdouble(0), np.longdouble(0)))
            sums[series.name] = count + len(values), total + values.sum(), squares + (values**2).sum()
    return {
        name: float(np.sqrt(max(np.longdouble(0), squares / count - (total / count) ** 2)))
        for name, (count, total, squares) in sums.items()
        if count
    }


def _aligned(
    train: Table, serve: Table, kinds: Mapping[str, Kind], rows: list[int]
) -> Iterator[tuple[int, pl.DataFrame, pl.DataFrame]]:
    """The same rows of both in pieces, with the number of the first; ``rows`` has the rows of each at the end."""
    pieces = [train.pieces(), serve.pieces()]
    held: list[pl.DataFrame | None] = [None, None]
    start = 0
    while True:
        for side in (0, 1):
            while (one := held[side]) is None or not one.height:
                held[side] = next(pieces[side], None)
                if (new := held[side]) is None:
                    break
                rows[side] += new.height
        left, right = held
        if left is None or right is None:
            break
        count = min(left.height, right.height)
        yield start, left.head(count), right.head(count)
        held = [left.slice(count), right.slice(count)]
        start += count
    for side in (0, 1):
        rows[side] += sum(piece.height for piece in pieces[side])


def _wrong(frame: pl.DataFrame, name: str) -> np.ndarray:
    """The rows whose value is not of the column's kind."""
    import numpy as np

    marks = f"{name}\0invalid"
    return frame[marks].to_numpy() if marks in frame.columns else np.zeros(frame.height, dtype=bool)


def _text(value: object) -> str:
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)[:MOST_TEXT]
