"""One column of a reference beside the same column of one or many windows, as arrays that tests work on.

The first axis is the window: a test looks at a thousand windows with the same few array operations as at one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlconsole.domain.drift import (
    DRAWERS,
    OTHER,
    CategoryShape,
    ColumnProfile,
    Kind,
    NumberShape,
    drawer,
    moment_words,
)
from mlconsole.drift.grid import FEWEST_TO_NAME, MOST_VALUES

if TYPE_CHECKING:
    import numpy as np

MOST_BINS = 10
FEWEST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of one column on the same edges.

    Attributes:
        edges: k values, ascending.
        reference: 2k + 1 counts; see :class:`~mlconsole.domain.drift.NumberShape`.
        current: as many for each of W windows.
        scale: what a distance is measured in, of each window: a standard deviation of the reference.
        beyond: W by 2: what numbers below the first edge, and above the last, lie beyond it, the mean over all.
        reference_beyond: the same two of the reference.
    """

    edges: np.ndarray
    reference: np.ndarray
    current: np.ndarray
    scale: np.ndarray
    beyond: np.ndarray
    reference_beyond: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Numbers in each window."""
        total: np.ndarray = self.current.sum(axis=1)
        return total

    @property
    def effective(self) -> np.ndarray:
        """n m / (n + m) of each window: what two samples weigh together."""
        n, m = self.reference.sum(), self.n
        weight: np.ndarray = n * m / (n + m)
        return weight

    def distributions(self) -> tuple[np.ndarray, np.ndarray]:
        """Cumulative shares of the reference and of each window: below edge 0, up to edge 0, below edge 1, ..."""
        ours = self.reference.cumsum()[:-1] / self.reference.sum()
        theirs = self.current.cumsum(axis=1)[:, :-1] / self.n[:, None]
        return ours, theirs


@dataclass(frozen=True, slots=True)
class Categories:
    """Counts of the same categories (or bins of numbers) of one column.

    Attributes:
        labels: what the K categories are called.
        reference: K counts.
        current: W by K counts of the windows.
        surely_named: from how many expected values on the reference is certain to have named a category; 0 where no
            value is among the others. See :meth:`pooled`.
        places: of each category the cell that it is counted in where it might as well not have been named; empty where
            all such are counted in the last one.
    """

    labels: tuple[str, ...]
    reference: np.ndarray
    current: np.ndarray
    surely_named: float = 0.0
    places: tuple[int, ...] = ()

    @property
    def effective(self) -> np.ndarray:
        """n m / (n + m) of each window."""
        n, m = self.reference.sum(), self.current.sum(axis=1)
        weight: np.ndarray = n * m / (n + m)
        return weight

    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the reference and of each window."""
        return self.reference / self.reference.sum(), self.current / self.current.sum(axis=1, keepdims=True)

    def pooled(self) -> tuple[np.ndarray, np.ndarray]:
        """The counts that significance comes from: W by K + 1 of the reference, and of the windows.

        Rare categories are one, the last: those with an expected count below 5 in the smaller sample, and those that
        the reference might as well not have named. A profile names what occurred often in it, so that those it names
        are those that came up more often by chance, and the others are fewer than they are: of a hundred values like
        zip codes in 1,000 rows every large window would differ. Expected, of both together: pooling by what one of
        them shows would favour what moved.
        """
        import numpy as np

        ours, theirs = self._in_drawers()
        n, m = ours.sum(axis=1), theirs.sum(axis=1)
        share = (ours + theirs) / (n + m)[:, None]
        rare = share * np.minimum(n, m)[:, None] < FEWEST_EXPECTED
        if not self.places:
            rare |= share * n[:, None] < self.surely_named
            rare[:, -1] |= self.surely_named > 0
        parts = []
        for counts in (ours, theirs):
            rest = np.where(rare, counts, 0.0).sum(axis=1, keepdims=True)
            parts.append(np.hstack([np.where(rare, 0.0, counts), rest]))
        return parts[0], parts[1]

    def _in_drawers(self) -> tuple[np.ndarray, np.ndarray]:
        """The counts with what the reference might as well not have named in its drawer.

        Which drawer a value belongs in does not hang on how often it came up: drawers are as full as they are by
        chance alone, and rare values that all became others fill other ones.
        """
        import numpy as np

        ours, theirs = np.broadcast_to(self.reference, self.current.shape), self.current
        if not self.places:
            return ours, theirs
        n, m = ours.sum(axis=1), theirs.sum(axis=1)
        share = (ours + theirs) / (n + m)[:, None]
        moved = share * n[:, None] < self.surely_named
        moved[:, len(self.places) - DRAWERS :] = False
        to = np.eye(len(self.places))[list(self.places)]
        parts = [np.where(moved, 0.0, counts) + np.where(moved, counts, 0.0) @ to for counts in (ours, theirs)]
        return parts[0], parts[1]


@dataclass(frozen=True, slots=True)
class Stack:
    """One column: the reference's profile, and of each window how many rows, missing values, and the rest's counts.

    ``counts`` has a row a window: 2k + 1 cells of numbers, or the named values and behind them the others.
    """

    reference: ColumnProfile
    rows: np.ndarray
    missing: np.ndarray
    counts: np.ndarray
    beyond: np.ndarray
    stds: np.ndarray
    means: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Values in each window."""
        found: np.ndarray = self.rows - self.missing
        return found

    def pick(self, windows: np.ndarray) -> Stack:
        """Some of the windows."""
        own = (self.rows, self.missing, self.counts, self.beyond, self.stds, self.means)
        return Stack(self.reference, *(part[windows] for part in own))

    def numbers(self) -> Numbers:
        """The column as numbers."""
        import numpy as np

        shape = self.reference.shape
        assert isinstance(shape, NumberShape)
        counts = np.frombuffer(shape.counts, dtype=np.float64)
        n = max(1.0, counts.sum())
        scale = np.full(len(self.rows), shape.std) if shape.std > 0 else self._spread(shape, n)
        beyond = self.beyond / np.maximum(1, self.n)[:, None]
        edges = np.frombuffer(shape.edges, dtype=np.float64)
        return Numbers(edges, counts, self.counts, scale, beyond, np.array([shape.below, shape.above]) / n)

    def _spread(self, shape: NumberShape, n: float) -> np.ndarray:
        """A scale where the reference is constant: the standard deviation of both together; 1 where that is 0."""
        import numpy as np

        m = np.maximum(1, self.n)
        between = n * m / (n + m) ** 2 * (self.means - shape.mean) ** 2 + m / (n + m) * self.stds**2
        return np.asarray(np.where(between > 0, np.sqrt(between), 1.0))

    def categories(self) -> Categories:
        """The column as categories, rare ones together in the last."""
        import numpy as np

        shape = self.reference.shape
        assert isinstance(shape, CategoryShape)
        surely_named = _surely_named(shape)
        if not shape.drawers:
            counts = np.array([*shape.counts, shape.other], dtype=np.float64)
            return Categories((*shape.values, OTHER), counts, self.counts, surely_named)
        named = len(shape.values)
        if not shape.other:
            rest = self.counts[:, named:].sum(axis=1, keepdims=True)
            current = np.hstack([self.counts[:, :named], rest])
            return Categories((*shape.values, OTHER), np.array([*shape.counts, 0.0]), current)
        counts = np.array([*shape.counts, *shape.drawers], dtype=np.float64)
        places = (*(named + drawer(value) for value in shape.values), *range(named, named + DRAWERS))
        labels = (*shape.values, *(f"{OTHER}, part {i + 1} of {DRAWERS}" for i in range(DRAWERS)))
        return Categories(labels, counts, self.counts, surely_named, places)

    def most_bins(self) -> np.ndarray:
        """Into how many bins each window is cut: ten, fewer where they would hold less than five values."""
        import numpy as np

        fewest = np.minimum(self.reference.values, self.n)
        return np.asarray(np.clip(fewest // FEWEST_EXPECTED, 2, MOST_BINS).astype(int))

    def bins(self, most: int) -> Categories:
        """Numbers as bins, each with about the same share of the reference."""
        import numpy as np

        numbers = self.numbers()
        cells = numbers.reference.cumsum() / numbers.reference.sum()
        group = np.minimum((cells - numbers.reference / numbers.reference.sum() / 2) * most, most - 1).astype(int)
        # An atom is not torn apart, and the cells round it belong to the bin of their middle: groups only ascend.
        _, group = np.unique(np.maximum.accumulate(group), return_inverse=True)
        width = int(group.max()) + 1
        ours = np.bincount(group, numbers.reference, width)
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        theirs = np.add.reduceat(numbers.current, starts, axis=1)
        return Categories(tuple(_labels(numbers.edges, group, self.reference.kind)), ours, theirs)


def _surely_named(shape: CategoryShape) -> float:
    """From how many expected values on a category is named, but for one in some thousands.

    A profile names a value that occurred so often, or more often than the hundredth; the mean from which that is 3.4
    standard deviations of chance away.
    """
    if not shape.other or not shape.values:
        return 0.0
    spread = 3.4
    least = FEWEST_TO_NAME if len(shape.values) < MOST_VALUES else min(shape.counts)
    return float((spread + (spread**2 + 4 * least) ** 0.5) ** 2 / 4)


def _labels(edges: np.ndarray, group: np.ndarray, kind: Kind) -> list[str]:
    """What each bin holds: cell 2j lies below edge j, cell 2j + 1 is that edge."""
    import numpy as np

    last = len(group) - 1
    ends = [(int(cells[0]), int(cells[-1])) for cells in (np.flatnonzero(group == g) for g in np.unique(group))]
    return [_label(edges, low, high, last, kind) for low, high in ends]


def _label(edges: np.ndarray, low: int, high: int, last: int, kind: Kind) -> str:
    """Words for the cells from ``low`` to ``high`` of those up to ``last``."""

    def word(edge: int) -> str:
        value = float(edges[edge])
        return moment_words(value) if kind is Kind.TIME else f"{value:.6g}"

    # An odd cell is an edge itself; an even one begins behind the edge before it and ends before the next.
    left, right = (low - 1) // 2 if low % 2 == 0 else low // 2, high // 2
    if low == 0:
        return "any" if high == last else f"{'up to' if high % 2 else 'below'} {word(right)}"
    if high == last:
        return f"{'from' if low % 2 else 'above'} {word(left)}"
    if low == high and low % 2:
        return word(left)
    return f"{'[' if low % 2 else '('}{word(left)}, {word(right)}{']' if high % 2 else ')'}"


def stack_of(reference: ColumnProfile, windows: Sequence[ColumnProfile]) -> Stack:
    """The stack of profiles that were counted on the reference's grid; where the reference has no value, only rows
    and missing values are in it."""
    import numpy as np

    size = cells_of(reference)
    counts = np.zeros((len(windows), size))
    beyond = np.zeros((len(windows), 2))
    stds, means = np.zeros(len(windows)), np.zeros(len(windows))
    for place, one in enumerate(windows):
        shape = one.shape if reference.shape is not None else None
        if isinstance(shape, NumberShape):
            counts[place] = np.frombuffer(shape.counts, dtype=np.float64)
            beyond[place] = shape.below, shape.above
            stds[place], means[place] = shape.std, shape.mean
        elif isinstance(shape, CategoryShape):
            counts[place] = _cells(reference, shape)
    rows = np.array([one.rows for one in windows], dtype=np.int64)
    missing = np.array([one.missing for one in windows], dtype=np.int64)
    return Stack(reference, rows, missing, counts, beyond, stds, means)


def cells_of(column: ColumnProfile) -> int:
    """How many counts a window of this column has."""
    shape = column.shape
    if isinstance(shape, NumberShape):
        return len(shape.counts)
    return len(shape.values) + (len(shape.drawers) or 1) if isinstance(shape, CategoryShape) else 0


def _cells(reference: ColumnProfile, shape: CategoryShape) -> list[int]:
    """The counts of a window's values, with drawers where the reference has them."""
    has_drawers = isinstance(reference.shape, CategoryShape) and bool(reference.shape.drawers)
    return [*shape.counts, *(shape.drawers if has_drawers else (shape.other,))]
