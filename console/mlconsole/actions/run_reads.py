"""Reading runs: list, show, compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.domain.plans import Effect
from mlconsole.domain.query import Query, parse, parse_sort
from mlconsole.domain.results import Listing
from mlconsole.domain.runs import Run
from mlconsole.errors import UsageError
from mlconsole.records import record, replace

if TYPE_CHECKING:
    from mlconsole.domain.compare import Comparison
    from mlconsole.domain.run_details import RunDetails


@record
class ListParams:
    """Which runs, in which order, with which columns."""

    filter: tuple[str, ...] = param(
        (), help="a filter, as in: loss<0.3 user:me sort:-loss", positional=True, metavar="FILTER"
    )
    where: str | None = param(None, help="the filter as one text", short="w", metavar="FILTER")
    sort: str | None = param(None, help="sort by these fields; a leading - sorts from high to low", metavar="FIELD,...")
    columns: str | None = param(None, help="columns to show", metavar="NAME,...")
    limit: int = param(50, help="the most runs to show; 0 shows all", metavar="N")


def query_of(params: ListParams) -> Query:
    """The query that a listing's params make together."""
    query = parse(" ".join(part for part in (*params.filter, params.where or "") if part))
    if params.sort:
        query = replace(query, sort=parse_sort(params.sort))
    if params.columns:
        query = replace(query, columns=tuple(c for c in params.columns.split(",") if c))
    return query


NONE_FITS = "No run fits the filter. All there are: mlconsole run list"


def list_runs(ctx: Context, params: ListParams) -> Listing[Run]:
    """One page of runs, after the catalog was brought up to date."""
    if params.limit < 0:
        raise UsageError(f'"{params.limit}" is not a limit.', "Give 0 or more.")
    query = query_of(params)
    refresh(ctx)
    now = ctx.clock()
    if params.limit == 0:
        numbers, more = ctx.catalog.search.all(query, now), False
    else:
        found = ctx.catalog.search.page(query, now, limit=params.limit)
        numbers, more = found.numbers, found.next is not None
        for note in found.notes:
            ctx.say(note)
    empty = "" if query.where is None else NONE_FITS
    return Listing("run", with_costs(ctx, ctx.catalog.runs.load(numbers)), query.columns, more, empty=empty)


def with_costs(ctx: Context, runs: list[Run]) -> list[Run]:
    """The runs, those that live here with what they cost and use up to now; one that nothing is charged to is left."""
    if not any(run.state.is_live and run.backend and (run.gpus or ctx.settings.machine) for run in runs):
        return runs
    from mlconsole.actions.settling import with_live_costs  # 9 ms, where a run lives that costs

    return with_live_costs(ctx, runs)


@record
class RunParams:
    """One run."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")


def show(ctx: Context, params: RunParams) -> RunDetails:
    """Everything about one run."""
    refresh(ctx)
    details = ctx.catalog.runs.details(params.run)
    commands = ctx.catalog.teardowns.commands(details.run.number) if details.run.backend else ()
    return replace(details, run=with_costs(ctx, [details.run])[0], teardown=commands)


@record
class RunsParams:
    """Two runs or more."""

    runs: tuple[str, ...] = param((), help="ids, prefixes or names", positional=True, cursor="marked", metavar="RUN")


def compare_runs(ctx: Context, params: RunsParams) -> Comparison:
    """Runs side by side, what differs first."""
    if len(params.runs) < 2:
        raise UsageError("Comparing needs two runs or more.", "mlconsole run compare RUN RUN ...")
    from mlconsole.domain.compare import compare  # 1 ms, for comparing alone

    refresh(ctx)
    return compare([ctx.catalog.runs.get(word) for word in params.runs])


LIST = Action(
    "run list",
    "List runs by filter",
    ListParams,
    Effect.READ,
    list_runs,
    examples=(
        "mlconsole run list 'val/acc>0.9 and not tag:debug sort:-val/acc cols:val/acc,lr'",
        "mlconsole run list state:running --json",
    ),
)
SHOW = Action(
    "run show",
    "Show everything about one run",
    RunParams,
    Effect.READ,
    show,
    target=lambda p: p.run,
    key="enter",
)
COMPARE = Action("run compare", "Compare runs side by side", RunsParams, Effect.READ, compare_runs, key="c")
