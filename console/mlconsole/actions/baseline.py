"""Baselines: counted from data, from what a run used, or from a monitor's newest window; a monitor can get another."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from sqlite3 import Connection
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.domain.drift import Kind, Profile
from mlconsole.domain.monitors import Monitor
from mlconsole.domain.performance import PerformanceProfile
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done
from mlconsole.errors import MlconsoleError, UsageError
from mlconsole.records import record, replace

if TYPE_CHECKING:
    import polars as pl

    from mlconsole.catalog.monitors import StoredWindow
    from mlconsole.drift.table import Table

WINDOW = "window:"
FROM_COUNTS = " Its rows are not there any more: the baseline is as coarse as the counts of them."


@record
class Needs:
    """What a baseline must have: columns that are named, and those whose values are slices."""

    columns: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that has to be there."""
        return (*self.columns, *self.slices)


def counted(ctx: Context, word: str, needs: Needs) -> tuple[Profile, str]:
    """The counts of what a word names, and what is to be said of them.

    Raises:
        UsageError: it is no data, or lacks a column.
        ActionFailed: it cannot be read.
        NotFound: no such monitor or run.
    """
    from mlconsole.actions.tables import digest_of, table_named

    if word.startswith(WINDOW):
        return _window(ctx, word.removeprefix(WINDOW), needs)
    table, digest = table_named(ctx, word)
    return _counts(table, needs, table.pieces, digest or digest_of(word)), ""


def _counts(table: Table, needs: Needs, pieces: Callable[[], Iterator[pl.DataFrame]], digest: str = "") -> Profile:
    from mlconsole.drift.grid import grid_of, survey
    from mlconsole.drift.profile import profile

    for name in needs.all:
        table.only([name])
    table = table.with_kinds(dict.fromkeys(needs.slices, Kind.TEXT))
    found = survey(table, pieces())
    grid = grid_of([found], is_stored=True, slices=needs.slices, named=needs.columns)
    return profile(table, grid, pieces() if found.pieces is None else found.pieces, digest=digest)


def _window(ctx: Context, name: str, needs: Needs) -> tuple[Profile, str]:
    """The newest window of a monitor: what moved has become what is usual.

    It is counted anew from its rows, on edges of its own; where they are gone its counts have to do.

    Raises:
        NotFound: there is no such monitor.
        UsageError: it has no window, lacks a column, or slices are asked for, of which a window's counts say nothing.
    """
    monitors = ctx.catalog.monitors
    monitor = monitors.get(name)
    newest = monitors.newest(monitor)
    if newest is None:
        raise UsageError(f'The monitor "{name}" has judged no window yet.', f"mlconsole monitor check {name}")
    found = _from_rows(ctx, monitor, newest, needs)
    told = ""
    if found is None:
        found, told = _from_counts(ctx, newest, needs, name), FROM_COUNTS
    return replace(found, source=f"{name}: {newest.label}"), told


def _from_rows(ctx: Context, monitor: Monitor, newest: StoredWindow, needs: Needs) -> Profile | None:
    """The counts of a window's rows; None where they are not all there any more."""
    from mlconsole.actions.live_data import cutting_of
    from mlconsole.drift.windows import rows_again

    before = ctx.catalog.monitors.profile(newest.baseline)
    try:
        cutting = cutting_of(ctx, monitor, before, needs.slices, again=True)
        if cutting is None:
            return None
        found = _counts(cutting.table, needs, lambda: rows_again(cutting, newest.key))
    except UsageError:
        raise
    except MlconsoleError:
        return None
    return found if found.rows == newest.rows else None


def _from_counts(ctx: Context, newest: StoredWindow, needs: Needs, name: str) -> Profile:
    from mlconsole.catalog.profiles import window_profile

    if needs.slices:
        raise UsageError("A window has no slices to compare with.", "Take a file as the baseline, or leave --slices.")
    before = ctx.catalog.monitors.profile(newest.baseline)
    found = window_profile(before, newest.counts, newest.label, newest.rows)
    for column in needs.all:
        if found.column(column) is None:
            raise UsageError(f'The monitor "{name}" has no column "{column}".')
    return found


@record
class RebaselineParams:
    """Which monitor, compared with what from now on."""

    name: str = param(help="name of the monitor", positional=True, cursor="monitor", metavar="MONITOR")
    baseline: str | None = param(
        None,
        help="what it should be like from now on: a file, a pattern, a dataset, run:NAME, or window:MONITOR",
        metavar="DATA",
        asked=True,
    )
    reason: str = param("", help="why, for whoever reads the history", metavar="WORDS")


def _asked(params: RebaselineParams) -> str:
    if not params.baseline:
        hint = f"What it sees now is usual: --baseline {WINDOW}{params.name}"
        raise UsageError("Say what the monitor compares with from now on: --baseline DATA.", hint)
    return params.baseline


def plan_rebaseline(ctx: Context, params: RebaselineParams) -> Plan:
    """What would be read, and what stays."""
    monitor = ctx.catalog.monitors.get(params.name)
    word = _asked(params)
    steps = (
        Step("count the columns of the new baseline, and keep the counts; no row is kept", word),
        Step(f"compare every new window with them, and no more with {monitor.baseline.source}", monitor.live),
        Step("leave the windows that were judged, and their verdicts, as they are", monitor.name),
    )
    command = ["mlconsole", "monitor", "rebaseline", params.name, f"--baseline={word}"]
    command += [f"--reason={params.reason}"] if params.reason else []
    return Plan("monitor rebaseline", Effect.WRITE, steps, command=shlex.join(command))


def rebaseline(ctx: Context, params: RebaselineParams) -> Done:
    """Give a monitor another baseline. An alert that is open goes on until windows are clean by it.

    Raises:
        NotFound: there is no such monitor.
        UsageError: it is no data, or lacks a column that the monitor watches.
        ActionFailed: it cannot be read.
    """
    from mlconsole.catalog.event_stream import emit
    from mlconsole.catalog.monitors import NewBaseline, put_baseline

    monitor = ctx.catalog.monitors.get(params.name)
    profile, told_more = _another(ctx, monitor, _asked(params))
    who = ctx.cause.actor if ctx.cause else ctx.settings.user
    now, before = ctx.clock(), monitor.baseline
    told = f"new windows are compared with {profile.source} ({profile.rows:,} rows), no more with {before.source}"
    data = {"monitor": monitor.name, "baseline": profile.source, "rows": profile.rows, "before": before.source}
    data |= {"user": who, "why": params.reason, "title": told}

    def change(db: Connection) -> None:
        put_baseline(db, monitor.number, NewBaseline(profile, now, who, params.reason))
        emit(db, "monitor.rebaselined", f"monitor:{monitor.name}", data, now)

    ctx.write(change, durable=True)
    fields = {"name": monitor.name, "baseline": profile.source, "rows": profile.rows, "digest": profile.digest}
    return Done("monitor", f'Monitor "{monitor.name}": {told}.{told_more}', fields=fields)


def _another(ctx: Context, monitor: Monitor, word: str) -> tuple[Profile | PerformanceProfile, str]:
    """What a word names, counted as the monitor's windows are."""
    from mlconsole.actions import monitor_performance

    if monitor.predictions is None:
        return counted(ctx, word, Needs(monitor.columns, monitor.slices))
    monitors = ctx.catalog.monitors
    if word == f"{WINDOW}{monitor.name}":
        newest = monitors.newest(monitor)
        if newest is None:
            raise UsageError(f'The monitor "{monitor.name}" has judged no window yet.')
        return monitor_performance.of_window(ctx, monitor, newest), ""
    if word.startswith(WINDOW):
        raise UsageError("Of windows, a monitor of performance can be compared with its own alone.")
    before = monitors.performance(monitor.baseline.number)
    asked = monitor_performance.Wanted(monitor.predictions, monitor.slices, before.positive or None, before.task)
    return monitor_performance.counted(ctx, word, asked), ""


REBASELINE = Action(
    "monitor rebaseline",
    "Compare the new windows of a monitor with something else",
    RebaselineParams,
    Effect.WRITE,
    rebaseline,
    plan_rebaseline,
    target=lambda p: p.name,
    key="B",
)
