"""Changing the queue: hold, release, move, requeue; drain and resume a machine."""

from __future__ import annotations

import json
from sqlite3 import Connection
from typing import Any

from mlconsole.actions import parcels, turns
from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.names import parse_pairs
from mlconsole.actions.several import RUNS, runs_of
from mlconsole.actions.sync import refresh
from mlconsole.catalog import queue
from mlconsole.config import launch_environment
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done
from mlconsole.domain.runs import Run, State
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record, replace


@record
class RunsParams:
    """Which runs."""

    runs: tuple[str, ...] = param((), help=RUNS, positional=True, cursor="marked", metavar="RUN")


def _all_waiting(ctx: Context, words: tuple[str, ...], verb: str) -> list[Run]:
    """The runs, each of which waits for its turn on this machine.

    Raises:
        UsageError: none was given.
        ActionFailed: one does not wait.
    """
    if not words:
        raise UsageError("No run was given.", "See who waits: mlconsole job list")
    return _waiting(ctx, runs_of(ctx, words, lambda run: run.state is State.QUEUED, verb))


def _waiting(ctx: Context, runs: list[Run]) -> list[Run]:
    for run in runs:
        job = ctx.catalog.queue.job(run.number)
        if job is None or not job.waits or job.claim is not None:
            raise ActionFailed(f'Run "{run.name}" does not wait for a turn: it is {run.state.value}.')
    return runs


def _change(ctx: Context, runs: list[Run], **columns: object) -> None:
    def change(db: Connection) -> None:
        for run in runs:
            job = queue.job_row(db, run.number)
            if job is None or not job.waits or job.claim is not None:
                raise ActionFailed(f'The turn of run "{run.name}" has just come.')
            queue.set_job(db, run.number, **columns)

    ctx.write(change, durable=True)


def hold(ctx: Context, params: RunsParams) -> list[Run]:
    """Keep waiting runs back."""
    runs = _all_waiting(ctx, params.runs, "hold")
    _change(ctx, runs, held_by=ctx.settings.user)
    return ctx.catalog.runs.load([run.number for run in runs])


def plan_hold(ctx: Context, params: RunsParams) -> Plan:
    """Which runs stay where they are."""
    steps = tuple(
        Step(f'keep "{run.name}" back until it is released', run.id) for run in _all_waiting(ctx, params.runs, "hold")
    )
    return Plan("run hold", Effect.WRITE, steps, command=f"mlconsole run hold {' '.join(params.runs)}")


def release(ctx: Context, params: RunsParams) -> list[Run]:
    """Let held runs go, and those that come after a run which did not end as they want."""
    runs = _all_waiting(ctx, params.runs, "release")

    def let_go(db: Connection) -> None:
        for run in runs:
            queue.set_job(db, run.number, held_by="", not_before_us=0)
            queue.forget_needs(db, run.number)

    ctx.write(let_go, durable=True)
    turns.start_due(ctx)
    return ctx.catalog.runs.load([run.number for run in runs])


def plan_release(ctx: Context, params: RunsParams) -> Plan:
    """Which runs may start."""
    runs = _all_waiting(ctx, params.runs, "release")
    steps = tuple(Step(f'let "{run.name}" start when its turn comes, after no other run', run.id) for run in runs)
    return Plan("run release", Effect.WRITE, steps, command=f"mlconsole run release {' '.join(params.runs)}")


@record
class MoveParams:
    """Which run, and where to."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    before: str | None = param(None, help="in front of this run; of all when left out", metavar="RUN")
    priority: int | None = param(None, help="give it another priority instead", metavar="N")


def move(ctx: Context, params: MoveParams) -> Run:
    """Give a waiting run another place in line, or another priority; it stays behind those of a higher one."""
    (run,) = _waiting(ctx, [ctx.catalog.runs.get(params.run)])
    if params.priority is not None:
        _change(ctx, [run], priority=params.priority)
    else:
        other = _waiting(ctx, [ctx.catalog.runs.get(params.before)])[0] if params.before is not None else None

        def put(db: Connection) -> None:
            if other is None:
                place = queue.first_place(db, ctx.settings.host)
            else:
                here, before = queue.place_of(db, other.number)
                place = here - 1.0 if before is None else (here + before) / 2
            queue.set_job(db, run.number, place=place)

        ctx.write(put, durable=True)
    turns.start_due(ctx)
    return ctx.catalog.runs.load([run.number])[0]


def plan_move(ctx: Context, params: MoveParams) -> Plan:
    """Where it goes."""
    (run,) = _waiting(ctx, [ctx.catalog.runs.get(params.run)])
    where = f'in front of "{params.before}"' if params.before else "in front of all of its priority"
    if params.priority is not None:
        where = f"to priority {params.priority}"
    return Plan("run move", Effect.WRITE, (Step(f'move "{run.name}" {where}', run.id),))


@record
class RequeueParams:
    """Which run."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    env: tuple[str, ...] = param((), help="set a variable, such as a secret", metavar="KEY=VALUE", private=True)


def requeue(ctx: Context, params: RequeueParams) -> Run:
    """Put a run that has ended in line again as its next attempt: same run, same curves, same output folder.

    It starts from the environment of this command. What its first attempt was given as a secret is taken from here.

    Raises:
        ActionFailed: it has not ended, was not launched on this machine, or something of it is left.
    """
    run, job = _ended(ctx, params.run)
    spec = _spec_again(ctx, run, job, params)
    text, parcel = parcels.pack(ctx.settings.home, spec, launch_environment())

    def again(db: Connection) -> None:
        now = queue.job_row(db, run.number)
        if now is None or now.attempt != job.attempt:
            raise ActionFailed(f'Run "{run.name}" was put in line by somebody else just now.')
        turns.mark(ctx)
        queue.begin_attempt(db, run.number, ctx.clock(), f"{ctx.settings.user} asked for another attempt")
        queue.set_job(db, run.number, spec=text, parcel=parcel, held_by="")

    ctx.write(again, durable=True)
    turns.start_due(ctx)
    return ctx.catalog.runs.load([run.number])[0]


def _ended(ctx: Context, word: str) -> tuple[Run, queue.JobRow]:
    refresh(ctx)
    run = ctx.catalog.runs.get(word)
    job = ctx.catalog.queue.job(run.number)
    if job is None:
        raise ActionFailed(
            f'Run "{run.name}" was not launched here.', f"Launch it again: mlconsole run relaunch {run.id}"
        )
    if run.state is not State.ENDED:
        raise ActionFailed(f'Run "{run.name}" has not ended: it is {run.state.value}.')
    if run.cleanup:
        raise ActionFailed(f'Of run "{run.name}" there is still alive: {run.cleanup}.', f"mlconsole teardown {run.id}")
    if job.user != ctx.settings.user:
        raise ActionFailed(f'Run "{run.name}" is {job.user}\'s.', "Launch one of your own.")
    return run, job


def _spec_again(ctx: Context, run: Run, job: queue.JobRow, params: RequeueParams) -> Any:
    found: dict[str, Any] = json.loads(job.spec)
    given = parse_pairs(params.env, "--env")
    names = set(found.get("secret", ()))
    if names & {"argv", "teardown"}:
        raise ActionFailed(f'The command of run "{run.name}" held a secret, which is never kept.', "Launch it anew.")
    here = launch_environment()
    lost = {name: here.get(name, "") for name in names if name not in given}
    missing = [name for name, value in lost.items() if not value]
    if missing:
        raise ActionFailed(f"What variables were set to was not kept: {', '.join(missing)}.", "Give it with --env.")
    spec = parcels.spec_of(found)
    return replace(spec, env={**spec.env, **{k: v for k, v in lost.items() if v}, **given})


def plan_requeue(ctx: Context, params: RequeueParams) -> Plan:
    """Which attempt it would be."""
    run, job = _ended(ctx, params.run)
    step = Step(f'put "{run.name}" in line as attempt {job.attempt + 1}', run.id)
    return Plan("run requeue", Effect.WRITE, (step,), command=f"mlconsole run requeue {run.id}")


@record
class DrainParams:
    """Which machine, and why."""

    host: str | None = param(None, help="its name; this machine when left out", positional=True, metavar="HOST")
    reason: str = param("", help="why, for those who wait", metavar="TEXT")


@record
class ResumeParams:
    """Which machine."""

    host: str | None = param(None, help="its name; this machine when left out", positional=True, metavar="HOST")


def drain(ctx: Context, params: DrainParams) -> Done:
    """Start nothing more on this machine; what runs goes on."""
    host, why = _here(ctx, params.host), params.reason or f"{ctx.settings.user} asked for it"
    ctx.write(lambda db: queue.set_drained(db, host, why), durable=True)
    return Done("host", f"Nothing more is started on {host}: {why}. What runs goes on.", fields={"name": host})


def plan_drain(ctx: Context, params: DrainParams) -> Plan:
    """What is not started any more."""
    return Plan("host drain", Effect.WRITE, (Step("start nothing more; what runs goes on", _here(ctx, params.host)),))


def resume(ctx: Context, params: ResumeParams) -> Done:
    """Start runs on this machine again."""
    host = _here(ctx, params.host)
    ctx.write(lambda db: queue.set_drained(db, host, ""), durable=True)
    started = turns.start_due(ctx)
    return Done("host", f"Runs start on {host} again; {len(started)} did.", fields={"name": host})


def plan_resume(ctx: Context, params: ResumeParams) -> Plan:
    """What is started again."""
    return Plan("host resume", Effect.WRITE, (Step("start the runs whose turn has come", _here(ctx, params.host)),))


def _here(ctx: Context, name: str | None) -> str:
    if name not in (None, ctx.settings.host):
        raise UsageError(
            f'"{name}" is not this machine, "{ctx.settings.host}".', "Other machines have their own tools."
        )
    return ctx.settings.host


def _names(params: RunsParams) -> str:
    return " ".join(params.runs)


HOLD = Action("run hold", "Keep waiting runs back", RunsParams, Effect.WRITE, hold, plan_hold, target=_names)
RELEASE = Action("run release", "Let held runs go", RunsParams, Effect.WRITE, release, plan_release, target=_names)
MOVE = Action(
    "run move", "Give a waiting run another place in line", MoveParams, Effect.WRITE, move, plan_move,
    target=lambda p: p.run,
)  # fmt: skip
REQUEUE = Action(
    "run requeue", "Try an ended run again as its next attempt", RequeueParams, Effect.WRITE, requeue, plan_requeue,
    target=lambda p: p.run,
)  # fmt: skip
DRAIN = Action(
    "host drain", "Start nothing more on this machine", DrainParams, Effect.WRITE, drain, plan_drain,
    target=lambda p: p.host or "",
)  # fmt: skip
RESUME = Action(
    "host resume", "Start runs on this machine again", ResumeParams, Effect.WRITE, resume, plan_resume,
    target=lambda p: p.host or "",
)  # fmt: skip
