"""Kolmogorov-Smirnov."""

from __future__ import annotations

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.laws import kolmogorov
from mlconsole.drift.stack import Numbers
from mlconsole.drift.tests import DriftTest, Measured


def measure(numbers: Numbers) -> Measured:
    """The largest difference of the two distribution functions, at every edge and just before it.

    Both sides of an edge are looked at, because all of a jump can lie between two values of the reference: numbers
    that were whole and no longer are. Where every distinct value of the reference is an edge it is exact.
    """
    import numpy as np

    ours, theirs = numbers.distributions()
    distance = np.abs(theirs - ours).max(axis=1, initial=0.0)
    return Measured(distance, kolmogorov(distance, numbers.effective))


TEST = DriftTest(
    TestDefinition(
        "ks",
        "largest difference of the distribution functions",
        "numbers, times",
        0.05,
        "share, 0 to 1",
        "D = max |F - G| over the edges of the profile, both sides of each: exact where all distinct values are edges "
        "(ad hoc up to 20,000 rows a side), else at most one edge's share of the reference too small",
        "asymptotic (Kolmogorov's series with Stephens' correction), two-sided; conservative where values repeat",
        "Stephens, Use of the Kolmogorov-Smirnov, Cramer-von Mises and Related Statistics, JRSS B 32, 1970",
    ),
    numbers=measure,
)
