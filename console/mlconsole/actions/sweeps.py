"""Sweeps: a run for each point of a grid, put in line all together or not at all."""

from __future__ import annotations

import os
from sqlite3 import Connection

from mlconsole.actions import launch, line
from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.actions.launch_order import LaunchParams, check
from mlconsole.actions.names import new_run_id
from mlconsole.actions.sync import observe_live, refresh
from mlconsole.catalog.queue import insert_sweep
from mlconsole.catalog.sqlite_errors import Translated
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Listing
from mlconsole.domain.sweeps import TAG, Sweep, command_at, grid_of, name_at, points_of
from mlconsole.errors import NotFound, UsageError
from mlconsole.recorder.bundle import write_bundle
from mlconsole.records import record, replace


def launch_sweep(ctx: Context, params: LaunchParams) -> Sweep:
    """Launch every point of a grid.

    Where the queue of this machine takes the runs they are in line together, in one change, and start as there is
    room; elsewhere each is handed over by itself.

    Raises:
        UsageError: the grid is none, or a run of it is to start now.
    """
    grid = grid_of(params.grid)
    if params.now:
        raise UsageError("The runs of a sweep start as there is room.", "Leave --now out.")
    id_ = new_run_id()
    name = params.name or f"sweep-{id_[:4]}"
    sweep = Sweep(id_, name, ctx.settings.user, grid, ctx.clock())
    each = [_point(params, sweep, point) for point in points_of(grid)]
    for one in each:
        check(ctx, one)
    backend = ctx.backend(each[0].backend or ctx.settings.backend)
    if launch.is_here(backend):
        _together(ctx, sweep, each)
    else:
        ctx.write(lambda db: insert_sweep(db, sweep), durable=True)
        for one in each:
            launch.run(ctx, one)
    return one_sweep(ctx, sweep)


def _point(params: LaunchParams, sweep: Sweep, point: dict[str, str]) -> LaunchParams:
    return replace(
        params,
        grid=(),
        command=command_at(params.command, point),
        name=name_at(sweep.name, point),
        tag=(*params.tag, f"{TAG}={sweep.id}"),
        param=(*(f"{key}={value}" for key, value in point.items()), *params.param),
    )


def _together(ctx: Context, sweep: Sweep, each: list[LaunchParams]) -> None:
    _ = ctx.catalog  # It makes its folder, for this user or for a group; what comes next goes into it.
    with Translated(ctx.settings.database):
        bundle = write_bundle(str(ctx.settings.home / "lib"))
    copy = None
    if each[0].snapshot:
        from mlconsole.actions.snapshots import take  # 12 ms, where one is asked for

        copy = take(ctx, each[0].cwd or os.getcwd())
    entries = [line.entry_of(ctx, one, bundle, copy) for one in each]

    def put(db: Connection) -> None:
        number = insert_sweep(db, sweep)
        for entry in entries:
            line.put_in_line(db, ctx, entry, number)

    ctx.write(put, durable=True)
    observe_live(ctx)


def one_sweep(ctx: Context, sweep: Sweep) -> Sweep:
    """The sweep with its runs as they are now."""
    return replace(sweep, runs=tuple(ctx.catalog.runs.load(ctx.catalog.queue.runs_of_sweep(sweep.id))))


@record
class ShowParams:
    """Which sweep."""

    sweep: str = param(help="its id, a unique prefix, or its name", positional=True, cursor="sweep", metavar="SWEEP")


def find_sweep(ctx: Context, word: str) -> Sweep:
    """The sweep of this id, prefix or name, without its runs.

    Raises:
        NotFound: there is none, or more than one.
    """
    every = ctx.catalog.queue.sweeps() if ctx.has_catalog else []
    fits = [each for each in every if word in (each.id, each.name)] or [
        each for each in every if word and each.id.startswith(word)
    ]
    if len({each.id for each in fits}) != 1 and not (fits and fits[0].name == word):
        raise NotFound(f'No one sweep is "{word}".', "List them: mlconsole sweep list")
    return fits[0]


def show(ctx: Context, params: ShowParams) -> Sweep:
    """A sweep: its grid, and each run of it."""
    refresh(ctx)
    return one_sweep(ctx, find_sweep(ctx, params.sweep))


def list_sweeps(ctx: Context, params: NoParams) -> Listing[Sweep]:
    """Every sweep, the newest first, with how its runs stand."""
    refresh(ctx)
    every = ctx.catalog.queue.sweeps() if ctx.has_catalog else []
    return Listing("sweep", [one_sweep(ctx, each) for each in every])


LIST = Action("sweep list", "List the sweeps", NoParams, Effect.READ, list_sweeps)
SHOW = Action("sweep show", "Show a sweep and each run of it", ShowParams, Effect.READ, show)
