"""Changing what the catalog says of runs: tag, rename, delete."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from sqlite3 import Connection

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.names import parse_tags
from mlconsole.actions.sync import refresh
from mlconsole.catalog.run_changes import delete_run, set_columns, set_tags
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done
from mlconsole.domain.runs import Run
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record
from mlconsole.render.numbers import counted

MANY = 5
"""From so many runs on, deleting wants words to be typed."""


@record
class TagParams:
    """Which run and which tags."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    tags: tuple[str, ...] = param((), help="tags to add", positional=True, metavar="TAG|KEY=VALUE")
    remove: tuple[str, ...] = param((), help="tag to take away", metavar="TAG")


def plan_tag(ctx: Context, params: TagParams) -> Plan:
    """What tagging changes."""
    run = ctx.catalog.runs.get(params.run)
    steps = [Step(f'add the tag "{key}"', run.name) for key in parse_tags(params.tags)]
    steps += [Step(f'remove the tag "{key}"', run.name) for key in params.remove]
    words = shlex.join([run.id, *params.tags, *(f"--remove={key}" for key in params.remove)])
    return Plan("run tag", Effect.WRITE, tuple(steps), command=f"mlconsole run tag {words}")


def tag(ctx: Context, params: TagParams) -> Run:
    """Add and remove tags."""
    added = parse_tags(params.tags)
    if not added and not params.remove:
        raise UsageError("No tag was given.", "mlconsole run tag RUN TAG ...")
    number = ctx.catalog.runs.find(params.run)
    ctx.write(lambda db: set_tags(db, number, added, params.remove))
    return ctx.catalog.runs.load([number])[0]


@record
class RenameParams:
    """Which run and its new name."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    name: str = param(help="the new name", positional=True, metavar="NAME")


def plan_rename(ctx: Context, params: RenameParams) -> Plan:
    """What renaming changes."""
    run = ctx.catalog.runs.get(params.run)
    command = f"mlconsole run rename {shlex.join([run.id, params.name])}"
    return Plan("run rename", Effect.WRITE, (Step(f'call "{run.name}" "{params.name}"', run.id),), command=command)


def rename(ctx: Context, params: RenameParams) -> Run:
    """Give a run another name."""
    if not params.name.strip():
        raise UsageError("A run's name cannot be empty.")
    number = ctx.catalog.runs.find(params.run)
    ctx.write(lambda db: set_columns(db, number, name=params.name, name_given=1))
    return ctx.catalog.runs.load([number])[0]


@record
class DeleteParams:
    """Which runs."""

    runs: tuple[str, ...] = param((), help="ids, prefixes or names", positional=True, cursor="marked", metavar="RUN")


def plan_delete(ctx: Context, params: DeleteParams) -> Plan:
    """What deleting takes away."""
    runs = _deletable(ctx, params)
    steps = tuple(
        Step(
            f'delete the run "{run.name}" ({run.id}) with its metrics, logs and copied artifacts',
            str(_folder(ctx, run)),
        )
        for run in runs
    )
    gone = ("Deleted runs and their files cannot be brought back, except from a backup of the catalog.",)
    command = f"mlconsole run delete {' '.join(run.id for run in runs)} --yes"
    confirm = f"delete {len(runs)} runs" if len(runs) >= MANY else ""
    return Plan("run delete", Effect.DESTROY, steps, irreversible=gone, confirm=confirm, command=command)


def delete(ctx: Context, params: DeleteParams) -> Done:
    """Remove runs that have ended, and their folders; a link is removed, never followed.

    Raises:
        ActionFailed: a run has not ended, or something of it is left.
    """
    runs = _deletable(ctx, params)

    def forget(db: Connection) -> None:
        for run in runs:
            delete_run(db, run.number)

    ctx.write(forget, durable=True)
    for run in runs:
        _remove_folder(_folder(ctx, run), ctx.settings.runs)
    return Done(
        "run",
        f"Deleted {counted(len(runs), 'run')}.",
        fields={"deleted": [run.id for run in runs]},
    )


def _deletable(ctx: Context, params: DeleteParams) -> list[Run]:
    if not params.runs:
        raise UsageError("No run was given.", "mlconsole run delete RUN ...")
    refresh(ctx)
    runs = list({run.id: run for run in (ctx.catalog.runs.get(word) for word in params.runs)}.values())
    if live := [run for run in runs if run.state.is_live]:
        raise ActionFailed(f'Run "{live[0].name}" is {live[0].state.value}.', "Stop it first: mlconsole run stop")
    if others := [run for run in runs if not _may_remove(_folder(ctx, run))]:
        owner = others[0].user
        raise ActionFailed(f'The folder of run "{others[0].name}" is {owner}\'s.', f"{owner} or root can delete it.")
    unfinished = set(ctx.catalog.teardowns.unfinished())
    if left := [run for run in runs if run.number in unfinished]:
        raise ActionFailed(
            f'Something of run "{left[0].name}" is left: its processes, or its teardown.',
            f"End it first: mlconsole teardown {left[0].id}",
        )
    return runs


def _may_remove(folder: Path) -> bool:
    """Whether this user may empty a run's folder; there may be none."""
    return os.access(folder, os.W_OK | os.X_OK) or folder.is_symlink() or not folder.exists()


def _folder(ctx: Context, run: Run) -> Path:
    return ctx.catalog.run_directory(run.id)


def _remove_folder(folder: Path, root: Path) -> None:
    """Delete a run's folder only where it is a plain folder directly inside the root."""
    if folder.parent != root or folder.name in ("", ".", ".."):
        raise ActionFailed(f'"{folder}" is not a run\'s folder.')
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        doomed = folder.with_name(f".deleted-{folder.name}")
        os.rename(folder, doomed)
        shutil.rmtree(doomed)


TAG = Action(
    "run tag",
    "Add or remove tags",
    TagParams,
    Effect.WRITE,
    tag,
    plan_tag,
    target=lambda p: p.run,
    key="t",
)
RENAME = Action(
    "run rename",
    "Give a run another name",
    RenameParams,
    Effect.WRITE,
    rename,
    plan_rename,
    target=lambda p: p.run,
    key="m",
)
DELETE = Action(
    "run delete",
    "Delete runs that have ended",
    DeleteParams,
    Effect.DESTROY,
    delete,
    plan_delete,
    target=lambda p: " ".join(p.runs),
    key="D",
)
