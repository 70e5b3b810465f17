"""Launching a run again, as it was or with another command."""

from __future__ import annotations

import shlex

from mlconsole.actions import launch
from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.launch_order import LaunchParams
from mlconsole.domain.plans import Effect, Plan
from mlconsole.domain.runs import Run
from mlconsole.domain.sweeps import TAG
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record

REDACTED = "[redacted]"
#: Tags that say how a run was launched, and are no person's.
GIVEN = (launch.NPROC, launch.SNAPSHOT, TAG)


@record
class RelaunchParams:
    """Which run, and what to change."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    set: tuple[str, ...] = param(
        (), help="change a flag of the command, as in lr=0.01", metavar="FLAG=VALUE", short="s"
    )
    name: str | None = param(None, help="name of the new run", short="n", metavar="NAME")
    command: tuple[str, ...] = param((), help="another command, behind --", remainder=True, metavar="CMD")


def launch_params(ctx: Context, params: RelaunchParams) -> LaunchParams:
    """The launch that this comes to.

    Raises:
        ActionFailed: the run's command is not known, or held a secret that was not kept.
        UsageError: a flag to change does not occur in the command.
    """
    run = ctx.catalog.runs.get(params.run)
    command = params.command or run.command
    if not command:
        raise ActionFailed(f'The command of run "{run.name}" is not known.', "Give one behind --.")
    if any(REDACTED in word for word in command):
        hint = "Give the whole command behind --."
        raise ActionFailed(f'The command of run "{run.name}" held a secret, which is never kept.', hint)
    return LaunchParams(
        command=changed(command, params.set),
        experiment=run.experiment,
        name=params.name,
        cwd=run.cwd or None,
        tag=tuple(k if not v else f"{k}={v}" for k, v in run.tags.items() if k not in GIVEN),
        nproc=int(ranks) if (ranks := run.tags.get(launch.NPROC, "")).isdecimal() else None,
        snapshot=launch.SNAPSHOT in run.tags,
        backend=run.backend,
        gpus=run.gpus,
        teardown=tuple(shlex.join(words) for words in _teardown(ctx, run)),
        data=_data(ctx, run),
        model=_models(ctx, run),
    )


def _data(ctx: Context, run: Run) -> tuple[str, ...]:
    if not run.dataset_ids:
        return ()
    from mlconsole.actions.launch_data import declared  # 5 ms, for runs with data

    return declared(ctx.catalog.runs.details(run.id).artifacts)


def _models(ctx: Context, run: Run) -> tuple[str, ...]:
    from mlconsole.actions.launch_data import declared_models  # 5 ms, for what is launched again

    return declared_models(ctx.catalog.runs.details(run.id).artifacts)


def _teardown(ctx: Context, run: Run) -> list[tuple[str, ...]]:
    """The run's teardown commands.

    Raises:
        ActionFailed: one held a secret that was not kept; a run must not lose its teardown unseen.
    """
    commands = [each.command for each in ctx.catalog.teardowns.commands(run.number)]
    if any(REDACTED in word for words in commands for word in words):
        hint = "Launch anew: mlconsole launch --teardown CMD -- ..."
        raise ActionFailed(f'A teardown command of run "{run.name}" held a secret, which is never kept.', hint)
    return commands


def changed(command: tuple[str, ...], changes: tuple[str, ...]) -> tuple[str, ...]:
    """The command with flags changed: ``--lr 0.1``, ``--lr=0.1`` and ``lr=0.1`` are all flag ``lr``.

    Raises:
        UsageError: a change is not FLAG=VALUE, or the flag does not occur.
    """
    words = list(command)
    for change in changes:
        flag, equals, value = change.partition("=")
        if not equals or not flag:
            raise UsageError(f'"{change}" is not FLAG=VALUE.', "Write --set lr=0.01.")
        if not _replace(words, flag, value):
            raise UsageError(
                f'The command has no flag "{flag}": {shlex.join(command)}.', "Give the whole command behind --."
            )
    return tuple(words)


def _replace(words: list[str], flag: str, value: str) -> bool:
    for i, word in enumerate(words):
        head, equals, _ = word.partition("=")
        if head.lstrip("-") != flag or (not equals and not head.startswith("-")):
            continue
        if equals:
            words[i] = f"{head}={value}"
        elif i + 1 < len(words):
            words[i + 1] = value
        return True
    return False


def plan(ctx: Context, params: RelaunchParams) -> Plan:
    """The plan of the launch."""
    found = launch.plan(ctx, launch_params(ctx, params))
    return Plan("run relaunch", Effect.WRITE, found.steps, found.cost_microusd, command=found.command)


def relaunch(ctx: Context, params: RelaunchParams) -> Run:
    """Launch it."""
    return launch.run(ctx, launch_params(ctx, params))


RELAUNCH = Action(
    "run relaunch",
    "Launch a run again, with changes",
    RelaunchParams,
    Effect.WRITE,
    relaunch,
    plan,
    target=lambda p: p.run,
    key="r",
    examples=("mlconsole run relaunch train-8rb3 --set lr=0.01",),
)
