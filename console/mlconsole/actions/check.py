"""Checking data before it is believed: against expectations, or against what can be said without any."""

from __future__ import annotations

import os
from sqlite3 import Connection
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.files import write_text
from mlconsole.domain.drift import CheckReport
from mlconsole.domain.expectations import Expectations
from mlconsole.domain.plans import Effect
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.drift.table import Table


@record
class CheckParams:
    """What is checked, against what."""

    data: str = param(help="a file, a folder, a pattern in quotes, or a dataset", positional=True, metavar="PATH|NAME")
    expect: str | None = param(None, help="expectations to check against", metavar="FILE.toml")
    infer: str | None = param(None, help="write what this data looks like as expectations", metavar="FILE.toml")


def check_data(ctx: Context, params: CheckParams) -> CheckReport:
    """What is wrong with data. A failure is told to policies where there is a catalog that can be written.

    Raises:
        UsageError: there is no such data, or the expectations are none.
        ActionFailed: it cannot be read.
    """
    from mlconsole.actions.tables import table_named  # 5 ms, and polars: for data
    from mlconsole.drift import expectations

    expected = expectations.read(params.expect) if params.expect else Expectations()
    table, digest = table_named(ctx, params.data)
    report = report_of(table, expected, ctx.clock().timestamp())
    if params.infer:
        _infer(ctx, params.infer, table)
    _tell(ctx, report, digest)
    return report


def report_of(table: Table, expected: Expectations, now_s: float) -> CheckReport:
    """What a table looks like against expectations."""
    from mlconsole.drift import checks
    from mlconsole.drift.profile import Tally

    wanted = checks.kinds_for(table, expected)
    tally = Tally(checks.grid_for(wanted, expected))
    mixed = checks.NumbersAmongTexts(wanted, expected)
    for piece in wanted.pieces():
        tally.add(piece)
        mixed.add(piece)
    age = now_s - max(file.mtime for file in table.files)
    found = (*checks.check(table, expected, tally, age), *mixed.findings())
    found = tuple(sorted(found, key=lambda one: checks.LEVELS.index(one.level)))
    return CheckReport(table.source, tally.rows, len(table.files), found, expected.source, checks.suppressed(found))


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
)
