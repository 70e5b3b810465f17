"""Jensen and Shannon's distance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import Categories
from mlconsole.drift.tests import DriftTest, Measured

if TYPE_CHECKING:
    import numpy as np


def divergence(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """The divergence of W by K counts in bits; an empty bin on one side counts 1 bit of its share, on both nothing."""
    import numpy as np

    p, q = (counts / counts.sum(axis=1, keepdims=True) for counts in (reference, current))
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ours = np.nan_to_num(p * np.log2(p / middle)).sum(axis=1)
        theirs = np.nan_to_num(q * np.log2(q / middle)).sum(axis=1)
    return np.asarray(np.clip((ours + theirs) / 2, 0.0, 1.0))


def measure(categories: Categories) -> Measured:
    """The distance: the root of the divergence. scipy's has the same, at base e unless told: 0.83 instead of 1."""
    import numpy as np

    ours, theirs = categories.pooled()
    statistic, freedom = two_by_k(ours, theirs)
    own = 8 * math.log(2) * categories.effective * divergence(ours, theirs)
    bits = divergence(np.broadcast_to(categories.reference, categories.current.shape), categories.current)
    return Measured(np.sqrt(bits), chi_square(np.minimum(own, statistic), freedom))


TEST = DriftTest(
    TestDefinition(
        "jensen_shannon",
        "distance of two sets of shares",
        "numbers (in bins), times, categories",
        0.1,
        "distance, 0 to 1",
        "root of the divergence to base 2; numbers in up to 10 bins of equal share of the reference, of at least 5 "
        "expected values each; empty bins need no filling",
        "asymptotic: 8 ln 2 e JSD is chi-square with K - 1 degrees, e = n m / (n + m), rare categories being one as in "
        "chi2; the smaller of it and chi2's statistic, as it is too large where few are expected",
        "Lin, Divergence Measures Based on the Shannon Entropy, IEEE Trans. Inf. Theory 37, 1991",
    ),
    categories=measure,
)
