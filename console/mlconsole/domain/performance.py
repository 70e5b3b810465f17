"""Performance of a model before and now, once labels are known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mlconsole.domain.drift import ColumnResult, Verdict


class Task(StrEnum):
    """What is predicted: one of some classes, or a number."""

    CLASSES = "classes"
    NUMBERS = "numbers"


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """Two tables of predictions with their labels.

    Attributes:
        reference: what it should be like.
        current: what it is like.
        verdict: one for all.
        task: what is predicted.
        positive: the class that precision and recall are of; empty where there is none.
        rows_reference: rows of the reference.
        rows: rows of the current data.
        labelled_reference: those of them with a label and a prediction.
        labelled: the same of the current data.
        metrics: a result for each metric and slice; ``worst`` holds both values, the effect is how much worse it is.
        notes: what was odd.
    """

    reference: str
    current: str
    verdict: Verdict
    task: Task
    positive: str
    rows_reference: int
    rows: int
    labelled_reference: int
    labelled: int
    metrics: tuple[ColumnResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """True when a metric got worse."""
        return self.verdict is Verdict.DRIFT
