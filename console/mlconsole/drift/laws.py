"""The laws of test statistics where nothing moved, on arrays.

scipy has these laws, at 450 ms of import for its special functions alone and 900 ms for its statistics, of the 1,500
that a whole comparison may take; the tests of this module compare with it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SERIES_FROM = 5.0


def chi_square(statistic: np.ndarray, freedom: np.ndarray | int) -> np.ndarray:
    """P(X > statistic) of a chi-square law; no degree of freedom gives 1.

    For whole degrees of freedom it is a finite sum: Abramowitz and Stegun, Handbook, 26.4.4 and 26.4.5.
    """
    import numpy as np

    half = np.maximum(np.asarray(statistic, dtype=np.float64), 0.0) / 2
    degrees = np.broadcast_to(np.asarray(freedom), half.shape)
    out = np.ones(half.shape)
    for degree in np.unique(degrees[degrees > 0]):
        here = degrees == degree
        out[here] = _upper_gamma(half[here], int(degree))
    return out


def _upper_gamma(half: np.ndarray, degree: int) -> np.ndarray:
    import numpy as np

    if degree % 2:
        total = np.array([math.erfc(math.sqrt(value)) for value in half])
        steps = [i + 0.5 for i in range((degree - 1) // 2)]
    else:
        total = np.zeros(half.shape)
        steps = [float(i) for i in range(degree // 2)]
    with np.errstate(divide="ignore", under="ignore"):
        logs = np.log(half)
        for i in steps:
            total = total + np.exp((i * logs if i else 0.0) - half - math.lgamma(i + 1))
    return np.asarray(np.clip(total, 0.0, 1.0))


def kolmogorov(distance: np.ndarray, effective: np.ndarray) -> np.ndarray:
    """P(D > distance) of two samples that weigh ``effective`` together, both sides.

    Kolmogorov's series at (sqrt(e) + 0.12 + 0.11 / sqrt(e)) D: Stephens, Use of the Kolmogorov-Smirnov, Cramer-von
    Mises and Related Statistics Without Extensive Tables, 1970. Asymptotic, good from e = 4; too large, so on the safe
    side, where values repeat.
    """
    import numpy as np

    root = np.sqrt(effective)
    t = np.maximum((root + 0.12 + 0.11 / np.maximum(root, 1e-9)) * distance, 1e-9)
    k = np.arange(1, 101)[:, None]
    with np.errstate(under="ignore"):
        upper = 2 * ((-1.0) ** (k - 1) * np.exp(-2 * k**2 * t**2)).sum(axis=0)
        # Below 1 the other series of the same law converges.
        odd = (2 * k - 1) ** 2
        lower = 1 - math.sqrt(2 * math.pi) / t * np.exp(-odd * math.pi**2 / (8 * t**2)).sum(axis=0)
    return np.asarray(np.clip(np.where(t < 1, lower, upper), 0.0, 1.0))


def anderson_darling(statistic: np.ndarray) -> np.ndarray:
    """P(A2 > statistic), asymptotic.

    Up to 5 the approximation of Marsaglia and Marsaglia, Evaluating the Anderson-Darling Distribution, 2004, which is
    good to 1e-6 and therefore useless for small chances; from there the first two terms of the law's expansion at its
    largest weight (A2 is a sum of chi-squares with weights 1/(j(j+1)); Zolotarev 1961 gives the first term):
    sqrt(3) (erfc(sqrt x) + 11/36 (2 exp(-x)/sqrt(pi x) - 2 erfc(sqrt x))).
    """
    import numpy as np

    z = np.maximum(np.asarray(statistic, dtype=np.float64), 1e-9)
    with np.errstate(over="ignore", under="ignore"):
        low = np.exp(-1.2337141 / z) / np.sqrt(z) * _horner(z, _BELOW_2)
        high = np.exp(-np.exp(_horner(np.minimum(z, 8), _FROM_2)))
        tail = np.array([math.erfc(math.sqrt(value)) for value in z.ravel()]).reshape(z.shape)
        more = 2 * np.exp(-z) / np.sqrt(math.pi * z) - 2 * tail
    far = math.sqrt(3) * (tail + 11 / 36 * more)
    return np.asarray(np.clip(np.where(z < 2, 1 - low, np.where(z < SERIES_FROM, 1 - high, far)), 0.0, 1.0))


_BELOW_2 = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691)
_FROM_2 = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)


def _horner(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    import numpy as np

    out = np.zeros(x.shape)
    for coefficient in reversed(coefficients):
        out = out * x + coefficient
    return out


def two_by_k(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(statistic, degrees of freedom) of homogeneity: the smaller of Pearson's and the likelihood ratio's.

    Pearson's alone calls rare categories too often where one sample is much larger: at 15 % of 30 rows against
    10,000, chances of 1 in 5,000 came up 3.6 times as often. The likelihood ratio errs the other way there, and
    elsewhere Pearson's is the smaller; the smaller of the two stayed below its nominal rate throughout.

    Args:
        reference: K counts, or W by K.
        current: W by K counts.
    """
    import numpy as np

    ours = np.broadcast_to(reference, current.shape)
    both = ours + current
    n, m = ours.sum(axis=1, keepdims=True), current.sum(axis=1, keepdims=True)
    pearson, ratio = np.zeros(len(current)), np.zeros(len(current))
    with np.errstate(divide="ignore", invalid="ignore"):
        for observed, share in ((ours, n / (n + m)), (current, m / (n + m))):
            expected = both * share
            pearson += np.nan_to_num((observed - expected) ** 2 / expected).sum(axis=1)
            ratio += 2 * np.nan_to_num(observed * np.log(observed / expected)).sum(axis=1)
    freedom = np.maximum((both > 0).sum(axis=1) - 1, 0)
    return np.minimum(pearson, ratio), freedom


def likelihood_ratio(ours: np.ndarray, n: float, theirs: np.ndarray, m: np.ndarray) -> np.ndarray:
    """The likelihood ratio statistic of tables of 2 by 2, from shares.

    Args:
        ours: the share of the reference's values that lie below a point.
        n: how many values the reference has.
        theirs: the same share of a window.
        m: how many values that window has.
    """
    import numpy as np

    pooled = (n * ours + m * theirs) / (n + m)
    total = np.zeros(len(ours))
    with np.errstate(divide="ignore", invalid="ignore"):
        for many, share in ((n, ours), (m, theirs)):
            for part, whole in ((share, pooled), (1 - share, 1 - pooled)):
                total += 2 * many * np.nan_to_num(part * np.log(part / whole))
    return total
