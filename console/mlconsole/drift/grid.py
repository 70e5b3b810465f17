"""Where a column is cut: the edges between numbers, the values that are counted by name.

Edges are values that occur. Few distinct values are all edges, and then nothing is lost: Kolmogorov's and
Wasserstein's distances from the counts are those from the rows. Of more, they are quantiles of a sample of rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlconsole.domain.drift import Kind

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from mlconsole.drift.table import Table

KEEP_ROWS = 20_000
STORED_EDGES = 101
AD_HOC_EDGES = 1_001
MOST_VALUES = 100
MOST_CANDIDATES = 4_000
FEWEST_TO_NAME = 5
"""A stored profile names no value that occurs less often: a name or an address is not a category."""
MOST_SLICES = 5
FEWEST_TO_TELL = 50


@dataclass(slots=True)
class ColumnSurvey:
    """What a first look at a column found: a sample of its numbers, or its most frequent values."""

    kind: Kind
    sample: list[np.ndarray] = field(default_factory=list)
    low: float = float("inf")
    high: float = float("-inf")
    values: dict[str, int] = field(default_factory=dict)
    is_more: bool = False

    def look_at(self, series: pl.Series, kept: np.ndarray | None) -> None:
        """Take a piece of the column in; of numbers only the kept rows."""
        if self.kind.is_number:
            self._numbers(series, kept)
        elif self.kind is not Kind.NESTED:
            self._values(series)

    def _numbers(self, series: pl.Series, kept: np.ndarray | None) -> None:
        import numpy as np

        if not series.dtype.is_numeric():
            return
        whole = series.to_numpy()
        finite = whole[np.isfinite(whole)]
        if len(finite):
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        chosen = whole if kept is None else whole[kept]
        self.sample.append(chosen[np.isfinite(chosen)])

    def _values(self, series: pl.Series) -> None:
        counted = series.drop_nulls().value_counts(sort=True).head(MOST_CANDIDATES)
        for value, count in counted.iter_rows():
            self.values[str(value)] = self.values.get(str(value), 0) + int(count)
        self.is_more |= counted.height == MOST_CANDIDATES
        if len(self.values) > 2 * MOST_CANDIDATES:
            often = sorted(self.values.items(), key=lambda pair: -pair[1])[:MOST_CANDIDATES]
            self.values, self.is_more = dict(often), True


@dataclass(slots=True)
class Survey:
    """A first look at a table.

    ``pieces`` holds all of its rows where they are few, so that they need not be read again.
    """

    columns: dict[str, ColumnSurvey]
    rows: int = 0
    pieces: list[pl.DataFrame] | None = field(default_factory=list)


def survey(table: Table, pieces: Iterable[pl.DataFrame] | None = None) -> Survey:
    """Look at every row of a table once; at some of its pieces, where they are given."""
    found = Survey({name: ColumnSurvey(kind) for name, kind in table.kinds.items()})
    for piece in table.pieces() if pieces is None else pieces:
        kept = _kept(found.rows, piece.height)
        for name, column in found.columns.items():
            if name in piece.columns:
                column.look_at(piece[name], kept)
        found.rows += piece.height
        if found.pieces is not None:
            found.pieces.append(piece)
            if found.rows > KEEP_ROWS:
                found.pieces = None
    return found


def _kept(start: int, count: int) -> np.ndarray | None:
    """Which of these rows belong to the sample: all at first, then fewer and fewer, chosen by a hash of their number.

    The share falls as 1/row, so that the sample grows with the logarithm of the rows. None means all.
    """
    import numpy as np

    if start + count <= KEEP_ROWS:
        return None
    rows = np.arange(start, start + count, dtype=np.uint64)
    hashed = ((rows * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)).astype(np.float64) / 2.0**24
    kept: np.ndarray = hashed < KEEP_ROWS / np.maximum(rows + 1, KEEP_ROWS)
    return kept


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one column is cut: ``edges`` of numbers, ``values`` of anything else."""

    kind: Kind
    edges: array[float] = field(default_factory=lambda: array("d"))
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the columns of a table are cut, and the slices that are counted on their own, as (column, value)."""

    cuts: Mapping[str, Cut]
    slices: tuple[tuple[str, str], ...] = ()

    def where_known(self, columns: Mapping[str, object]) -> Grid:
        """The grid of a table that may lack columns, or have more: those it lacks are not counted as empty."""
        cuts = {name: cut for name, cut in self.cuts.items() if name in columns}
        return Grid(cuts | {name: Cut(Kind.NESTED) for name in columns if name not in cuts}, self.slices)


def grid_of(
    surveys: Sequence[Survey], *, is_stored: bool, slices: Iterable[str] = (), named: Iterable[str] = ()
) -> Grid:
    """The grid for tables that were looked at; the first one says which columns there are.

    Args:
        surveys: of the tables that are going to be compared on it.
        is_stored: for a profile that is kept: fewer edges, and no value by name that hardly occurs.
        slices: columns whose most frequent values are slices.
        named: columns that were asked for, which are cut even if they are row numbers.
    """
    asked = set(named)
    first = surveys[0]
    cuts = {}
    for name, column in first.columns.items():
        found = [
            one.columns[name] for one in surveys if name in one.columns and one.columns[name].kind.fits(column.kind)
        ]
        kind = next((one.kind for one in found if one.kind is not Kind.EMPTY), column.kind)
        same = [one for one in found if one.kind.is_number == kind.is_number]
        if name not in asked and kind is Kind.INT and _is_row_number(column, first.rows):
            cuts[name] = Cut(Kind.ID)
        else:
            cuts[name] = _number_cut(kind, same, is_stored) if kind.is_number else _value_cut(kind, same, is_stored)
    chosen = [(name, value) for name in slices if name in cuts for value in _slices(surveys, name)]
    return Grid(cuts, tuple(chosen))


def _is_row_number(column: ColumnSurvey, rows: int) -> bool:
    """True for whole numbers that occur once each and leave hardly a gap: they move with every row."""
    import numpy as np

    sample = np.concatenate(column.sample) if column.sample else np.zeros(0)
    is_dense = column.high - column.low < 1.05 * rows
    return len(sample) >= FEWEST_TO_TELL and is_dense and len(np.unique(sample)) == len(sample)


def _slices(surveys: Sequence[Survey], name: str) -> list[str]:
    found = surveys[0].columns[name].values
    return [value for value, count in sorted(found.items(), key=lambda pair: -pair[1])[:MOST_SLICES]]


def _number_cut(kind: Kind, found: Sequence[ColumnSurvey], is_stored: bool) -> Cut:
    import numpy as np

    samples = [np.sort(np.concatenate(one.sample)) for one in found if one.sample]
    samples = [sample for sample in samples if len(sample)]
    if not samples:
        return Cut(kind)
    most = STORED_EDGES if is_stored else AD_HOC_EDGES
    distinct = np.unique(np.concatenate(samples))
    if len(distinct) > (most if is_stored else 2 * KEEP_ROWS):
        places = np.linspace(0, 1, most)
        distinct = np.unique(
            np.concatenate([sample[np.rint(places * (len(sample) - 1)).astype(int)] for sample in samples])
        )
    ends = np.array([end for one in found for end in (one.low, one.high) if np.isfinite(end)])
    return Cut(kind, array("d", np.unique(np.concatenate([distinct, ends])).tolist()))


def _value_cut(kind: Kind, found: Sequence[ColumnSurvey], is_stored: bool) -> Cut:
    counts: dict[str, int] = {}
    for one in found:
        for value, count in one.values.items():
            counts[value] = counts.get(value, 0) + count
    fewest = FEWEST_TO_NAME if is_stored and kind is not Kind.BOOL else 1
    often = sorted((pair for pair in counts.items() if pair[1] >= fewest), key=lambda pair: (-pair[1], pair[0]))
    return Cut(kind, values=tuple(value for value, _ in often[:MOST_VALUES]))
