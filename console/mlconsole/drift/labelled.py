"""Predictions with their labels, in pieces: from columns beside each other, or from labels that came later."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlconsole.domain.drift import ColumnResult, Kind, Rule
from mlconsole.domain.performance import PerformanceProfile, Task
from mlconsole.drift.performance import Classes, Errors, of_classes, of_numbers
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


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted, and how: which columns, what is predicted, which class is the positive one, which slices, and
    where scores are cut."""

    columns: Columns
    task: Task
    positive: float | str | None
    groups: tuple[tuple[str, str], ...]
    edges: array[float]

    @property
    def word(self) -> str:
        """The positive class as text."""
        return f"{self.positive:g}" if isinstance(self.positive, float) else self.positive or ""

    def nothing(self) -> Classes | Errors:
        """Nothing counted yet, of one group."""
        return Classes(self.edges) if self.task is Task.CLASSES else Errors()


@dataclass(slots=True)
class Counted:
    """What is counted of a table: all of it, and each slice. ``labels`` are those that came later, by key."""

    question: Question
    labels: pl.DataFrame | None = None
    rows: int = 0
    labelled: int = 0
    whole: Classes | Errors = field(init=False)
    slices: dict[tuple[str, str], Classes | Errors] = field(init=False)

    def __post_init__(self) -> None:
        self.whole = self.question.nothing()
        self.slices = {group: self.question.nothing() for group in self.question.groups}

    def add(self, piece: pl.DataFrame) -> None:
        """Count the rows of a piece that have a label."""
        columns, labels = self.question.columns, self.labels
        self.rows += piece.height
        joined = piece if labels is None else piece.join(labels, on=columns.key, how="left", maintain_order="left")
        for group, rows in _groups(joined, columns, self):
            _add(group, rows, columns, self.question.positive, self if group is self.whole else None)

    def profile(
        self, source: str, *, digest: str = "", files: int = 1, notes: tuple[str, ...] = ()
    ) -> PerformanceProfile:
        """What was counted, to be kept."""
        asked = self.question
        groups = [("", "", self.whole.numbers()), *((*name, one.numbers()) for name, one in self.slices.items())]
        head = (source, self.rows, self.labelled, asked.task, asked.word, asked.columns.is_numeric, asked.edges)
        return PerformanceProfile(*head, tuple(groups), digest, files, notes)


def metrics_of(before: PerformanceProfile, now: PerformanceProfile, rule: Rule) -> list[ColumnResult]:
    """The metrics of all rows and of each slice, not corrected yet."""
    out: list[ColumnResult] = []
    for (column, value, ours), (_, _, theirs) in zip(before.groups, now.groups, strict=True):
        piece = f"{column}={value}" if column else ""
        if before.task is Task.CLASSES:
            right, current = (Classes(before.edges).restore(numbers) for numbers in (ours, theirs))
            out += of_classes(right, current, rule, piece)
        else:
            errors, newer = (Errors().restore(numbers) for numbers in (ours, theirs))
            out += of_numbers(errors, newer, rule, piece)
    return out


def labels_of(table: Table | None, columns: Columns) -> pl.DataFrame:
    """Late labels by key, in memory; the last one of a key counts. None of them where there is no table yet.

    Raises:
        UsageError: a column is not there.
    """
    import polars as pl

    if table is None:
        label = pl.Float64 if columns.is_numeric else pl.String
        return pl.DataFrame(schema={columns.key: pl.String, columns.label: label})
    found = table.only([columns.key, columns.label])
    pieces = list(found.with_kinds(columns.kinds(found)).pieces())
    names = [columns.key, columns.label]
    whole = pl.concat([piece.select(names) for piece in pieces if set(names) <= set(piece.columns)])
    return whole.drop_nulls().unique(columns.key, keep="last")


def as_asked(table: Table, columns: Columns, *, has_late: bool, time: str = "") -> Table:
    """A table with the columns that are counted, and a column of moments, read as what they are.

    Raises:
        UsageError: it lacks one.
    """
    own = table.only([*columns.own(has_late), *([time] if time else [])])
    return own.with_kinds(columns.kinds(own) | ({time: Kind.TIME} if time else {}))


def count(table: Table, asked: Question, labels: pl.DataFrame | None) -> Counted:
    """Count a table's rows that have a label."""
    counted = Counted(asked, labels)
    for piece in as_asked(table, asked.columns, has_late=labels is not None).pieces():
        counted.add(piece)
    return counted


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
