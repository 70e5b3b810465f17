"""Performance of a model before and now, once labels are known."""

from __future__ import annotations

from array import array
from enum import StrEnum

from mlconsole.domain.drift import ColumnResult, Verdict
from mlconsole.records import record


class Task(StrEnum):
    """What is predicted: one of some classes, or a number."""

    CLASSES = "classes"
    NUMBERS = "numbers"


METRICS = frozenset({"accuracy", "precision", "recall", "f1", "auc_roc", "mae", "rmse", "bias"})
TASKS = tuple(task.value for task in Task)


@record
class Predictions:
    """What a monitor of performance judges: which columns, and where the labels come from.

    Attributes:
        label: the column of what was true.
        prediction: the column of what was predicted; empty where there are scores alone.
        score: the column of the positive class's score; empty for none.
        labels: the pattern of the labels that come later; empty where they stand beside the predictions.
        key: the column that joins the two.
        within_s: so long after a window has ended its labels are waited for.
    """

    label: str
    prediction: str
    score: str = ""
    labels: str = ""
    key: str = ""
    within_s: float = 0.0


@record
class PerformanceProfile:
    """Predictions counted against labels: all that is kept of them.

    Attributes:
        source: what was read, in words.
        rows: how many rows that had.
        labelled: how many of them with a label and a prediction.
        task: what is predicted.
        positive: the class that precision and recall are of; empty for none.
        is_numeric: classes are compared as numbers.
        edges: where scores are cut.
        groups: all rows, and each slice: its column and value, and its counts.
        digest: tells it from other data.
        files: of how many files.
        notes: what was odd.
    """

    source: str
    rows: int
    labelled: int
    task: Task
    positive: str
    is_numeric: bool
    edges: array[float]
    groups: tuple[tuple[str, str, array[float]], ...]
    digest: str = ""
    files: int = 1
    notes: tuple[str, ...] = ()


@record
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
