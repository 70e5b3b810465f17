"""Shares of bins and categories of a baseline and of a window beside each other, for drawing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlconsole.domain.drift import ColumnProfile, Histogram, Kind, NumberShape, moment_words
from mlconsole.drift.stack import MOST_BINS, Categories, stack_of

if TYPE_CHECKING:
    import numpy as np

CENTRAL = (0.01, 0.99)
"""Bins of the same width lie between these quantiles of both; what lies beyond is in the first and the last."""


def histogram(baseline: ColumnProfile, current: ColumnProfile, bins: int = MOST_BINS) -> Histogram | None:
    """The shares of a column in both: numbers in bins of the same width; None where there is nothing to draw.

    Tests look at bins of the same share, in which every baseline is flat; a person wants to see its shape.
    """
    ours, theirs = baseline.shape, current.shape
    if ours is None or theirs is None:
        return None
    if isinstance(ours, NumberShape) and isinstance(theirs, NumberShape) and len(ours.edges) > bins:
        found = _even(ours, theirs, bins, baseline.kind)
        if found is not None:
            return found
    stack = stack_of(baseline, [current])
    return _of(stack.bins(bins) if isinstance(ours, NumberShape) else stack.categories(), bins)


def _of(categories: Categories, bins: int) -> Histogram:
    ours, theirs = categories.shares()
    places = [i for i in range(len(categories.labels)) if ours[i] or theirs[0][i]][:bins]
    labels = tuple(categories.labels[i] for i in places)
    return Histogram(labels, tuple(float(ours[i]) for i in places), tuple(float(theirs[0][i]) for i in places))


def _even(baseline: NumberShape, current: NumberShape, bins: int, kind: Kind) -> Histogram | None:
    """Bins of the same width; None where numbers are further apart than a number can be."""
    import numpy as np

    both = [_distribution(shape, baseline) for shape in (baseline, current)]
    ends = np.array([np.interp(CENTRAL, shares, values) for values, shares in both])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not np.isfinite(high - low) or high <= low:
        return None
    cuts = np.linspace(low, high, bins + 1)
    ours, theirs = (np.diff(np.interp(cuts[1:-1], *one), prepend=0.0, append=1.0) for one in both)
    words = [moment_words(cut) if kind is Kind.TIME else _word(cut, (high - low) / bins) for cut in cuts]
    labels = tuple(f"{words[i]} to {words[i + 1]}" for i in range(bins))
    return Histogram(labels, tuple(ours.tolist()), tuple(theirs.tolist()))


def _word(cut: float, width: float) -> str:
    """A cut with as many digits as tell it from the next one."""
    digits = 1 - math.floor(math.log10(width))
    return f"{cut:.4g}" if not -9 < digits < 6 else f"{cut:,.{max(0, digits)}f}"


def _distribution(shape: NumberShape, baseline: NumberShape) -> tuple[np.ndarray, np.ndarray]:
    """Values and the shares up to them: before and with each edge, and at both ends; straight lines between.

    Beyond the outer edges numbers are as if spread evenly about their mean, up to the last of them.
    """
    import numpy as np

    edges = np.frombuffer(baseline.edges, dtype=np.float64)
    counts = np.frombuffer(shape.counts, dtype=np.float64)
    first, last = float(edges[0]), float(edges[-1])
    low, high = min(shape.low, first), max(shape.high, last)
    ends = first - shape.below / max(1.0, counts[0]), last + shape.above / max(1.0, counts[-1])
    inner = min(first, max(low, 2 * ends[0] - low)), max(last, min(high, 2 * ends[1] - high))
    shares = counts.cumsum() / counts.sum()
    values = np.array([low, inner[0], *np.repeat(edges, 2), inner[1], high])
    return values, np.array([0.0, shares[0], *shares[:-1], shares[-2], 1.0])
