"""Chi-square of goodness of fit: does the window follow the reference's shares, taken as known?"""

from __future__ import annotations

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured


def measure(categories: Categories) -> Measured:
    """Cohen's w, and the chance of it if the reference's shares were known exactly.

    They are not, and a reference no larger than the window makes it call far too often. A category that the
    reference lacks has half a value expected, not none.
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
    return Measured(np.sqrt(statistic / m), chi_square(statistic, np.maximum(there.sum(axis=1) - 1, 0)))


TEST = DriftTest(
    TestDefinition(
        "chi2_fit",
        "fit of a window to shares that are taken as known",
        "categories, numbers (in bins), times",
        0.1,
        "Cohen's w",
        "w = root of the sum of (q - p)2 / p; categories with fewer than 5 expected values are one",
        "asymptotic, Pearson's statistic, chi-square with K - 1 degrees; for a reference much larger than the window",
        "Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd edition, chapter 7, 1988",
    ),
    categories=measure,
)
