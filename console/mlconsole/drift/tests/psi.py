"""The population stability index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured

if TYPE_CHECKING:
    import numpy as np


def index(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """The index of W by K counts, with half a value added to each bin: an empty bin would make it infinite.

    The usual filling, a share of 0.0001, makes one empty bin of a small window worth 0.7 and so "major drift". A bin
    that is empty on both sides is none.
    """
    import numpy as np

    there = (reference + current) > 0
    ours, theirs = (np.where(there, counts + 0.5, 0.0) for counts in (reference, current))
    p, q = ours / ours.sum(axis=1, keepdims=True), theirs / theirs.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = np.where(there, (q - p) * np.log(q / p), 0.0).sum(axis=1)
    return found


def measure(categories: Categories) -> Measured:
    """The index and the chance of it.

    The usual thresholds 0.1 and 0.25 know nothing of the number of rows: on 30 rows that did not move the index is
    about (K - 1) / 30.
    """
    import numpy as np

    ours, theirs = categories.pooled()
    statistic, freedom = two_by_k(ours, theirs)
    own = categories.effective * index(ours, theirs)
    effect = index(np.broadcast_to(categories.reference, categories.current.shape), categories.current)
    return Measured(effect, chi_square(np.minimum(own, statistic), freedom))


TEST = DriftTest(
    TestDefinition(
        "psi",
        "population stability index",
        "numbers (in bins), times, categories",
        0.1,
        "index, natural logarithm",
        "sum of (q - p) ln(q / p), half a value added to each bin; numbers in up to 10 bins of equal share of the "
        "reference, of at least 5 expected values each",
        "asymptotic: e PSI is chi-square with K - 1 degrees, e = n m / (n + m), rare categories being one as in chi2; "
        "the smaller of it and chi2's statistic, as it is too large where few are expected",
        "Yurdakul, Statistical Properties of Population Stability Index, 2018",
    ),
    categories=measure,
)
