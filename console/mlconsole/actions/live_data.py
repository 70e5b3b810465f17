"""The live data of a monitor: which files, which columns, and what of them is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mlconsole.actions.context import Context
from mlconsole.domain.drift import Kind, Profile
from mlconsole.domain.monitors import Monitor
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import replace

if TYPE_CHECKING:
    from mlconsole.drift.files import TableFile
    from mlconsole.drift.table import Table
    from mlconsole.drift.windows import Counts, Cutting


def cutting_of(
    ctx: Context, monitor: Monitor, baseline: Profile, slices: Iterable[str] = (), *, again: bool = False
) -> Cutting | None:
    """What there is to cut; None where no file is there yet.

    Args:
        ctx: the session.
        monitor: whose live data.
        baseline: what its windows are counted on.
        slices: further columns that are read as texts.
        again: rows that were judged are going to be read once more.

    Raises:
        ActionFailed: no file of it can be read, or the column of moments is missing.
    """
    from mlconsole.drift.profile import Tally, grid_of_profile

    unread: dict[str, str] = {}
    table = live_table(ctx, monitor, unread, again=again)
    if table is None:
        return None
    kinds = {column.name: column.kind for column in baseline.columns}
    table = table.with_kinds(kinds | dict.fromkeys((*monitor.slices, *slices), Kind.TEXT))
    if monitor.time_column:
        if monitor.time_column not in table.kinds:
            raise ActionFailed(f'The live data of "{monitor.name}" lacks the column "{monitor.time_column}".')
        table = table.with_kinds({monitor.time_column: Kind.TIME})
    named = {*monitor.columns, *monitor.slices, *slices, monitor.time_column}
    wanted = {*table.kinds} if not monitor.columns else named
    table = table.where_known({name: table.kinds[name] for name in wanted if name in table.kinds})
    # A column of moments says when a row was, and is compared only where the baseline has it too.
    counted = {name: kind for name, kind in table.kinds.items() if name in kinds or name != monitor.time_column}
    grid = grid_of_profile(baseline).where_known(counted)
    return cutting(ctx, monitor, table, lambda: Tally(grid), unread)


def cutting(
    ctx: Context, monitor: Monitor, table: Table, tally: Callable[[], Counts], unread: dict[str, str]
) -> Cutting:
    """A table as what is to be cut, and what of it was judged before."""
    from mlconsole.drift.windows import Cutting

    monitors = ctx.catalog.monitors
    judged, progress = monitors.judged_rows(monitor), monitors.progress(monitor)
    now_s = ctx.clock().timestamp()
    return Cutting(table, tally, monitor.window, progress, judged, now_s, monitor.time_column, unread)


def live_table(ctx: Context, monitor: Monitor, unread: dict[str, str], *, again: bool = False) -> Table | None:
    """The table of the live files that can be read; None where there is none yet.

    What its columns are is told by the files that are going to be read: opening a year of others costs seconds.

    Raises:
        ActionFailed: there are some, and none can be read.
    """
    from mlconsole.drift.windows import Past

    if again:
        return skipping(monitor.live, unread)
    monitors = ctx.catalog.monitors
    past = Past(monitor.window, monitors.progress(monitor), monitors.judged_rows(monitor), monitor.time_column)
    return skipping(monitor.live, unread, past.ahead)


Ahead = Callable[[Sequence["TableFile"]], "list[TableFile]"]


def skipping(word: str, unread: dict[str, str], ahead: Ahead | None = None) -> Table | None:
    """The table of those files that can be read; why the others cannot is noted. None where there are no files.

    Args:
        word: the files.
        unread: gets why files cannot be read, by path.
        ahead: which files are going to be read; the others are in the table, and are not looked into.

    Raises:
        ActionFailed: there are some, and none can be read.
    """
    from mlconsole.drift.files import table_files
    from mlconsole.drift.table import table_of

    def skip(file: TableFile, why: str) -> None:
        unread[file.path] = why

    try:
        files = [file for file in table_files(word) if file.size_bytes]
    except UsageError:
        files = []
    if not files:
        return None
    read = files if ahead is None else ahead(files)
    paths = {file.path for file in read}
    done = [file for file in files if file.path not in paths]
    table = table_of(word, read, skip)
    if not table.files and done:
        table = table_of(word, done[-1:], skip)
    if not table.files:
        raise ActionFailed(next(iter(unread.values())))
    known = {file.path for file in (*done, *table.files)}
    return replace(table, files=tuple(file for file in files if file.path in known))
