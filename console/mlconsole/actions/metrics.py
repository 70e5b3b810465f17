"""Reading metric histories."""

from __future__ import annotations

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.plans import Effect
from mlconsole.records import record


@record
class MetricParams:
    """Which metric of which run."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    key: str = param(help="name of the metric", positional=True, cursor="metric", metavar="KEY")
    rank: int | None = param(None, help="the rank that logged it; the lowest when left out", metavar="N")


def show(ctx: Context, params: MetricParams) -> MetricHistory:
    """Every point of one metric of one run."""
    refresh(ctx)
    run = ctx.catalog.runs.load([ctx.catalog.runs.find(params.run)], metrics=())[0]
    return ctx.catalog.metrics.history(run.number, run.id, params.key, params.rank)


SHOW = Action(
    "metric show",
    "Show every point of a metric",
    MetricParams,
    Effect.READ,
    show,
    target=lambda p: p.run,
    examples=("mlconsole metric show train-8rb3 val/acc --json",),
)
