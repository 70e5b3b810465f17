"""The share that changed most."""

from __future__ import annotations

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured


def measure(categories: Categories) -> Measured:
    """The largest change of one category's share, and the chance of the most significant one, times their number."""
    import numpy as np

    p, q = categories.shares()
    effect = np.abs(q - p).max(axis=1, initial=0.0)
    before, now = categories.pooled()
    windows, width = now.shape
    ours, theirs = before.reshape(-1), now.reshape(-1)
    n, m = (np.repeat(counts.sum(axis=1), width) for counts in (before, now))
    statistic, _ = two_by_k(np.stack([ours, n - ours], axis=1), np.stack([theirs, m - theirs], axis=1))
    largest = statistic.reshape(windows, width).max(axis=1)
    there = ((before + now) > 0).sum(axis=1)
    tests = np.where(there == 2, 1, there)
    return Measured(effect, np.where(there > 1, np.minimum(1.0, chi_square(largest, 1) * tests), 1.0))


TEST = DriftTest(
    TestDefinition(
        "linf",
        "largest change of one share",
        "categories, numbers (in bins), times",
        0.05,
        "share, 0 to 1",
        "max |q - p| over categories",
        "asymptotic: each category against the rest (2 by 2, the smaller of Pearson's statistic and the likelihood "
        "ratio; rare categories are one as in chi2), the smallest p times the number of categories (Bonferroni)",
        "Dunn, Multiple Comparisons Among Means, JASA 56, 1961",
    ),
    categories=measure,
)
