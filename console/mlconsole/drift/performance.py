"""Metrics of predictions and labels, counted in one pass, and whether they got worse.

Every metric is a function of sums that can be added up over pieces, and so is its law: shares are compared as two by
two tables, F1 by the share that it is a function of, the area under the curve by DeLong's variance, errors by their
means' variances. No bootstrap: it would need the rows.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlconsole.domain.drift import Bin, ColumnResult, Rule, Verdict
from mlconsole.drift.laws import chi_square, two_by_k
from mlconsole.drift.profile import NumberTally
from mlconsole.drift.stack import FEWEST_EXPECTED
from mlconsole.drift.tests.missing import fisher

if TYPE_CHECKING:
    import numpy as np

FLOORS = {"accuracy": 0.02, "precision": 0.02, "recall": 0.02, "f1": 0.02, "auc_roc": 0.02}
FLOORS |= {"mae": 0.1, "rmse": 0.1, "bias": 0.1}
"""Least worsening that counts: of shares and areas as such, of errors as a part of what they were, of the bias (the
mean error) in standard deviations of the errors before."""


SUMS = ("bias", "mae", "rmse")


@dataclass(slots=True)
class Classes:
    """Predictions of classes counted against labels.

    Attributes:
        edges: where scores are cut; empty where there are none.
        n: labelled predictions.
        right: those that are right.
        tp: predicted and labelled as the positive class.
        fp: predicted so, and labelled otherwise.
        fn: labelled so, and predicted otherwise.
        positives: scores of what is labelled so.
        negatives: scores of the rest.
    """

    edges: array[float]
    n: int = 0
    right: int = 0
    tp: int = 0
    fp: int = 0
    fn: int = 0
    positives: NumberTally = field(init=False)
    negatives: NumberTally = field(init=False)

    def __post_init__(self) -> None:
        self.positives, self.negatives = NumberTally(self.edges), NumberTally(self.edges)

    def numbers(self) -> array[float]:
        """All that was counted, to be kept."""
        out = array("d", [self.n, self.right, self.tp, self.fp, self.fn])
        for tally in (self.positives, self.negatives):
            out.extend(tally.counts.tolist())
        return out

    def restore(self, numbers: array[float]) -> Classes:
        """This, with what :meth:`numbers` gave."""
        import numpy as np

        self.n, self.right, self.tp, self.fp, self.fn = (int(one) for one in numbers[:5])
        cells = np.array(numbers[5:]).astype(np.int64)
        self.positives.counts, self.negatives.counts = np.split(cells, 2)
        return self

    def add(self, label: np.ndarray, prediction: np.ndarray | None, score: np.ndarray | None, positive: object) -> None:
        """Count rows that have a label; ``positive`` is the positive class, None for none."""
        import numpy as np

        is_positive = np.zeros(len(label), dtype=bool) if positive is None else label == positive
        if prediction is not None:
            says_so = np.zeros(len(label), dtype=bool) if positive is None else prediction == positive
            self.n += len(label)
            self.right += int((label == prediction).sum())
            self.tp += int((is_positive & says_so).sum())
            self.fp += int((~is_positive & says_so).sum())
            self.fn += int((is_positive & ~says_so).sum())
        if score is not None and positive is not None:
            known = np.isfinite(score)
            self.positives.add(score[known & is_positive])
            self.negatives.add(score[known & ~is_positive])

    def shares(self) -> dict[str, tuple[int, int]]:
        """What is counted, of how many, for each metric that is a share."""
        return {
            "accuracy": (self.right, self.n),
            "precision": (self.tp, self.tp + self.fp),
            "recall": (self.tp, self.tp + self.fn),
            "f1": (self.tp, self.tp + self.fp + self.fn),
        }

    def area(self) -> tuple[float, float, int]:
        """The area under the curve, its variance, and the smaller class's size.

        DeLong, DeLong and Clarke-Pearson, Comparing the Areas under Two or More Correlated ROC Curves, 1988, on cells:
        two scores in the same cell are a tie, half a win, as two equal scores are.
        """
        ours, theirs = self.positives.counts.astype(float), self.negatives.counts.astype(float)
        n, m = ours.sum(), theirs.sum()
        if not n or not m:
            return math.nan, math.nan, 0
        below = theirs.cumsum() - theirs / 2
        above = ours[::-1].cumsum()[::-1] - ours / 2
        wins, losses = below / m, above / n
        area = float((ours * wins).sum() / n)
        spread = (ours * (wins - area) ** 2).sum() / max(1.0, n - 1) / n
        other = (theirs * (losses - area) ** 2).sum() / max(1.0, m - 1) / m
        return area, float(spread + other), int(min(n, m))


@dataclass(slots=True)
class Errors:
    """Errors of predicted numbers: sums of their powers, in 80 bits because the fourth power of some is beyond 64."""

    n: int = 0
    sums: dict[str, tuple[np.longdouble, np.longdouble]] = field(default_factory=dict)

    def numbers(self) -> array[float]:
        """All that was counted, to be kept; a sum of 80 bits as two numbers of 64."""
        out = array("d", [self.n])
        for name in SUMS:
            for total in self.sums.get(name, (0, 0)):
                out.extend([float(total), float(total - type(total)(float(total)))])
        return out

    def restore(self, numbers: array[float]) -> Errors:
        """This, with what :meth:`numbers` gave."""
        import numpy as np

        self.n = int(numbers[0])
        for place, name in enumerate(SUMS):
            a, b, c, d = (np.longdouble(one) for one in numbers[1 + 4 * place : 5 + 4 * place])
            self.sums[name] = a + b, c + d
        return self

    def add(self, label: np.ndarray, prediction: np.ndarray) -> None:
        """Count rows that have both."""
        import numpy as np

        error = prediction.astype(np.longdouble) - label
        error = error[np.isfinite(error)]
        self.n += len(error)
        for name, values in zip(SUMS, (error, np.abs(error), error**2), strict=True):
            total, squares = self.sums.get(name, (np.longdouble(0), np.longdouble(0)))
            self.sums[name] = total + values.sum(), squares + (values**2).sum()

    def mean(self, name: str) -> tuple[float, float]:
        """The mean of the errors, their sizes or their squares, and its variance."""
        if not self.n:
            return math.nan, math.nan
        total, squares = self.sums[name]
        mean = total / self.n
        return float(mean), max(0.0, float(squares / self.n - mean**2)) / max(1, self.n - 1)


def of_classes(before: Classes, now: Classes, rule: Rule, piece: str = "") -> list[ColumnResult]:
    """Accuracy, precision, recall, F1 and the area under the curve, as far as they can be told."""
    out = []
    theirs = now.shares()
    for name, (a, n) in before.shares().items():
        b, m = theirs[name]
        if before.n + now.n and (name == "accuracy" or before.tp + before.fn + now.tp + now.fn):
            value, other = (_f1(a, n), _f1(b, m)) if name == "f1" else (_share(a, n), _share(b, m))
            worse = value - other
            out.append(_result(name, (value, other, worse), _chance(a, n, b, m), (n, m), rule, piece))
    area, spread, n = before.area()
    other, other_spread, m = now.area()
    if n + m:
        chance = _normal(area - other, spread + other_spread)
        out.append(_result("auc_roc", (area, other, area - other), chance, (n, m), rule, piece))
    return out


def of_numbers(before: Errors, now: Errors, rule: Rule, piece: str = "") -> list[ColumnResult]:
    """Mean absolute error, root of the mean squared error, and bias."""
    out = []
    sizes = before.n, now.n
    for name in ("mae", "rmse", "bias"):
        (a, spread), (b, other) = (one.mean(name) if one.n else (math.nan, math.nan) for one in (before, now))
        chance = _normal(a - b, spread + other)
        value, current = (math.sqrt(a), math.sqrt(b)) if name == "rmse" else (a, b)
        worse = (current - value) / (value or current or 1.0)
        if name == "bias":
            worse = abs(b - a) / (math.sqrt(spread * max(1, before.n - 1)) or abs(b - a) or 1.0)
        out.append(_result(name, (value, current, worse), chance, sizes, rule, piece))
    return out


def _result(
    name: str, values: tuple[float, float, float], chance: float, sizes: tuple[int, int], rule: Rule, piece: str
) -> ColumnResult:
    floor = dict(rule.floors).get(name, FLOORS[name])
    before, now, worse = values
    if min(sizes) < rule.fewest:
        which = "before" if sizes[0] < rule.fewest else "now"
        note = f"of {rule.fewest} labels needed, {min(sizes)} are there {which}"
        verdict = Verdict.INSUFFICIENT
        return ColumnResult(name, name, None, None, verdict, *sizes, floor, note=note, slice=piece)
    worst = Bin(name, before, now)
    return ColumnResult(name, name, worse, chance, Verdict.OK, *sizes, floor, worst=worst, slice=piece)


def _share(a: int, n: int) -> float:
    return a / n if n else math.nan


def _f1(tp: int, all_three: int) -> float:
    """F1 of the share of true positives among true positives, false positives and false negatives."""
    share = _share(tp, all_three)
    return 2 * share / (1 + share)


def _chance(a: int, n: int, b: int, m: int) -> float:
    """The chance that two shares differ so much: exact (Fisher) where few are expected."""
    import numpy as np

    if not n or not m:
        return 1.0
    share = (a + b) / (n + m)
    if min(share, 1 - share) * min(n, m) < FEWEST_EXPECTED:
        return fisher(a, n, b, m)
    statistic, freedom = two_by_k(np.array([a, n - a], dtype=float), np.array([[b, m - b]], dtype=float))
    return float(chi_square(statistic, freedom)[0])


def _normal(apart: float, variance: float) -> float:
    """The chance of such a difference of means or a larger one, on either side."""
    if not math.isfinite(apart) or not math.isfinite(variance):
        return 1.0
    if variance <= 0:
        return 0.0 if apart else 1.0
    return math.erfc(abs(apart) / math.sqrt(2 * variance))
