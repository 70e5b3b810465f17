"""Checking data before it is believed: against expectations, or against what can be said without any."""

from __future__ import annotations

import os
from collections.abc import Callable
from sqlite3 import Connection
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.files import write_text
from mlconsole.domain.drift import CheckFinding, CheckReport
from mlconsole.domain.expectations import Expectations
from mlconsole.domain.plans import Effect
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.drift.files import TableFile
    from mlconsole.drift.table import Table

Unread = dict[str, str]
"""Why files could not be read, by path."""


@record
class CheckParams:
    """What is checked, against what."""

    data: str = param(help="a file, a folder, a pattern in quotes, or a dataset", positional=True, metavar="PATH|NAME")
    expect: str | None = param(None, help="expectations to check against", metavar="FILE.toml")
    infer: str | None = param(None, help="write what this data looks like as expectations", metavar="FILE.toml")


def check_data(ctx: Context, params: CheckParams) -> CheckReport:
    """What is wrong with data. A failure is told to policies where there is a catalog that can be written.

    Raises:
        UsageError: there is no such data, the expectations are none, or the file for new ones is there already.
        ActionFailed: it cannot be read.
    """
    if params.infer and os.path.exists(params.infer):
        hint = "Name another file, or remove it first."
        raise UsageError(f'"{params.infer}" is there already, and somebody may have edited it.', hint)
    from mlconsole.actions.tables import table_named  # 5 ms, and polars: for data
    from mlconsole.drift import expectations

    expected = expectations.read(params.expect) if params.expect else Expectations()
    unread: Unread = {}
    table, digest = table_named(ctx, params.data, skipping(unread))
    report = report_of(table, expected, ctx.clock().timestamp(), unread) if table.files else None
    if report is None or (not report.rows and all(file.path in unread for file in table.files)):
        raise ActionFailed(next(iter(unread.values())))
    if params.infer:
        _infer(ctx, params.infer, table)
    _tell(ctx, report, digest)
    return report


def skipping(unread: Unread) -> Callable[[TableFile, str], None]:
    """Notes which files cannot be read, and why."""

    def skip(file: TableFile, why: str) -> None:
        unread[file.path] = why

    return skip


def report_of(table: Table, expected: Expectations, now_s: float, unread: Unread | None = None) -> CheckReport:
    """What a table looks like against expectations; files that cannot be read are found, and the others are looked at.

    Args:
        table: its files as far as they can be opened.
        expected: what it should be like.
        now_s: now, in seconds since 1970.
        unread: why other files, by path, could not be read.
    """
    unread = {} if unread is None else unread
    from mlconsole.drift import checks
    from mlconsole.drift.profile import Tally

    wanted = checks.kinds_for(table, expected)
    tally = Tally(checks.grid_for(wanted, expected))
    mixed = checks.NumbersAmongTexts(wanted, expected)
    for piece in wanted.pieces(skipping(unread)):
        tally.add(piece)
        mixed.add(piece)
    age = now_s - max(file.mtime for file in table.files)
    broken = [CheckFinding("readable", checks.FAILURE, _brief(path, why), "", 1) for path, why in unread.items()]
    found = (*broken, *checks.check(table, expected, tally, age), *mixed.findings())
    found = tuple(sorted(found, key=lambda one: checks.LEVELS.index(one.level)))
    return CheckReport(table.source, tally.rows, len(table.files), found, expected.source, checks.suppressed(found))


def _brief(path: str, why: str) -> str:
    """Why a file cannot be read, in a line of a table: its name before the rest, its folder not at all."""
    return why.removeprefix("Cannot read ").replace(path, os.path.basename(path))


def _infer(ctx: Context, path: str, table: Table) -> None:
    from mlconsole.drift import expectations
    from mlconsole.drift.grid import grid_of, survey
    from mlconsole.drift.profile import profile

    found = survey(table)
    seen = profile(table, grid_of([found], is_stored=True, named=table.kinds), found.pieces)
    formats = tuple(dict.fromkeys(file.format for file in table.files))
    write_text(path, expectations.written(expectations.inferred(seen, formats, path)))
    ctx.say(f'Wrote what the data looks like to "{path}". Edit it, then: --expect {path}')


def _tell(ctx: Context, report: CheckReport, digest: str) -> None:
    if ctx.settings.read_only or not ctx.has_catalog:
        return
    from mlconsole.catalog.event_stream import emit

    subject = f"check:{report.source}"
    failures = [finding for finding in report.findings if finding.level == "failure"]
    if not failures and not _had_failed(ctx, subject):
        return
    path = report.source if digest else os.path.abspath(report.source)
    data: dict[str, object] = {"dataset": digest and report.source, "path": path}
    if failures:
        first = f"{failures[0].column}: {failures[0].message}".removeprefix(": ")
        data |= {"failed": len(failures), "first": first}

    def tell(db: Connection) -> None:
        emit(db, "check.failed" if failures else "check.passed", subject, data, ctx.clock())

    ctx.write(tell)


def _had_failed(ctx: Context, subject: str) -> bool:
    """True when the last check that was told of found something: what is well now is told once."""
    told = [event.kind for event in ctx.catalog.events.about(subject)]
    return told[-1:] == ["check.failed"]


CHECK = Action(
    "dataset check",
    "Check data: files, schema, missing and invalid values, ranges",
    CheckParams,
    Effect.READ,
    check_data,
    file=lambda p: p.infer,
    examples=(
        "mlconsole dataset check data/train.csv --infer expected.toml",
        "mlconsole dataset check data/new.csv --expect expected.toml",
    ),
)
