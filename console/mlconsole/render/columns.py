"""Columns of the runs table: the same for the command line and the screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mlconsole.domain.query import Field, FieldKind, parse_field
from mlconsole.domain.runs import Run
from mlconsole.records import record
from mlconsole.render import numbers
from mlconsole.render.states import mark_of


@record
class RunColumn:
    """One column.

    Attributes:
        key: its name in ``cols:`` and ``--columns``.
        title: the heading, with the unit where there is one.
        cell: the text of a run's cell and its theme token, not yet sanitised.
        right: numbers stand right-aligned.
        width: cells wished for; ``least`` is the least that makes sense.
        priority: the lower, the longer the column stays on a narrow screen.
    """

    key: str
    title: str
    cell: Callable[[Run, datetime], tuple[str, str]]
    right: bool = False
    width: int = 12
    least: int = 6
    priority: int = 50


def _text(get: Callable[[Run], str], token: str = "value") -> Callable[[Run, datetime], tuple[str, str]]:
    return lambda run, now: (get(run), token)


def _state(run: Run, now: datetime) -> tuple[str, str]:
    mark = mark_of(run)
    return f"{mark.glyph} {mark.word}", mark.token


def _age(run: Run, now: datetime) -> tuple[str, str]:
    return numbers.duration((now - run.created_at).total_seconds()), "dim"


def spent_text(run: Run) -> str:
    """What a run has cost, its GPUs and their hours; empty where nothing is charged and no GPU was held."""
    parts = []
    if run.cost_microusd is not None:
        parts.append(numbers.money(run.cost_microusd) + (" so far" if run.state.is_live else ""))
    if run.gpus:
        parts.append(f"{run.gpus} GPU{'s' if run.gpus > 1 else ''}")
    if run.gpu_s:
        parts.append(f"{run.gpu_s / 3600:,.2f} GPU hours")
    return ", ".join(parts)


def _command(run: Run) -> str:
    import shlex  # 0.5 ms, where commands are asked for

    return shlex.join(run.command)


def tags_text(run: Run) -> str:
    """The tags as they are typed: ``debug team=nlp``."""
    return " ".join(key if not value else f"{key}={value}" for key, value in run.tags.items())


BUILTIN: tuple[RunColumn, ...] = (
    RunColumn("name", "NAME", _text(lambda run: run.name, "name"), width=28, least=12, priority=0),
    RunColumn("state", "STATE", _state, width=13, least=11, priority=1),
    RunColumn("experiment", "EXPERIMENT", _text(lambda run: run.experiment), width=16, least=8, priority=30),
    RunColumn("created", "CREATED", lambda run, now: (numbers.ago(run.created_at, now), "dim"), True, 10, 8, 20),
    RunColumn("duration", "TIME", lambda run, now: (numbers.duration(run.duration_s(now)), "value"), True, 7, 6, 10),
    RunColumn("user", "USER", _text(lambda run: run.user), width=10, priority=40),
    RunColumn("host", "HOST", _text(lambda run: run.host), width=14, priority=45),
    RunColumn("id", "ID", _text(lambda run: run.id, "dim"), width=12, least=12, priority=35),
    RunColumn("outcome", "OUTCOME", _text(lambda run: run.outcome.value if run.outcome else ""), width=12),
    RunColumn("exit_code", "EXIT", _text(lambda run: "" if run.exit_code is None else str(run.exit_code)), True, 5, 4),
    RunColumn("reason", "REASON", _text(lambda run: run.why), width=30),
    RunColumn("reach", "REACH", _text(lambda run: run.reach.value), width=11),
    RunColumn("backend", "BACKEND", _text(lambda run: run.backend or ""), width=9),
    RunColumn("command", "COMMAND", _text(_command), width=40),
    RunColumn("started", "STARTED", lambda run, now: (numbers.ago(run.started_at, now), "dim"), True, 10, 8),
    RunColumn("ended", "ENDED", lambda run, now: (numbers.ago(run.ended_at, now), "dim"), True, 10, 8),
    RunColumn("age", "AGE", _age, True, 7),
    RunColumn("gpus", "GPUS", _text(lambda run: str(run.gpus) if run.gpus else ""), True, 4, 4),
    RunColumn("gpu_hours", "GPU h", _text(lambda run: f"{run.gpu_s / 3600:.2f}" if run.gpu_s else ""), True, 8),
    RunColumn("cost", "COST", _text(lambda run: numbers.money(run.cost_microusd)), True, 10),
    RunColumn("commit", "COMMIT", _text(lambda run: (run.commit or "")[:10], "dim"), width=10),
    RunColumn("parent", "PARENT", _text(lambda run: run.parent_id or "", "dim"), width=12),
    RunColumn("tags", "TAGS", _text(tags_text), width=16),
)  # fmt: skip
BY_KEY = {column.key: column for column in BUILTIN}
DEFAULT = ("id", "name", "state", "experiment", "created", "duration", "user")


def column(key: str) -> RunColumn:
    """The column of that name: a built-in one, or that of a metric, param or tag; ``min(loss)`` as in a filter."""
    place = parse_field(key)
    if place.kind is FieldKind.BUILTIN or key in BY_KEY:
        return BY_KEY[place.name]
    title = place.name if place.aggregate == "last" else f"{place.aggregate}({place.name})"
    return RunColumn(key, title, _text(lambda run: _value(run, place)), True, max(9, min(16, len(title))), 6, 15)


def _value(run: Run, place: Field) -> str:
    kind, key = place.kind, place.name
    if kind in (FieldKind.ANY, FieldKind.METRIC) and key in run.metrics:
        return numbers.measured(getattr(run.metrics[key], place.aggregate))
    if kind in (FieldKind.ANY, FieldKind.PARAM) and key in run.params:
        value = run.params[key]
        return numbers.number(value) if isinstance(value, (int, float)) else str(value)
    return run.tags.get(key, "") if kind in (FieldKind.ANY, FieldKind.TAG) else ""
