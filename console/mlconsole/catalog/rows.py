"""Makes domain objects of the catalog's rows. A row that cannot be read is shown as such and never hides its list."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from mlconsole.catalog.store import Row
from mlconsole.domain.runs import MetricSummary, Outcome, ParamValue, Reach, Run, State
from mlconsole.domain.times import from_us

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RUN_COLUMNS = """
    run.n, run.id, run.name, experiment.name, run.state, run.outcome, run.exit_code, run.reason, run.reach,
    run.reach_since_us, run.cleanup, run.backend, run.host, run.user, run.command, run.cwd, run.parent_id,
    run.commit_id, run.gpus, run.gpu_s, run.cost_microusd, run.created_us, run.started_us, run.ended_us, run.seen_us,
    (SELECT substr(detail.traceback, -4000) FROM detail WHERE detail.run = run.n)
"""


def run_of(
    row: Row,
    params: Mapping[str, ParamValue],
    metrics: Mapping[str, MetricSummary],
    tags: Mapping[str, str],
    datasets: Sequence[str],
) -> Run:
    """The run of a row of :data:`RUN_COLUMNS`."""
    (n, id_, name, experiment, state, outcome, exit_code, reason, reach, reach_since, cleanup, backend, host, user,
     command, cwd, parent, commit, gpus, gpu_s, cost, created, started, ended, seen, traceback) = row  # fmt: skip
    return Run(
        number=n,
        id=str(id_),
        name=str(name),
        experiment=str(experiment),
        state=state_of(state, ended),
        outcome=outcome_of(outcome),
        created_at=moment(created) or EPOCH,
        started_at=moment(started),
        ended_at=moment(ended),
        seen_at=moment(seen),
        exit_code=exit_code,
        reason=str(reason),
        error=exception_line(str(traceback or "")),
        reach=Reach.UNREACHABLE if reach == Reach.UNREACHABLE.value else Reach.OK,
        reach_since=moment(reach_since),
        cleanup=str(cleanup),
        backend=backend,
        host=str(host),
        user=str(user),
        command=_words(command),
        cwd=str(cwd),
        parent_id=parent,
        commit=commit,
        gpus=gpus,
        gpu_s=gpu_s,
        cost_microusd=cost,
        params=params,
        metrics=metrics,
        tags=tags,
        dataset_ids=tuple(datasets),
    )


def exception_line(traceback: str) -> str:
    """The line of a traceback that names the exception: the first one behind its last frame that stands at the edge.

    Of a group of exceptions it is the group's own. Where no frame is left of a text that was cut, it is the last line
    that may name one.
    """
    lines = [line.removeprefix("  | ") for line in traceback.splitlines() if line.strip()]
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    raised = [line for line in lines[frames[-1] :] if line[:1].strip()][:1] if frames else []
    named = raised or [line for line in lines if line[:1].strip() and ":" in line]
    return (named or lines or [""])[-1].strip()


def state_of(word: str, ended_us: int | None) -> State:
    """The state of that name; for a word of a newer version, ended or running by whether an end is recorded."""
    try:
        return State(word)
    except ValueError:
        return State.RUNNING if ended_us is None else State.ENDED


def outcome_of(word: str | None) -> Outcome | None:
    """The outcome of that name; unknown for a word of a newer version."""
    if word is None:
        return None
    try:
        return Outcome(word)
    except ValueError:
        return Outcome.UNKNOWN


def moment(us: int | None) -> datetime | None:
    """The time of so many microseconds; None for none, and for one beyond the calendar."""
    if us is None:
        return None
    try:
        return from_us(us)
    except OverflowError:
        return None


def json_of(text: str) -> Any:
    """What the JSON text says; the text itself where it says nothing."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def all_json_of(texts: Sequence[str]) -> list[Any]:
    """What each of the JSON texts says, as :func:`json_of`; read as one list where all are sound, in half the time."""
    try:
        found = json.loads(f"[{','.join(texts)}]")
    except (ValueError, RecursionError):
        found = []
    return found if len(found) == len(texts) else [json_of(text) for text in texts]


def json_mapping(text: str) -> dict[str, Any]:
    """The mapping that the JSON text says; an unreadable one under one name."""
    found = json_of(text)
    return found if isinstance(found, dict) else {"unreadable": str(found)}


def _words(command: str) -> tuple[str, ...]:
    found = json_of(command)
    return tuple(str(word) for word in found) if isinstance(found, list) else (str(found),)


def summary_of(row: Row) -> MetricSummary:
    """The summary of a row (last, min, max, step, count)."""
    last, low, high, step, count = row
    return MetricSummary(math.nan if last is None else float(last), low, high, step, count)


def by_run(rows: Sequence[Row], values: Sequence[T]) -> dict[int, dict[str, T]]:
    """Rows (run, name, ...), and the value of each, as one mapping a run."""
    out: dict[int, dict[str, T]] = {}
    for row, value in zip(rows, values, strict=True):
        out.setdefault(row[0], {})[str(row[1])] = value
    return out
