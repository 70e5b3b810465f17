"""Chi-square of goodness of fit: does the window follow the reference's shares?"""

from __future__ import annotations

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured


def measure(categories: Categories) -> Measured:
    """Cohen's w, and the chance of it.

    The textbook takes the reference's shares as known. They are an estimate, of which the variance is m / n of the
    window's own: where the reference is no larger than the window, the textbook's statistic is twice too large. A
    category that the reference lacks has half a value expected, not none.
    """
    import numpy as np

    ours, theirs = categories.pooled()
    there = (ours + theirs) > 0
    filled = np.where(there & (ours == 0), 0.5, ours)
    shares = filled / filled.sum(axis=1, keepdims=True)
    m = theirs.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = shares * m[:, None]
        statistic = np.nan_to_num((theirs - expected) ** 2 / expected).sum(axis=1)
    known = statistic / (1 + m / ours.sum(axis=1))
    least = np.minimum(known, two_by_k(ours, theirs)[0])
    return Measured(np.sqrt(statistic / m), chi_square(least, np.maximum(there.sum(axis=1) - 1, 0)))


TEST = DriftTest(
    TestDefinition(
        "chi2_fit",
        "fit of a window to the reference's shares",
        "categories, numbers (in bins), times",
        0.1,
        "Cohen's w",
        "w = root of the sum of (q - p)2 / p; categories with fewer than 5 expected values are one",
        "asymptotic, Pearson's statistic divided by 1 + m / n, as the shares of n values are an estimate; chi-square "
        "with K - 1 degrees; the smaller of it and chi2's statistic, as it is too large where few are expected",
        "Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd edition, chapter 7, 1988",
    ),
    categories=measure,
)
