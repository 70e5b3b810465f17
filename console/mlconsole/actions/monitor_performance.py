"""Monitors of performance: what is asked of predictions and labels, and the baseline that it makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlconsole.actions.context import Context
from mlconsole.domain.drift import Rule
from mlconsole.domain.monitors import Monitor, WindowKind, window_spec
from mlconsole.domain.performance import PerformanceProfile, Predictions, Task
from mlconsole.domain.times import parse_duration
from mlconsole.errors import UsageError
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.actions.monitor import AddParams
    from mlconsole.catalog.monitors import StoredWindow
    from mlconsole.drift.labelled import Question

LONGEST_S = 366 * 86_400.0


@record
class Wanted:
    """What predictions are asked about when a baseline is counted: ``positive`` and ``task`` are words or None."""

    predictions: Predictions
    slices: tuple[str, ...]
    positive: str | None = None
    task: str | None = None


def predictions_of(params: AddParams) -> Predictions | None:
    """Which columns are judged; None for a monitor of drift.

    Raises:
        UsageError: a part is missing, or something is asked that is for drift alone.
    """
    named = (params.prediction, params.score, params.labels, params.key, params.positive, params.task)
    if not params.label:
        if any(named):
            raise UsageError("Performance is of predictions and labels.", "Say --label COLUMN --prediction COLUMN.")
        return None
    if not params.prediction and not params.score:
        raise UsageError("Performance is of predictions and labels.", "Say --label COLUMN --prediction COLUMN.")
    if bool(params.labels) != bool(params.key):
        raise UsageError("Labels that came later are joined by a key.", "Say both: --labels DATA --key COLUMN.")
    if params.tests or params.columns or params.expect:
        raise UsageError("A monitor of performance has metrics, and no tests, columns or checks.", "Make two monitors.")
    if params.labels and window_spec(params.window).kind is WindowKind.LAST:
        raise UsageError("Labels that come later are for windows that stay.", "Write --window rows:1000 or 24h.")
    within = parse_duration(params.labels_within)
    if within is None or not 0 <= within <= LONGEST_S:
        raise UsageError(f'"{params.labels_within}" is no time.', "Write --labels-within 7d.")
    labels = os.path.abspath(os.path.expanduser(params.labels)) if params.labels else ""
    return Predictions(
        params.label, params.prediction or "", params.score or "", labels, params.key or "", within if labels else 0.0
    )


def rule_of(level: float, floors: tuple[str, ...]) -> Rule:
    """How verdicts are made; floors are by metric.

    Raises:
        UsageError: no such level, metric or value.
    """
    from mlconsole.actions import performance

    return performance.rule_of(level, floors)


def counted(ctx: Context, word: str, wanted: Wanted) -> PerformanceProfile:
    """How good the predictions of some data are.

    Raises:
        UsageError: it is no data, lacks a column, or none of its rows has a label.
        ActionFailed: it cannot be read.
    """
    from mlconsole.actions.performance import PerformanceParams, is_late, question
    from mlconsole.actions.tables import digest_of, table_named
    from mlconsole.drift.labelled import count, labels_of

    asked = wanted.predictions
    table, digest = table_named(ctx, word)
    has_own = asked.label in table.kinds
    late = table_named(ctx, asked.labels)[0] if asked.labels and not has_own else None
    params = PerformanceParams(
        word,
        "",
        asked.label,
        asked.prediction or None,
        asked.score or None,
        key=asked.key or None,
        positive=wanted.positive,
        task=wanted.task,
        slices=",".join(wanted.slices),
    )
    found = question(params, (table,), late, is_stored=True)
    labels = None if late is None else labels_of(late, found.columns)
    counts = count(table, found, labels if is_late(table, found) else None)
    if not counts.labelled:
        raise UsageError(f'No row of "{word}" has a label and a prediction.', "The baseline needs both.")
    return counts.profile(word, digest=digest or digest_of(word), files=len(table.files), notes=table.notes)


def of_window(ctx: Context, monitor: Monitor, newest: StoredWindow) -> PerformanceProfile:
    """A window as a baseline, by its counts."""
    from mlconsole.catalog.performance_counts import window_profile

    before = ctx.catalog.monitors.performance(newest.baseline)
    return window_profile(before, newest.counts, f"{monitor.name}: {newest.label}", newest.rows)


def question_of(asked: Predictions, baseline: PerformanceProfile, slices: tuple[str, ...]) -> Question:
    """What is counted of live data, so that it can be compared with a baseline."""
    from mlconsole.drift.labelled import Columns, Question

    columns = Columns(asked.label, asked.prediction, asked.score, asked.key, slices, baseline.is_numeric)
    positive: float | str | None = baseline.positive or None
    if positive is not None and baseline.is_numeric:
        positive = float(positive)
    groups = tuple((column, value) for column, value, _ in baseline.groups if column)
    return Question(columns, Task(baseline.task), positive, groups, baseline.edges)
