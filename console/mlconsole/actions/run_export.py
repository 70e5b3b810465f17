"""Writing runs out: JSON or CSV, to standard output or a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.files import write_text
from mlconsole.actions.sync import refresh
from mlconsole.domain.plans import Effect
from mlconsole.domain.query import parse
from mlconsole.domain.results import TextChunk
from mlconsole.domain.runs import Run
from mlconsole.errors import UsageError
from mlconsole.records import record
from mlconsole.render.documents import Document, dumps, metric_document, plain, run_document
from mlconsole.render.numbers import counted

FIXED = (
    "id",
    "name",
    "experiment",
    "state",
    "outcome",
    "exit_code",
    "user",
    "host",
    "created_at",
    "duration_s",
    "cost_usd",
)


@record
class ExportParams:
    """Which runs, in which form, where to."""

    runs: tuple[str, ...] = param((), help="ids, prefixes or names", positional=True, cursor="marked", metavar="RUN")
    where: str | None = param(
        None, help="a filter instead of names; all runs without either", metavar="FILTER", short="w"
    )
    format: str = param("json", help="form of the export", choices=("json", "csv"))
    history: bool = param(False, help="with every point of every metric (JSON only)")
    output: str | None = param(None, help="file to write; standard output when left out", metavar="FILE", short="o")


def export(ctx: Context, params: ExportParams) -> Iterator[TextChunk]:
    """The runs as one document.

    Raises:
        UsageError: both names and a filter, or a history as CSV.
        ActionFailed: the file cannot be written.
    """
    if params.runs and params.where:
        raise UsageError("Give runs by name or by filter, not both.")
    if params.history and params.format == "csv":
        raise UsageError("Histories are exported as JSON only.", "Leave --format csv out.")
    refresh(ctx)
    now = ctx.clock()
    runs = [ctx.catalog.runs.get(word) for word in params.runs]
    if not runs:
        runs = ctx.catalog.runs.load(ctx.catalog.search.all(parse(params.where or ""), now))
    text = _csv(runs, now) if params.format == "csv" else _json(ctx, runs, params.history, now)
    if params.output is None:
        yield TextChunk(text.encode("utf-8", "backslashreplace"), "file")
    else:
        write_text(params.output, text)
        ctx.say(f'Wrote {counted(len(runs), "run")} to "{params.output}".')


def _json(ctx: Context, runs: list[Run], history: bool, now: datetime) -> str:
    items: list[Document] = []
    for run in runs:
        item = run_document(run, now)
        if history:
            item["histories"] = {
                key: metric_document(ctx.catalog.metrics.history(run.number, run.id, key)) for key in run.metrics
            }
        items.append(item)
    return dumps({"kind": "run", "items": items}) + "\n"


def _csv(runs: list[Run], now: datetime) -> str:
    params = sorted({key for run in runs for key in run.params})
    metrics = sorted({key for run in runs for key in run.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*FIXED, *(f"param.{k}" for k in params), *(f"metric.{k}" for k in metrics)])
    for run in runs:
        fixed = run_document(run, now)
        values = [_cell(run.params.get(k)) for k in params]
        lasts = [plain(run.metrics[k].last) if k in run.metrics else None for k in metrics]
        writer.writerow([fixed[name] for name in FIXED] + values + lasts)
    return out.getvalue()


def _cell(value: object) -> object:
    """A param as one cell: what has parts as JSON, which other programs read, too."""
    made = plain(value)
    return json.dumps(made) if isinstance(made, (list, dict)) else made


EXPORT = Action(
    "run export",
    "Write runs out as JSON or CSV",
    ExportParams,
    Effect.READ,
    export,
    key="x",
    streams=True,
    file=lambda p: p.output,
    examples=("mlconsole run export --where experiment:digits --format csv --output digits.csv",),
)
