"""Stopping a run: ask, wait, make it end, and name what would not."""

from __future__ import annotations

import shlex
from sqlite3 import Connection

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.jobs import current_job
from mlconsole.actions.people import refuse_processes_of_others
from mlconsole.actions.several import RUNS, runs_of
from mlconsole.actions.sync import refresh
from mlconsole.catalog.observations import apply_observation
from mlconsole.catalog.run_changes import note_change, set_columns
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.runs import Run, State
from mlconsole.domain.times import parse_duration
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record


@record
class StopParams:
    """Which runs, and how long they get."""

    runs: tuple[str, ...] = param((), help=RUNS, positional=True, cursor="marked", metavar="RUN")
    grace: str = param("10s", help="time between asking the program to end and making it end", metavar="DURATION")


def plan(ctx: Context, params: StopParams) -> Plan:
    """What stopping does to each run."""
    grace = grace_s(params.grace)
    steps: list[Step] = []
    runs = _stoppable(ctx, params)
    for run in runs:
        if run.state is State.QUEUED:
            steps.append(Step(f'take "{run.name}" ({run.id}) out of the line before its turn', run.host))
            continue
        steps.append(Step(f'ask "{run.name}" ({run.id}) to end: SIGTERM to every process of it', run.host))
        steps.append(Step(f"after {grace:g} s, SIGKILL to those that are left; survivors are named", run.host))
    lost = () if all(run.state is State.QUEUED for run in runs) else ("What the program has not saved is lost.",)
    # A sweep is named as itself: its runs may be hundreds.
    named = params.runs if len(params.runs) < len(runs) else tuple(run.id for run in runs)
    command = f"mlconsole run stop {shlex.join(named)} --grace {params.grace} --yes"
    return Plan("run stop", Effect.DESTROY, tuple(steps), irreversible=lost, command=command)


def grace_s(text: str) -> float:
    """The grace in seconds.

    Raises:
        UsageError: it is not a duration up to a day.
    """
    seconds = parse_duration(text)
    if seconds is None or not 0 <= seconds <= 86_400:
        raise UsageError(f'"{text}" is not a grace period.', "Write 10s, 2m or 0.")
    return seconds


def _stoppable(ctx: Context, params: StopParams) -> list[Run]:
    if not params.runs:
        raise UsageError("No run was given.", "mlconsole run stop RUN ...")
    refresh(ctx)
    runs = runs_of(ctx, params.runs, lambda run: run.state.is_live, "stop")
    for run in runs:
        if not run.state.is_live:
            raise ActionFailed(f'Run "{run.name}" has ended already ({run.outcome.value if run.outcome else "?"}).')
        refuse_processes_of_others(ctx, run)
        if run.backend is None:
            raise ActionFailed(
                f'Run "{run.name}" was not launched by mlconsole.', f"End its process on {run.host} yourself."
            )
    return runs


def stop(ctx: Context, params: StopParams) -> Run | list[Run]:
    """End runs; each one's intent is recorded before a signal is sent.

    Raises:
        ActionFailed: processes survived; the message names them.
        BackendUnreachable: the backend did not answer; the run is still marked as stopping.
    """
    grace = grace_s(params.grace)
    runs = _stoppable(ctx, params)
    for run in runs:
        _stop_one(ctx, run, grace)
    ended = ctx.catalog.runs.load([run.number for run in runs])
    if survivors := [run for run in ended if run.state is not State.ENDED or run.cleanup]:
        left = "; ".join(f'"{run.name}": {run.cleanup or run.state.value}' for run in survivors)
        raise ActionFailed(f"Stopped, but not everything ended: {left}.", "Look again: mlconsole run show RUN")
    return ended[0] if len(ended) == 1 else ended


def asked_by_words(ctx: Context, what: str) -> str:
    """Who asked for the end of a run, and, where a rule did, why."""
    why = f": {ctx.cause.why}" if ctx.cause and ctx.cause.why else ""
    return f"{ctx.actor} asked for {what}{why}"


def _stop_one(ctx: Context, run: Run, grace: float) -> None:
    if run.state in (State.QUEUED, State.SUBMITTING):
        from mlconsole.actions.line import stop_waiting  # 9 ms, for runs that have not started

        if ctx.write(lambda db: stop_waiting(db, ctx, run.number, "stop"), durable=True):
            return
    found = current_job(ctx, run.number)
    if found is None:
        raise ActionFailed(f'Run "{run.name}" was not launched by mlconsole.')
    job, handle = found
    now = ctx.clock()

    def intend(db: Connection) -> None:
        set_columns(db, run.number, state=State.STOPPING.value)
        note_change(db, run.number, now, State.STOPPING, None, asked_by_words(ctx, "a stop"))

    ctx.write(intend, durable=True)
    seen = ctx.backend(job.backend).cancel(handle, grace)
    ctx.write(lambda db: apply_observation(db, run.number, seen, ctx.clock()), durable=True)


STOP = Action(
    "run stop",
    "Stop runs: ask, then make them end",
    StopParams,
    Effect.DESTROY,
    stop,
    plan,
    target=lambda p: " ".join(p.runs),
    key="s",
    examples=(
        "mlconsole run stop train-8rb3 --dry-run",
        "mlconsole run stop train-8rb3 --grace 60s --yes",
    ),
)
