"""The population stability index."""

from __future__ import annotations

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured


def measure(categories: Categories) -> Measured:
    """The index, with half a value added to each bin: an empty bin would make it infinite.

    The usual filling, a share of 0.0001, makes one empty bin of a small window worth 0.7 and so "major drift".
    The usual thresholds 0.1 and 0.25 know nothing of the number of rows: on 30 rows that did not move the index is
    about (K - 1) / 30.
    """
    import numpy as np

    width = len(categories.reference)
    p = (categories.reference + 0.5) / (categories.reference.sum() + 0.5 * width)
    q = (categories.current + 0.5) / (categories.current.sum(axis=1, keepdims=True) + 0.5 * width)
    index = ((q - p) * np.log(q / p)).sum(axis=1)
    freedom = ((categories.reference + categories.current) > 0).sum(axis=1) - 1
    return Measured(index, chi_square(categories.effective * index, freedom))


TEST = DriftTest(
    TestDefinition(
        "psi",
        "population stability index",
        "numbers (in bins), times, categories",
        0.1,
        "index, natural logarithm",
        "sum of (q - p) ln(q / p), half a value added to each bin; numbers in up to 10 bins of equal share of the "
        "reference, of at least 5 expected values each",
        "asymptotic: e PSI is chi-square with K - 1 degrees, e = n m / (n + m)",
        "Yurdakul, Statistical Properties of Population Stability Index, 2018",
    ),
    categories=measure,
)
