"""Wasserstein's distance in standard deviations, with the significance of Anderson and Darling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import anderson_darling
from mlconsole.drift.stack import Numbers
from mlconsole.drift.tests import DriftTest, Measured

if TYPE_CHECKING:
    import numpy as np

HUGE = 1e150


def measure(numbers: Numbers) -> Measured:
    """How far the values moved on the average, in standard deviations of the reference.

    The distance's own law depends on the tails of a distribution that is not known: with heavy tails a normal
    approximation calls far too often in small windows. Significance is that of Anderson and Darling, whose law is
    the same for all distributions and which sees a shift almost as well as the best test of a shift.
    """
    return Measured(distance(numbers), anderson_darling(statistic(numbers)))


def distance(numbers: Numbers) -> np.ndarray:
    """The integral of |F - G| over the scale; between two edges both are taken as straight lines.

    scipy's is infinite or not a number from 1e308 on, and where the reference is constant a standard deviation is no
    unit: the scale is then that of both together.
    """
    import numpy as np

    ours, theirs = numbers.distributions()
    gap = theirs - ours
    wide = np.longdouble if np.abs(numbers.edges).max(initial=0.0) > HUGE else np.float64
    widths = np.diff(numbers.edges.astype(wide))
    left, right = np.abs(gap[:, 1:-1:2]), np.abs(gap[:, 2::2])
    same = gap[:, 1:-1:2] * gap[:, 2::2] >= 0
    with np.errstate(invalid="ignore", divide="ignore"):
        crossing = np.nan_to_num((left**2 + right**2) / (2 * (left + right)))
    inside = (np.where(same, (left + right) / 2, crossing) * widths).sum(axis=1)
    outside = np.abs(numbers.beyond.astype(wide) - numbers.reference_beyond).sum(axis=1)
    scaled = (inside + outside) / numbers.scale
    total: np.ndarray = np.minimum(scaled, np.finfo(np.float64).max).astype(np.float64)
    return total


def statistic(numbers: Numbers) -> np.ndarray:
    """A2 of two samples on the cells: e times the mean over the pooled sample of (F - G)2 / (H (1 - H)).

    A cell's mass counts half at each of its ends, which makes the statistic of two values alone half a chi-square:
    its tail is then below the law that is asked, never above.
    """
    import numpy as np

    ours, theirs = numbers.distributions()
    n, m = numbers.reference.sum(), numbers.n[:, None]
    pooled = (n * ours + m * theirs) / (n + m)
    mass = np.diff(pooled, axis=1, prepend=0.0, append=1.0)
    weight = (mass[:, :-1] + mass[:, 1:]) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where((pooled > 1e-12) & (pooled < 1 - 1e-12), (theirs - ours) ** 2 / (pooled * (1 - pooled)), 0.0)
    total: np.ndarray = numbers.effective * (terms * weight).sum(axis=1)
    return total


TEST = DriftTest(
    TestDefinition(
        "wasserstein",
        "mean distance that values moved, in standard deviations (for numbers, if no other is named)",
        "numbers, times",
        0.1,
        "standard deviations of the reference",
        "W1 / std = integral of |F - G| / std; straight lines between edges: exact where all distinct values of both "
        "are edges; a constant reference is measured by the standard deviation of both",
        "asymptotic, Anderson-Darling of two samples on the same cells, two-sided; free of the distribution, "
        "conservative where values repeat",
        "Scholz and Stephens, K-Sample Anderson-Darling Tests, JASA 82, 1987; Marsaglia and Marsaglia, 2004",
    ),
    numbers=measure,
)
