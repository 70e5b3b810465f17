"""Predictions with their labels, in pieces: from columns beside each other, or from labels that came later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlconsole.domain.drift import Kind
from mlconsole.drift.performance import Classes, Errors
from mlconsole.drift.table import Table

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

NUMERIC = (Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.ID, Kind.EMPTY)
MOST_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are what; empty names are not there.

    ``is_numeric`` says that classes are read as numbers, so that 1, 1.0 and true are the same one.
    """

    label: str
    prediction: str
    score: str
    key: str
    slices: tuple[str, ...] = ()
    is_numeric: bool = True

    def own(self, has_labels: bool) -> list[str]:
        """The columns that are read of a table; its own labels are not, where others came later."""
        names = [self.prediction, self.score, *self.slices, self.key if has_labels else self.label]
        return list(dict.fromkeys(name for name in names if name))

    def kinds(self, table: Table) -> dict[str, Kind]:
        """What each is read as."""
        out = dict.fromkeys((self.key, *self.slices), Kind.TEXT)
        for name in (self.label, self.prediction):
            kind = table.kinds.get(name, Kind.FLOAT)
            out[name] = Kind.TEXT if not self.is_numeric else Kind.BOOL if kind is Kind.BOOL else Kind.FLOAT
        return out | {self.score: Kind.FLOAT}


@dataclass(slots=True)
class Counted:
    """What was counted of a table: all of it, and each slice."""

    whole: Classes | Errors
    slices: dict[tuple[str, str], Classes | Errors]
    rows: int = 0
    labelled: int = 0


def labels_of(table: Table, columns: Columns) -> pl.DataFrame:
    """Late labels by key, in memory; the last one of a key counts.

    Raises:
        UsageError: a column is not there.
    """
    import polars as pl

    found = table.only([columns.key, columns.label])
    pieces = list(found.with_kinds(columns.kinds(found)).pieces())
    names = [columns.key, columns.label]
    whole = pl.concat([piece.select(names) for piece in pieces if set(names) <= set(piece.columns)])
    return whole.drop_nulls().unique(columns.key, keep="last")


def count(
    table: Table, columns: Columns, labels: pl.DataFrame | None, counted: Counted, positive: float | str | None
) -> None:
    """Count a table's rows that have a label."""
    own = table.only(columns.own(labels is not None))
    for piece in own.with_kinds(columns.kinds(own)).pieces():
        counted.rows += piece.height
        joined = piece if labels is None else piece.join(labels, on=columns.key, how="left", maintain_order="left")
        for group, rows in _groups(joined, columns, counted):
            _add(group, rows, columns, positive, counted if group is counted.whole else None)


def _groups(frame: pl.DataFrame, columns: Columns, counted: Counted) -> Iterator[tuple[Classes | Errors, pl.DataFrame]]:
    if columns.label not in frame.columns:
        return
    known = frame.filter(frame[columns.label].is_not_null())
    yield counted.whole, known
    for (name, value), group in counted.slices.items():
        if name in known.columns:
            yield group, known.filter(known[name] == value)


def _add(
    group: Classes | Errors, rows: pl.DataFrame, columns: Columns, positive: float | str | None, whole: Counted | None
) -> None:
    if columns.prediction:
        if columns.prediction not in rows.columns:
            return
        rows = rows.filter(rows[columns.prediction].is_not_null())
    label = _values(rows[columns.label], columns.is_numeric)
    prediction = _values(rows[columns.prediction], columns.is_numeric) if columns.prediction else None
    if whole is not None:
        whole.labelled += rows.height
    if isinstance(group, Errors):
        assert prediction is not None
        group.add(label, prediction)
        return
    has_score = columns.score and columns.score in rows.columns
    score = rows[columns.score].fill_null(float("nan")).to_numpy() if has_score else None
    group.add(label, prediction, score, positive)


def _values(series: pl.Series, is_numeric: bool) -> np.ndarray:
    import polars as pl

    if not is_numeric:
        return series.cast(pl.String).to_numpy()
    if series.dtype == pl.String:
        return (series.str.to_lowercase() == "true").cast(pl.Float64).to_numpy()
    return series.cast(pl.Float64).to_numpy()


def is_numeric(kinds: Sequence[Kind]) -> bool:
    """True when labels and predictions of these kinds can be compared as numbers."""
    return all(kind in NUMERIC for kind in kinds)


def classes_seen(table: Table, columns: Columns) -> set[float | str]:
    """The different labels of the first piece of a table, at most one more than there may be classes."""
    import numpy as np

    one = table.only([columns.label])
    for piece in one.with_kinds(columns.kinds(one)).pieces():
        if columns.label in piece.columns:
            values = _values(piece[columns.label].drop_nulls(), columns.is_numeric)
            return set(np.unique(values).tolist()[: MOST_CLASSES + 1])
    return set()
