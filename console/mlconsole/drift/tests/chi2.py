"""Chi-square of homogeneity: are both samples drawn from the same shares?"""

from __future__ import annotations

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured


def measure(categories: Categories) -> Measured:
    """The share of rows that changed category (total variation), and the chance of it."""
    import numpy as np

    p, q = categories.shares()
    effect = np.abs(q - p).sum(axis=1) / 2
    statistic, freedom = two_by_k(*categories.pooled())
    return Measured(effect, chi_square(statistic, freedom))


TEST = DriftTest(
    TestDefinition(
        "chi2",
        "share of rows that changed category (for categories, if no other is named)",
        "categories, numbers (in bins), times",
        0.05,
        "share, 0 to 1 (total variation)",
        "effect: half the sum of |q - p|. Rare values that have no name in the profile, or might as well, are "
        "in 16 parts, by a digest of each; what has fewer than 5 expected values is one",
        "asymptotic, contingency table of 2 by K without Yates' correction: the smaller of Pearson's statistic and "
        "the likelihood ratio, chi-square with K - 1 degrees",
        "Pearson 1900; Wilks 1938; Cochran, Some Methods for Strengthening the Common Chi-Square Tests, 1954",
    ),
    categories=measure,
)
