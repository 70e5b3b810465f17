"""The report: runs as one HTML page to look at, keep or send."""

from __future__ import annotations

import math
import os

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.files import write_text
from mlconsole.actions.sync import refresh
from mlconsole.domain.compare import compare
from mlconsole.domain.plans import Effect
from mlconsole.domain.query import parse
from mlconsole.domain.results import Done
from mlconsole.domain.runs import Run
from mlconsole.errors import NotFound, UsageError
from mlconsole.records import record
from mlconsole.render.figures import Curve, curve
from mlconsole.render.numbers import counted
from mlconsole.render.report import Report, page

MOST_RUNS = 200
MOST_METRICS = 60
VALIDATION = ("val", "eval", "test", "dev")


@record
class ReportParams:
    """Which runs, which metrics, where to."""

    runs: tuple[str, ...] = param((), help="ids, prefixes or names", positional=True, cursor="marked", metavar="RUN")
    where: str | None = param(None, help="a filter instead of names", metavar="FILTER", short="w")
    metric: tuple[str, ...] = param((), help="only this metric; may be given again", metavar="KEY", short="m")
    output: str = param("report.html", help="file to write", metavar="FILE", short="o")


def report(ctx: Context, params: ReportParams) -> Done:
    """Write the page.

    Raises:
        UsageError: no run was given, or runs both by name and by filter.
        NotFound: no such run, no run fits, or none has the metric.
        ActionFailed: the file cannot be written.
    """
    runs = _runs(ctx, params)
    notes: list[str] = []
    if len(runs) > MOST_RUNS:
        notes.append(f"Of {len(runs)} runs, the first {MOST_RUNS} are shown. Narrow the filter for others.")
        runs = runs[:MOST_RUNS]
    keys = _metrics(runs, params.metric)
    if len(keys) > MOST_METRICS:
        notes.append(f"Of {len(keys)} metrics, {MOST_METRICS} are drawn. Choose others with --metric.")
        keys = keys[:MOST_METRICS]
    made = Report(
        runs=tuple(ctx.catalog.runs.details(run.id) for run in runs),
        comparison=compare(runs),
        curves={key: _curves(ctx, runs, key) for key in keys},
        parallel=_outcome(runs, keys),
        notes=tuple(notes),
    )
    write_text(params.output, page(made, ctx.clock()))
    for note in notes:
        ctx.say(note)
    told = f'Wrote {counted(len(runs), "run")} to "{params.output}".'
    return Done("report", told, fields={"path": os.path.abspath(params.output)})


def _runs(ctx: Context, params: ReportParams) -> list[Run]:
    if params.runs and params.where:
        raise UsageError("Give runs by name or by filter, not both.")
    if not params.runs and params.where is None:
        raise UsageError("No run was given.", "mlconsole report RUN ..., or --where FILTER")
    query = parse(params.where or "")
    refresh(ctx)
    if params.runs:
        return list({run.id: run for run in (ctx.catalog.runs.get(word) for word in params.runs)}.values())
    found = ctx.catalog.runs.load(ctx.catalog.search.all(query, ctx.clock()))
    if not found:
        raise NotFound(f'No run fits "{params.where}".', "See what there is: mlconsole run list")
    return found


def _metrics(runs: list[Run], wanted: tuple[str, ...]) -> list[str]:
    """The metrics to draw: those asked for, or all, the ones that most runs have first."""
    counts: dict[str, int] = {}
    for run in runs:
        for key in run.metrics:
            counts[key] = counts.get(key, 0) + 1
    for key in wanted:
        if key not in counts:
            raise NotFound(f'None of these runs has a metric "{key}".', f"They have: {', '.join(sorted(counts)[:20])}.")
    return list(dict.fromkeys(wanted)) or sorted(counts, key=lambda key: (-counts[key], key))


def _curves(ctx: Context, runs: list[Run], key: str) -> list[Curve]:
    return [
        curve(run, place, ctx.catalog.metrics.history(run.number, run.id, key))
        for place, run in enumerate(runs)
        if key in run.metrics
    ]


def _outcome(runs: list[Run], keys: list[str]) -> str:
    """The metric that says how runs compare: one that at least two have, a validation metric if there is one."""

    def finite(key: str) -> int:
        return sum(key in run.metrics and math.isfinite(run.metrics[key].last) for run in runs)

    shared = [key for key in keys if finite(key) >= 2]
    judged = [key for key in shared if key.lower().startswith(VALIDATION)]
    return (judged or shared or [""])[0]


REPORT = Action(
    "report",
    "Write runs as one HTML page: curves, params, parallel coordinates",
    ReportParams,
    Effect.READ,
    report,
    target=lambda p: " ".join(p.runs),
    key="R",
    file=lambda p: p.output,
    examples=("mlconsole report --where experiment:digits --output digits.html",),
)
