"""Reproducing a run: the verdict, and what it rests on."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from enum import StrEnum

from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.run_diff import Difference
from mlconsole.domain.runs import Run
from mlconsole.records import record


class Obstacle(Exception):
    """What keeps a run from being run again as it was: an input that is not what it was."""

    def __init__(self, row: Difference) -> None:
        super().__init__(row.key)
        self.row = row


class Verdict(StrEnum):
    """What came of it."""

    IDENTICAL = "bit-identical"
    WITHIN = "within tolerance"
    DIVERGED = "diverged"
    NOT_RUN = "could not run"


@record
class Reproduction:
    """A run that was run again.

    Attributes:
        run: the run.
        again: the one that was launched; None where none was.
        verdict: what came of it.
        words: why.
        inputs: what went in and differs, causes first.
        outputs: what came out and differs.
        notes: what a person should know, as that something was not recorded.
    """

    run: Run
    again: Run | None
    verdict: Verdict
    words: str
    inputs: tuple[Difference, ...] = ()
    outputs: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Difference | None:
        """The first input that differs; where none does, the first output."""
        return next(iter((*self.inputs, *self.outputs)), None)

    @property
    def failed(self) -> bool:
        """Whether a script should stop here."""
        return self.verdict in (Verdict.DIVERGED, Verdict.NOT_RUN)


def is_identical(before: MetricHistory, after: MetricHistory) -> bool:
    """Whether two histories have the same steps and the same bits of values; when they were logged does not count."""
    return _has_same_steps(before, after) and _bits(before.values) == _bits(after.values)


def _has_same_steps(before: MetricHistory, after: MetricHistory) -> bool:
    # The same steps may be a range in one history and an array in the other.
    return before.steps == after.steps or list(before.steps) == list(after.steps)


def _bits(values: Sequence[float]) -> bytes:
    return struct.pack(f"{len(values)}d", *values)


def is_within(before: MetricHistory, after: MetricHistory, tolerance: float) -> bool:
    """Whether every value is, relative to the larger of the two; NaN is within NaN, and an infinity within its like."""
    if not _has_same_steps(before, after):
        return False
    pairs = zip(before.values, after.values, strict=True)
    return all((math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=tolerance) for a, b in pairs)
