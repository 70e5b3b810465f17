"""Shares of bins and categories of a baseline and of a window beside each other, for drawing."""

from __future__ import annotations

from mlconsole.domain.drift import CategoryShape, ColumnProfile, Histogram, NumberShape
from mlconsole.drift.stack import MOST_BINS, stack_of


def histogram(baseline: ColumnProfile, current: ColumnProfile, bins: int = MOST_BINS) -> Histogram | None:
    """The shares of a column in both, on the bins of the baseline; None where there is nothing to draw."""
    if baseline.shape is None or current.shape is None:
        return None
    stack = stack_of(baseline, [current])
    if isinstance(baseline.shape, NumberShape):
        categories = stack.bins(bins)
    else:
        assert isinstance(baseline.shape, CategoryShape)
        categories = stack.categories()
    ours, theirs = categories.shares()
    places = [i for i in range(len(categories.labels)) if ours[i] or theirs[0][i]][:bins]
    labels = tuple(categories.labels[i] for i in places)
    return Histogram(labels, tuple(float(ours[i]) for i in places), tuple(float(theirs[0][i]) for i in places))
