"""How good a model's predictions were before and are now, on rows whose labels are known by now."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.domain.drift import LEVEL, Kind, Rule, judged, overall
from mlconsole.domain.performance import TASKS, PerformanceReport, Task
from mlconsole.domain.plans import Effect
from mlconsole.errors import UsageError
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.drift.labelled import Columns, Counted, Question
    from mlconsole.drift.table import Table


@record
class PerformanceParams:
    """Whose predictions, which labels."""

    reference: str = param(
        help="predictions as they should be: a file, a pattern, a dataset", positional=True, metavar="REFERENCE"
    )
    current: str = param(help="predictions as they are", positional=True, metavar="CURRENT")
    label: str | None = param(None, help="column of what was true", metavar="COLUMN")
    prediction: str | None = param(None, help="column of what was predicted", metavar="COLUMN")
    score: str | None = param(
        None, help="column of the positive class's score, for the area under the curve", metavar="COLUMN"
    )
    labels: str | None = param(
        None, help="labels that came later: a file or pattern with --key and --label", metavar="DATA"
    )
    key: str | None = param(None, help="column that joins predictions with late labels", metavar="COLUMN")
    positive: str | None = param(None, help="the positive class, where it is not 1 or true", metavar="VALUE")
    task: str | None = param(None, help="classes or numbers, where the labels do not tell", choices=TASKS)
    slices: str | None = param(None, help="also within the most frequent values of these columns", metavar="NAMES")
    level: float = param(LEVEL, help="share of false discoveries that is put up with", metavar="SHARE")
    floor: tuple[str, ...] = param(
        (), help="least worsening that counts, as METRIC=VALUE; may be given again", metavar="M=V"
    )


def performance(ctx: Context, params: PerformanceParams) -> PerformanceReport:
    """How good predictions were, and whether they got worse.

    Raises:
        UsageError: a column or a file is missing, or does not fit.
        ActionFailed: one of them cannot be read.
    """
    from mlconsole.actions.tables import table_named
    from mlconsole.drift.labelled import count, labels_of, metrics_of

    whole(params)
    rule = rule_of(params.level, params.floor)
    before, now = (table_named(ctx, word)[0] for word in (params.reference, params.current))
    late = table_named(ctx, params.labels)[0] if params.labels else None
    asked = question(params, (before, now), late)
    labels = None if late is None else labels_of(late, asked.columns)
    ours, theirs = (count(table, asked, labels if is_late(table, asked) else None) for table in (before, now))
    metrics = tuple(judged(metrics_of(ours.profile(""), theirs.profile(""), rule), rule))
    head = (params.reference, params.current, overall(metrics, ()), asked.task, asked.word)
    sizes = (ours.rows, theirs.rows, ours.labelled, theirs.labelled)
    return PerformanceReport(*head, *sizes, metrics, _notes(asked, ours, theirs))


def is_late(table: Table, asked: Question) -> bool:
    """True for a table whose labels stand elsewhere."""
    return bool(asked.columns.key) and asked.columns.key in table.kinds and asked.columns.label not in table.kinds


def _notes(asked: Question, before: Counted, now: Counted) -> tuple[str, ...]:
    notes = [
        f"{one.rows - one.labelled:,} of {one.rows:,} rows {where} have no label yet"
        for one, where in ((before, "before"), (now, "now"))
        if one.rows > one.labelled
    ]
    if asked.task is Task.CLASSES and asked.positive is None:
        notes.append("accuracy alone: --positive names the class that precision, recall, F1 and the area are of")
    return tuple(notes)


def whole(params: PerformanceParams) -> None:
    """Raise when a part of the question is missing.

    Raises:
        UsageError: which.
    """
    if not params.label or not (params.prediction or params.score):
        raise UsageError("Performance is of predictions and labels.", "Say --label COLUMN --prediction COLUMN.")
    if bool(params.labels) != bool(params.key):
        raise UsageError("Labels that came later are joined by a key.", "Say both: --labels DATA --key COLUMN.")


def rule_of(level: float, floors: tuple[str, ...]) -> Rule:
    """How verdicts are made.

    Raises:
        UsageError: no such level, metric or value.
    """
    from mlconsole.drift.performance import FLOORS

    if not 0 < level < 1:
        raise UsageError(f'"{level:g}" is no share.', "Write --level 0.01.")
    found = []
    for text in floors:
        name, _, value = text.partition("=")
        try:
            least = float(value)
        except ValueError:
            least = -1.0
        if name not in FLOORS or not 0 <= least < float("inf"):
            raise UsageError(
                f'"{text}" is no least worsening.', f"Write --floor accuracy=0.05. Known: {', '.join(FLOORS)}"
            )
        found.append((name, least))
    return Rule(level, tuple(found))


def question(
    params: PerformanceParams, compared: Sequence[Table], late: Table | None, *, is_stored: bool = False
) -> Question:
    """What is counted.

    Args:
        params: which columns, and what of them.
        compared: the tables of predictions, the reference first.
        late: labels that came later.
        is_stored: the counts are going to be kept: scores are cut less finely.

    Raises:
        UsageError: a column is missing, or the labels do not fit the task.
    """
    from mlconsole.actions.drift import words
    from mlconsole.drift.labelled import Columns, Question, classes_seen, is_numeric

    label, prediction = params.label or "", params.prediction or ""
    before, tables = compared[0], [*compared, *([late] if late is not None else [])]
    kinds = [table.kinds[name] for table in tables for name in (label, prediction) if name in table.kinds]
    slices = words(params.slices)
    columns = Columns(label, prediction, params.score or "", params.key or "", slices, is_numeric(kinds))
    for table in compared:
        table.only(columns.own(late is not None and label not in table.kinds))
    seen = classes_seen(before if label in before.kinds or late is None else late, columns)
    task = Task(params.task) if params.task else _task(columns, seen)
    if task is Task.NUMBERS and not (prediction and columns.is_numeric):
        raise UsageError(f'Numbers are compared with numbers: "{label}" and "{prediction}" are not all such.')
    edges, groups = _grid(columns, compared, is_stored=is_stored)
    positive = _positive(params.positive, columns, seen) if task is Task.CLASSES else None
    return Question(columns, task, positive, groups, edges)


def _grid(
    columns: Columns, compared: Sequence[Table], *, is_stored: bool
) -> tuple[array[float], tuple[tuple[str, str], ...]]:
    """Where scores are cut, and the most frequent values of the slices' columns before."""
    from mlconsole.drift.grid import grid_of, survey

    names = [name for name in (columns.score, *columns.slices) if name]
    if not names:
        return array("d"), ()
    kinds = dict.fromkeys(columns.slices, Kind.TEXT)
    surveys = [survey(table.only(names).with_kinds(kinds)) for table in compared]
    grid = grid_of(surveys, is_stored=is_stored, slices=columns.slices, named=[columns.score])
    return grid.cuts[columns.score].edges if columns.score else array("d"), grid.slices


def _task(columns: Columns, seen: set[float | str]) -> Task:
    """Numbers where labels have many values, or broken ones; else classes."""
    from mlconsole.drift.labelled import MOST_CLASSES

    if not columns.is_numeric or not columns.prediction:
        return Task.CLASSES
    is_many = len(seen) > MOST_CLASSES or any(isinstance(value, float) and value % 1 for value in seen)
    return Task.NUMBERS if is_many else Task.CLASSES


def _positive(word: str | None, columns: Columns, seen: set[float | str]) -> float | str | None:
    """The positive class: the one that was named, or 1 of 0 and 1, or true of true and false.

    Raises:
        UsageError: labels are numbers, and it is none.
    """
    if word is None:
        return 1.0 if columns.is_numeric and seen <= {0.0, 1.0} else None
    if not columns.is_numeric:
        return word
    known = {"true": 1.0, "false": 0.0}
    try:
        return known[word.lower()] if word.lower() in known else float(word)
    except ValueError:
        raise UsageError(f'Labels are numbers, and "{word}" is none.') from None


PERFORMANCE = Action(
    "drift performance",
    "Compare how good predictions were and are, with labels that came later",
    PerformanceParams,
    Effect.READ,
    performance,
)
