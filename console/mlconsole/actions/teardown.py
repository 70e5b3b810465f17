"""Teardown: end what runs, give back what it holds, and believe it only when it is seen gone."""

from __future__ import annotations

import shlex
import time
from datetime import UTC, datetime
from sqlite3 import Connection

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.endings import press, settle
from mlconsole.actions.people import refuse_processes_of_others
from mlconsole.actions.rates import machine_here
from mlconsole.actions.remains import Remains
from mlconsole.actions.run_signs import last_written_s
from mlconsole.actions.run_stop import asked_by_words, grace_s
from mlconsole.actions.sync import refresh
from mlconsole.actions.targets import Target, find
from mlconsole.catalog.run_changes import note_change, set_columns
from mlconsole.catalog.teardowns import ask, claim
from mlconsole.config import CHECKPOINTS, launch_environment
from mlconsole.domain.costs import share_per_h
from mlconsole.domain.gpu import GpuSnapshot
from mlconsole.domain.jobs import FinaliserState, Handle
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done
from mlconsole.domain.runs import Run, State
from mlconsole.domain.teardowns import Teardown, TeardownCommand
from mlconsole.errors import ActionFailed, MlconsoleError, UsageError
from mlconsole.plugin_api import Finalises
from mlconsole.recorder.redact import REDACTED
from mlconsole.records import record, replace
from mlconsole.render import numbers
from mlconsole.render.money_tables import per_hour

COMMANDS_S = 60.0
POLL_S = 0.1
MANY = 5
"""From so many runs on, and for a whole host, words are to be typed."""


@record
class TeardownParams:
    """What to give back, and how long programs get."""

    targets: tuple[str, ...] = param(
        (), help="runs, GPUs (gpu:0 or a uuid), or hosts", positional=True, cursor="marked", metavar="RUN|GPU|HOST"
    )
    grace: str = param("10s", help="time between asking a program to end and making it end", metavar="DURATION")


def targets_of(ctx: Context, params: TeardownParams) -> Target:
    """What is to be torn down.

    Raises:
        UsageError: nothing was named; the hint says what is pending.
        NotFound: no run, GPU or host answers to a word.
        ActionFailed: a GPU is held by nothing of ours.
    """
    if not params.targets:
        known = ctx.catalog.teardowns.pending() if ctx.has_catalog else []
        pending = " ".join(each.words for each in known)
        raise UsageError("No target was given.", pending or "mlconsole teardown RUN|GPU|HOST ...")
    refresh(ctx)
    target = find(ctx, params.targets)
    for run in target.runs:
        refuse_processes_of_others(ctx, run)
    return target


def plan(ctx: Context, params: TeardownParams) -> Plan:
    """What dies, what is lost, what goes on billing, and what is saved."""
    grace, target = grace_s(params.grace), targets_of(ctx, params)
    steps = [step for run in target.runs for step in _steps(ctx, run, grace)]
    steps += [Step(f"leave alone: {text}") for text in target.left_alone]
    steps.append(Step("look again until nothing of it is left; what would not end is named and tried again"))
    steps += _billing(ctx, target)
    lost = tuple(text for run in target.runs if _has_begun(run) for text in _lost(ctx, run))
    confirm = target.label if target.is_host or len(target.runs) >= MANY else ""
    command = f"mlconsole teardown {shlex.join(params.targets)} --grace {params.grace} --yes"
    return Plan("teardown", Effect.DESTROY, tuple(steps), irreversible=lost, confirm=confirm, command=command)


def _steps(ctx: Context, run: Run, grace: float) -> list[Step]:
    if run.state is State.QUEUED:
        text = f'take "{run.name}" ({run.id}) out of the line: it has not started'
    elif run.state.is_live:
        text = f'end "{run.name}" ({run.id}): SIGTERM to every process of it, after {grace:g} s SIGKILL'
    elif run.cleanup:
        text = f'end what "{run.name}" ({run.id}) has left behind: {run.cleanup}'
    else:
        text = f'end whatever is found of "{run.name}" ({run.id}), which has ended'
    steps = [Step(text, run.host)]
    if run.gpus and _has_begun(run):
        steps.append(Step(f"give back {run.gpus} GPU{'s' if run.gpus > 1 else ''}", run.host))
    for each in ctx.catalog.teardowns.commands(run.number):
        if each.state is not FinaliserState.DONE:
            steps.append(Step(f"its own teardown command runs, once: {shlex.join(each.command)}", each.message))
    return steps


def _lost(ctx: Context, run: Run) -> list[str]:
    made = [artifact.at.timestamp() for artifact in ctx.catalog.runs.details(run.id).artifacts]
    saved_s = last_written_s(ctx.settings.runs / run.id / CHECKPOINTS)
    made += [] if saved_s is None else [saved_s]
    since = ": no checkpoint and no artifact of it is known"
    if made:
        since = f"; it last saved something {numbers.ago(datetime.fromtimestamp(max(made), UTC), ctx.clock())}"
    return [f'What "{run.name}" has not saved is lost{since}.']


def _billing(ctx: Context, target: Target) -> list[Step]:
    machine = machine_here(ctx)
    if machine is None or machine.rate is None:
        return [Step("what this saves is unknown: nobody said what this machine costs", ctx.settings.host)]
    saved = [amount for run in target.runs if (amount := saved_by(ctx, run, target)) is not None]
    text = f"{machine.host} itself goes on billing {per_hour(machine.rate.microusd_per_h)}"
    return [Step(f"saved: {per_hour(sum(saved))} of machine time; {text}", machine.host)]


def saved_by(ctx: Context, run: Run, target: Target) -> int | None:
    """What the GPUs that a run holds cost an hour: those it leases, else those its processes hold; None: not known.

    On a machine without GPUs it is the run's part of the machine, which the runs alive share evenly.
    """
    machine = machine_here(ctx)
    if machine is None or machine.rate is None or run.host != machine.host:
        return None
    held = len(target.held_gpus.get(run.id, ()))
    if not machine.count:
        sharing = ctx.catalog.ledger.in_use(machine)[1]
        return machine.rate.microusd_per_h // max(1, sharing) if _has_begun(run) else None
    return share_per_h(machine.rate, max(run.gpus if _has_begun(run) else 0, held), machine.count)


def _has_begun(run: Run) -> bool:
    return run.state.is_live and run.state is not State.QUEUED


def teardown(ctx: Context, params: TeardownParams) -> Done:
    """Record what is wanted, then end it and look until it is gone.

    Raises:
        ActionFailed: something is left; it is named, stays pending, and every later look tries again.
    """
    grace, target = grace_s(params.grace), targets_of(ctx, params)
    asked = ctx.write(lambda db: [_intend(db, ctx, run, target, grace) for run in target.runs], durable=True)
    left = {each.run: _apply(ctx, each, grace) for each in asked}
    pending = [each for each in asked if not left[each.run].is_gone]
    fields = [_document(each, left[each.run]) for each in asked]
    if pending:
        names = "; ".join(f'"{each.name}": {ctx.catalog.teardowns.get(each.number).message}' for each in pending)
        raise ActionFailed(f"Not seen gone yet: {names}.", "It stays pending, and every command tries again.")
    saved = sum(each.saved_microusd_per_h or 0 for each in asked)
    text = f"{_count(len(asked))} seen gone" + (f", {per_hour(saved)} of machine time given back" if saved else "")
    if ctx.journal is not None:
        ctx.journal.note = text
    alone = [f" Left alone: {'; '.join(target.left_alone)}."] if target.left_alone else []
    return Done("teardown", "".join([f"{text[:1].upper()}{text[1:]}.", *alone]), fields={"items": fields})


def _count(runs: int) -> str:
    return "1 run was" if runs == 1 else f"{runs} runs were"


def _intend(db: Connection, ctx: Context, run: Run, target: Target, grace: float) -> Teardown:
    now, who = ctx.clock(), ctx.actor
    if run.state.is_live and run.state is not State.STOPPING:
        set_columns(db, run.number, state=State.STOPPING.value)
        note_change(db, run.number, now, State.STOPPING, None, asked_by_words(ctx, "a teardown"))
    wanted = Teardown(0, run.number, run.id, run.name, target.label, who, now, grace)
    asked = ask(db, replace(wanted, saved_microusd_per_h=saved_by(ctx, run, target)))
    claim(db, asked.number, now, is_asked=True)
    return asked


def _apply(ctx: Context, asked: Teardown, grace: float) -> Remains:
    trouble = press(ctx, asked, grace)
    left = settle(ctx, asked, _gpus(ctx), trouble)
    if not left.is_live and left.owed:
        trouble = _begin_commands(ctx, asked, left.owed) or trouble
        deadline = time.monotonic() + COMMANDS_S
        while left.owed and not _is_stuck(left) and time.monotonic() < deadline and not ctx.cancelled.wait(POLL_S):
            left = settle(ctx, asked, None, trouble)
        left = settle(ctx, asked, _gpus(ctx), trouble)
    return left


def _is_stuck(left: Remains) -> bool:
    return all(each.is_loud for each in left.owed)


def _gpus(ctx: Context) -> GpuSnapshot:
    return ctx.gpus(ctx.settings.host)


def _begin_commands(ctx: Context, asked: Teardown, owed: tuple[TeardownCommand, ...]) -> str:
    """Begin teardown commands that are stuck again, as the person who asks; returns why not, empty when it was done."""
    if not any(each.state is FinaliserState.STUCK for each in owed):
        return ""
    run = ctx.catalog.runs.load([asked.run])[0]
    commands = [each.command for each in ctx.catalog.teardowns.commands(asked.run)]
    job = ctx.catalog.runs.job(asked.run)
    if run.user != ctx.settings.user:
        return f"its teardown command is {run.user}'s: ask them to run mlconsole teardown {run.id}"
    if any(REDACTED in word for words in commands for word in words):
        return "its teardown command held a secret, which is never kept: run it by hand"
    if job is None or job.handle is None:
        return "its backend does not know it"
    backend = ctx.backend(job.backend)
    if not isinstance(backend, Finalises):
        return f'backend "{job.backend}" runs no teardown commands'
    env = {**launch_environment(), "MLCONSOLE_RUN_ID": run.id, "MLCONSOLE_HOME": str(ctx.settings.home)}
    try:
        backend.finalise(Handle(job.backend, job.token, job.handle), commands, run.cwd, env)
    except MlconsoleError as error:
        return error.message
    time.sleep(POLL_S)  # The finaliser's first record takes as long; until then it looks as stuck as before.
    return ""


def _document(asked: Teardown, left: Remains) -> dict[str, object]:
    saved = asked.saved_microusd_per_h
    return {
        "run": asked.run_id,
        "name": asked.name,
        "gone": left.is_gone,
        "saved_usd_per_h": None if saved is None else saved / 1_000_000,
    }


TEARDOWN = Action(
    "teardown",
    "End runs, give back their GPUs, and see that it is so",
    TeardownParams,
    Effect.DESTROY,
    teardown,
    plan,
    target=lambda p: " ".join(p.targets),
    key="T",
    examples=(
        "mlconsole teardown train-8rb3 --dry-run",
        "mlconsole teardown gpu:0 --yes",
    ),
)
