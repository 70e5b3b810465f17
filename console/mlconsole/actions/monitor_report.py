"""A monitor as one HTML page to look at, keep or send."""

from __future__ import annotations

import os

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.files import write_text
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Done
from mlconsole.records import record
from mlconsole.render.numbers import counted

BINS = 20


@record
class MonitorReportParams:
    """Which one, where to."""

    name: str = param(help="name of the monitor", positional=True, cursor="monitor", metavar="MONITOR")
    output: str = param("monitor.html", help="file to write", metavar="FILE", short="o")


def report(ctx: Context, params: MonitorReportParams) -> Done:
    """Write the page.

    Raises:
        NotFound: there is no such monitor.
        ActionFailed: the file cannot be written.
    """
    from mlconsole.actions.monitor import histograms, page
    from mlconsole.render import monitor_report

    found = page(ctx, params.name)
    write_text(params.output, monitor_report.page(found, histograms(found, BINS), ctx.clock()))
    windows = len(found.state.windows)
    told = f'Wrote {counted(windows, "window")} of "{params.name}" to "{params.output}".'
    return Done("report", told, fields={"path": os.path.abspath(params.output)})


REPORT = Action(
    "report monitor",
    "Write a monitor as one HTML page: its windows, columns before and now",
    MonitorReportParams,
    Effect.READ,
    report,
    target=lambda p: p.name,
    key="P",
    file=lambda p: p.output,
)
