"""Values that are missing: null, not a number, infinite, or not of the column's kind."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.stack import FEWEST_EXPECTED, Stack
from mlconsole.drift.tests import DriftTest, Measured

if TYPE_CHECKING:
    import numpy as np


def measure(stack: Stack) -> Measured:
    """The change of the share of missing values; few of them are weighed exactly."""
    import numpy as np

    n, lost = stack.reference.rows, stack.reference.missing
    if not lost and not stack.missing.any():
        # The usual case, and a quarter of the time of a comparison.
        return Measured(np.zeros(len(stack.rows)), np.ones(len(stack.rows)))
    effect = np.abs(stack.missing / np.maximum(1, stack.rows) - lost / max(1, n))
    there = np.array([lost, n - lost], dtype=np.float64)
    statistic, freedom = two_by_k(there, np.stack([stack.missing, stack.rows - stack.missing], axis=1).astype(float))
    chance = chi_square(statistic, freedom)
    for place in np.flatnonzero(_few(stack)):
        chance[place] = fisher(lost, n, int(stack.missing[place]), int(stack.rows[place]))
    return Measured(effect, chance)


def _few(stack: Stack) -> np.ndarray:
    """The windows in which an expected count is small, and that have a missing value on either side."""
    import numpy as np

    n, lost = stack.reference.rows, stack.reference.missing
    both = lost + stack.missing
    share = both / np.maximum(1, n + stack.rows)
    least = np.minimum(share, 1 - share) * np.minimum(n, stack.rows)
    found: np.ndarray = (least < FEWEST_EXPECTED) & (both > 0) & (both < n + stack.rows)
    return found


@lru_cache(maxsize=4096)
def fisher(a: int, n: int, b: int, m: int) -> float:
    """Fisher's exact p, both sides: a of n against b of m; the sum over tables that are no likelier than this one.

    scipy's is the same; its statistics take 900 ms to import.
    """
    both = a + b
    if min(both, n + m - both) == 0:
        return 1.0
    low, high = max(0, both - n), min(both, m)

    def log_chance(k: int) -> float:
        return _log_choose(m, k) + _log_choose(n, both - k)

    whole, here = _log_choose(n + m, both), log_chance(b)
    total = sum(math.exp(one - whole) for k in range(low, high + 1) if (one := log_chance(k)) <= here + 1e-7)
    return min(1.0, total)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


TEST = DriftTest(
    TestDefinition(
        "missing",
        "share of values that are missing or invalid (made of every column)",
        "all",
        0.02,
        "share, 0 to 1",
        "|q - p| of the shares of null, NaN, infinite and invalid values",
        "2 by 2: exact (Fisher) where fewer than 5 are expected, else the smaller of Pearson's statistic and the "
        "likelihood ratio",
        "Fisher, Statistical Methods for Research Workers, 5th edition, 1934",
    ),
    rows=measure,
)
