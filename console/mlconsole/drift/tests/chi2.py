"""Chi-square of homogeneity: are both samples drawn from the same shares?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import FEWEST_EXPECTED, Categories
from mlconsole.drift.tests import DriftTest, Measured

if TYPE_CHECKING:
    import numpy as np


def measure(categories: Categories) -> Measured:
    """The share of rows that changed category (total variation), and the chance of it."""
    import numpy as np

    p, q = categories.shares()
    effect = np.abs(q - p).sum(axis=1) / 2
    statistic, freedom = two_by_k(*pooled(categories))
    return Measured(effect, chi_square(statistic, freedom))


def pooled(categories: Categories) -> tuple[np.ndarray, np.ndarray]:
    """The counts with rare categories moved into the last column: W by K + 1 of the reference, and of the windows.

    Rare is an expected count below 5 in the smaller sample. Expected, of both together: pooling by what one of them
    shows would favour what moved.
    """
    import numpy as np

    ours = np.broadcast_to(categories.reference, categories.current.shape)
    both = ours + categories.current
    smaller = np.minimum(ours.sum(axis=1), categories.current.sum(axis=1))[:, None]
    rare = both / both.sum(axis=1, keepdims=True) * smaller < FEWEST_EXPECTED
    parts = []
    for counts in (ours, categories.current):
        rest = np.where(rare, counts, 0.0).sum(axis=1, keepdims=True)
        parts.append(np.hstack([np.where(rare, 0.0, counts), rest]))
    return parts[0], parts[1]


TEST = DriftTest(
    TestDefinition(
        "chi2",
        "share of rows that changed category (for categories, if no other is named)",
        "categories, numbers (in bins), times",
        0.05,
        "share, 0 to 1 (total variation)",
        "effect: half the sum of |q - p|. Categories with fewer than 5 expected values are one",
        "asymptotic, contingency table of 2 by K without Yates' correction: the smaller of Pearson's statistic and "
        "the likelihood ratio, chi-square with K - 1 degrees",
        "Pearson 1900; Wilks 1938; Cochran, Some Methods for Strengthening the Common Chi-Square Tests, 1954",
    ),
    categories=measure,
)
