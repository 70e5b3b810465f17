"""Wasserstein's distance in standard deviations, with the significance of Anderson and Darling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import anderson_darling, likelihood_ratio
from mlconsole.drift.stack import Numbers
from mlconsole.drift.tests import DriftTest, Measured

if TYPE_CHECKING:
    import numpy as np

HUGE = 1e150
PLAIN = 4.0
"""Up to here Pearson's statistic is taken as it is: nothing is called for it, and logarithms cost."""


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
    """A2 of two samples on the cells: the mean over the pooled sample of e (F - G)2 / (H (1 - H)).

    A cell's mass counts half at each of its ends, which makes the statistic of two values alone half a chi-square.
    Each term is Pearson's statistic of a table of 2 by 2, below a point and above it. In a tail of which a small
    window has hardly any expected it is far too large: one value of those that one row in a thousand has, among 30
    rows, would have a chance of 3e-5 and not 0.03. The smaller of it and the likelihood ratio is taken there, as in
    :func:`mlconsole.drift.laws.two_by_k`; Zhang, Powerful Goodness-of-Fit Tests Based on the Likelihood Ratio, 2002.
    """
    import numpy as np

    ours, theirs = numbers.distributions()
    n, m = numbers.reference.sum(), numbers.n[:, None]
    pooled = (n * ours + m * theirs) / (n + m)
    mass = np.diff(pooled, axis=1, prepend=0.0, append=1.0)
    weight = (mass[:, :-1] + mass[:, 1:]) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where((pooled > 1e-12) & (pooled < 1 - 1e-12), (theirs - ours) ** 2 / (pooled * (1 - pooled)), 0.0)
    terms *= numbers.effective[:, None]
    window, place = np.nonzero(terms > PLAIN)
    if len(window):
        ratio = likelihood_ratio(ours[place], n, theirs[window, place], m[window, 0])
        terms[window, place] = np.minimum(terms[window, place], ratio)
    total: np.ndarray = (terms * weight).sum(axis=1)
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
        "asymptotic, Anderson-Darling of two samples on the same cells, two-sided, each term the smaller of Pearson's "
        "and the likelihood ratio; free of the distribution, conservative where values repeat",
        "Scholz and Stephens, K-Sample Anderson-Darling Tests, JASA 82, 1987; Zhang, JRSS B 64, 2002; Marsaglia and "
        "Marsaglia, Evaluating the Anderson-Darling Distribution, 2004",
    ),
    numbers=measure,
)
