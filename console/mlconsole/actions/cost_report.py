"""What was spent as one HTML page to look at, keep or send."""

from __future__ import annotations

import os

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.cost import report as costs_by
from mlconsole.actions.files import write_text
from mlconsole.domain.costs import Axis
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Done
from mlconsole.domain.times import parse_when
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record
from mlconsole.render.numbers import counted

AXES = (Axis.EXPERIMENT, Axis.USER, Axis.RUN, Axis.GPU, Axis.HOST)


@record
class CostReportParams:
    """Whose days, since when, where to."""

    by: str = param("experiment", help="whose part of each day is drawn", choices=("experiment", "user", "run", "host"))
    since: str | None = param(None, help="from when on, as in 7d, today or 2025-06-01", metavar="WHEN")
    output: str = param("cost.html", help="file to write", metavar="FILE", short="o")


def report(ctx: Context, params: CostReportParams) -> Done:
    """Write the page.

    Raises:
        UsageError: ``--since`` is no moment.
        ActionFailed: no cost is known, or the file cannot be written.
    """
    from mlconsole.render import cost_report

    now, by = ctx.clock(), Axis(params.by)
    since = parse_when(params.since, now) if params.since else None
    if params.since and since is None:
        raise UsageError(f'"{params.since}" is no moment.', "Write 7d, today or 2025-06-01.")
    first = costs_by(ctx, AXES[0], since)
    if first.total_microusd is None:
        hint = "Say what this machine costs under [machine] in the settings file, then it counts."
        raise ActionFailed("No cost is known: nobody said a price.", hint)
    ledger = ctx.catalog.ledger
    unsettled = ledger.tail(now, ctx.settings.host, ctx.uptime())
    found = cost_report.CostPage(
        by,
        since,
        (first, *(costs_by(ctx, axis, since) for axis in AXES[1:])),
        tuple(ledger.days(by, since, unsettled)),
        tuple(ledger.budgets(now, ctx.settings.host, ctx.uptime())),
    )
    write_text(params.output, cost_report.page(found, now))
    days = len({each.day for each in found.days})
    told = f'Wrote what {counted(days, "day")} cost to "{params.output}".'
    return Done("report", told, fields={"path": os.path.abspath(params.output)})


REPORT = Action(
    "report cost",
    "Write what was spent as one HTML page: days, forecast, axes, budgets",
    CostReportParams,
    Effect.READ,
    report,
    file=lambda p: p.output,
)
