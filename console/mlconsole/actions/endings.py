"""After every look: what ended runs have left behind, and the teardowns that nobody has seen done."""

from __future__ import annotations

from sqlite3 import Connection

from mlconsole.actions.context import Context
from mlconsole.actions.jobs import handle_of
from mlconsole.actions.remains import Remains, look_for, record
from mlconsole.catalog import audit
from mlconsole.catalog.jobs import Job
from mlconsole.catalog.teardowns import claim, confirm, note, set_commands
from mlconsole.domain.gpu import GpuSnapshot
from mlconsole.domain.jobs import Handle
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.teardowns import Teardown
from mlconsole.errors import MlconsoleError
from mlconsole.render.money_tables import per_hour


def look_after_ends(ctx: Context) -> None:
    """Look at the ended runs that something was left of, and say loudly what fails or stays undone."""
    jobs = [job for number in ctx.catalog.teardowns.unfinished() if (job := ctx.catalog.runs.job(number))]
    by_backend: dict[str, list[tuple[Job, Handle]]] = {}
    for job in jobs:
        try:
            handle = handle_of(ctx, job)
        except MlconsoleError:
            continue  # It cannot be looked at: what is known stays.
        if handle is None:
            _never_started(ctx, job)
        else:
            by_backend.setdefault(job.backend, []).append((job, handle))
    for name, mine in by_backend.items():
        try:
            looks = ctx.backend(name).observe([handle for _, handle in mine])
        except MlconsoleError:
            continue
        for (job, _), seen in zip(mine, looks, strict=True):
            ctx.catalog.write(lambda db, job=job, seen=seen: record(db, ctx, job.number, seen))  # type: ignore[misc]
    for run in ctx.catalog.runs.load([job.number for job in jobs]):
        _say_loudly(ctx, run.number, run.name, run.id, run.cleanup)


def _never_started(ctx: Context, job: Job) -> None:
    """A program that never started has brought nothing up: its teardown commands are not needed."""
    run = ctx.catalog.runs.load([job.number])[0]
    if run.outcome is Outcome.NEVER_STARTED:
        ctx.catalog.write(lambda db: set_commands(db, job.number, (), is_needed=False))


def _say_loudly(ctx: Context, number: int, name: str, run_id: str, cleanup: str) -> None:
    way_out = f"mlconsole teardown {run_id}"
    if cleanup:
        ctx.say(f'Run "{name}" has ended, and of it there is still alive: {cleanup}. End it: {way_out}')
    for each in ctx.catalog.teardowns.commands(number):
        if each.is_loud:
            shown = " ".join(each.command)
            ctx.say(f'The teardown command of run "{name}" is pending: "{shown}": {each.message}. See: {way_out}')


def retry_teardowns(ctx: Context) -> None:
    """Look at every pending teardown; press what is left when its pause is over, and say loudly what stays."""
    known = ctx.catalog.teardowns.pending()
    there = {run.number for run in ctx.catalog.runs.load([each.run for each in known])}
    pending = [each for each in known if each.run in there]
    snapshot = ctx.gpus(ctx.settings.host) if pending else None
    for each in pending:
        left = settle(ctx, each, snapshot)
        if left.is_gone:
            continue
        if _may_press(ctx, each) and ctx.catalog.write(lambda db, each=each: claim(db, each.number, ctx.clock())):  # type: ignore[misc]
            press(ctx, each, 0.0)
            left = settle(ctx, each, snapshot)
        if not left.is_gone:
            ctx.say(ctx.catalog.teardowns.get(each.number).words)


def _may_press(ctx: Context, teardown: Teardown) -> bool:
    """Only who asked for it, or owns the run, or may do anything, can end its processes."""
    run = ctx.catalog.runs.load([teardown.run])
    return ctx.settings.user in ("root", teardown.asked_by, *(each.user for each in run))


def press(ctx: Context, teardown: Teardown, grace_s: float) -> str:
    """Make a run end and give back what it holds; returns why that could not be asked for, empty when it was."""
    try:
        job = ctx.catalog.runs.job(teardown.run)
        handle = handle_of(ctx, job) if job else None
        if job is not None and handle is None and _withdraw(ctx, teardown):
            return ""
        if job is None or handle is None:
            return "no backend knows a job of it yet" if job and job.state is not State.ENDED else ""
        backend = ctx.backend(job.backend)
        seen = backend.observe([handle])[0]
        if seen.reachable and seen.state is State.ENDED:
            backend.release(handle)
        else:
            seen = backend.cancel(handle, grace_s)
            ctx.catalog.write(lambda db: record(db, ctx, teardown.run, seen))
            if seen.state is State.ENDED and seen.survivors:
                backend.release(handle)
    except MlconsoleError as error:
        return error.message
    return ""


def _withdraw(ctx: Context, teardown: Teardown) -> bool:
    """End a run that was never started: it waited for its turn."""
    from mlconsole.actions.turns import withdraw  # 6 ms, for runs that have no job

    why = f"{teardown.asked_by} asked for a teardown before its turn"
    return ctx.catalog.write(lambda db: withdraw(db, ctx, teardown.run, why), durable=True)


def settle(ctx: Context, teardown: Teardown, snapshot: GpuSnapshot | None, trouble: str = "") -> Remains:
    """Look for what is left, and record the teardown as done only when nothing is; each end has its audit row."""
    left = look_for(ctx, teardown.run, snapshot)
    if not left.is_gone:
        words = "; ".join(part for part in (trouble, left.words) if part)
        ctx.catalog.write(lambda db: note(db, teardown.number, words))
        return left
    ctx.catalog.write(lambda db: _confirm(db, ctx, teardown), durable=True)
    return left


def _confirm(db: Connection, ctx: Context, teardown: Teardown) -> None:
    """Record that nothing is left, with the audit row that says what was given back."""
    text, now = done_words(teardown), ctx.clock()
    if confirm(db, teardown.number, now, text):
        params = {"run": teardown.run_id, "asked_by": teardown.asked_by}
        who = {"actor": ctx.actor, "host": ctx.settings.host}
        what = {"action": "teardown", "effect": "destroy", "phase": "end", "target": teardown.name}
        audit.append(db, audit.Entry(at=now, **who, **what, params=params, result=text))


def done_words(teardown: Teardown) -> str:
    """What a finished teardown came to."""
    saved = teardown.saved_microusd_per_h
    return "seen gone" + (f", {per_hour(saved)} of machine time given back" if saved else "")
