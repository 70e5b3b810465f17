"""Cramer's V."""

from __future__ import annotations

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured


def measure(categories: Categories) -> Measured:
    """V of the table that two samples of the same size would have made, and the chance of chi-square.

    V of the counts themselves goes to 0 as the reference grows: 1,000 rows at 75 to 25 against 100,000 at 50 to 50
    have 0.05, and 0.26 if both samples were of one size.
    """
    import numpy as np

    p, q = categories.shares()
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.sqrt(np.nan_to_num((p - q) ** 2 / (p + q)).sum(axis=1) / 2)
    statistic, freedom = two_by_k(*categories.pooled())
    return Measured(effect, chi_square(statistic, freedom))


TEST = DriftTest(
    TestDefinition(
        "cramers_v",
        "association of category and sample",
        "categories, numbers (in bins), times",
        0.1,
        "V, 0 to 1",
        "root of chi-square / N of the 2 by K table, both samples weighed alike: of half the sum of (p - q)2 / (p + q)",
        "asymptotic, that of chi2",
        "Cramer, Mathematical Methods of Statistics, 1946, section 21.9",
    ),
    categories=measure,
)
