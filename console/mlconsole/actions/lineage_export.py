"""Writing lineage out as OpenLineage events, for catalogs of data that take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.files import write_pieces
from mlconsole.actions.sync import refresh
from mlconsole.domain.lineage import Edge, Node, NodeKind, Way
from mlconsole.domain.plans import Effect
from mlconsole.domain.query import parse
from mlconsole.domain.results import TextChunk
from mlconsole.domain.runs import Run
from mlconsole.errors import Interrupted, NotFound, UsageError
from mlconsole.records import record
from mlconsole.render.documents import dumps
from mlconsole.render.numbers import counted
from mlconsole.render.openlineage import Execution, Thing, events, job_facets, job_name, outcome_of, run_facets, unnamed

AT_ONCE = 200
MOST_KEPT = 10_000


@record
class ExportParams:
    """Which runs, and where to."""

    runs: tuple[str, ...] = param((), help="ids, prefixes or names", positional=True, cursor="marked", metavar="RUN")
    where: str | None = param(
        None, help="a filter instead of names; all runs and rollouts without either", metavar="FILTER", short="w"
    )
    output: str | None = param(None, help="file to write; standard output when left out", metavar="FILE", short="o")


def export(ctx: Context, params: ExportParams) -> Iterator[TextChunk]:
    """One event a line: the start and the end of every run, and of every rollout.

    Raises:
        UsageError: both names and a filter.
        ActionFailed: the file cannot be written.
        Interrupted: nobody wants the answer any more.
    """
    if params.runs and params.where:
        raise UsageError("Give runs by name or by filter, not both.")
    refresh(ctx)
    if params.runs:
        numbers: Sequence[int] = [ctx.catalog.runs.find(word) for word in params.runs]
    else:
        numbers = sorted(ctx.catalog.search.all(parse(params.where or ""), ctx.clock()))
    lines = _lines(ctx, numbers, with_rollouts=not params.runs and params.where is None)
    if params.output is None:
        for text in lines:
            yield TextChunk(text.encode("ascii"), "file")
    else:
        count = write_pieces(params.output, lines)
        ctx.say(f'Wrote {counted(count, "event")} to "{params.output}".')


def _lines(ctx: Context, numbers: Sequence[int], *, with_rollouts: bool) -> Iterator[str]:
    past = _Past(ctx)
    for begin in range(0, len(numbers), AT_ONCE):
        for one in past.runs(numbers[begin : begin + AT_ONCE]):
            if ctx.cancelled.is_set():
                raise Interrupted("Interrupted.")
            yield from (dumps(event, indent=None) + "\n" for event in events(one))
    for one in past.rollouts() if with_rollouts else ():
        yield from (dumps(event, indent=None) + "\n" for event in events(one))


class _Past:
    """Runs and rollouts with what they read and wrote, as the lineage has it."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._graph = ctx.catalog.lineage
        self._things: dict[int, Thing | None] = {}

    def runs(self, numbers: Sequence[int]) -> Iterator[Execution]:
        """Executions of runs, in order."""
        catalog = self._ctx.catalog
        found = catalog.runs.load(numbers)
        nodes = self._graph.by_key([f"run:{run.id}" for run in found])
        at = [node.number for node in nodes.values()]
        used = self._by_node(self._graph.edges(at, Way.UP), Way.UP, ("used",))
        made = self._by_node(self._graph.edges(at, Way.DOWN), Way.DOWN, ("made", "registered"))
        for run in found:
            number = nodes[key].number if (key := f"run:{run.id}") in nodes else 0
            details = catalog.runs.details(run.id)
            yield Execution(
                key,
                job_name(run),
                run.started_at or run.created_at,
                run.ended_at,
                outcome_of(run),
                used.get(number, ()),
                made.get(number, ()),
                run_facets(details, self._parent(run)),
                job_facets(details),
            )

    def rollouts(self) -> Iterator[Execution]:
        """Executions of all moves of environments: they read a release's parts and write the environment."""
        for node in self._graph.starting("deployment:"):
            name, _, generation = node.key.removeprefix("deployment:").rpartition(":")
            releases = [edge.above for edge in self._graph.edges([node.number], Way.UP) if edge.role == "deployed"]
            parts = [edge.above for edge in self._graph.edges(releases, Way.UP)]
            inputs = [thing for part in dict.fromkeys(parts) if (thing := self._thing(part)) is not None]
            output = Thing(f"env/{name}", generation, "JOB_OUTPUT")
            yield Execution(node.key, f"rollout.{name}", node.at, node.at, "COMPLETE", inputs, [output])

    def _by_node(self, edges: Sequence[Edge], way: Way, roles: tuple[str, ...]) -> dict[int, list[Thing]]:
        out: dict[int, list[Thing]] = {}
        for edge in edges:
            mine, other = (edge.below, edge.above) if way is Way.UP else (edge.above, edge.below)
            if edge.role in roles and (thing := self._thing(other)) is not None:
                out.setdefault(mine, []).append(thing)
        return out

    def _parent(self, run: Run) -> Run | None:
        try:
            return self._ctx.catalog.runs.get(run.parent_id) if run.parent_id else None
        except NotFound:
            return None

    def _thing(self, number: int) -> Thing | None:
        if number not in self._things:
            if len(self._things) >= MOST_KEPT:
                self._things.clear()
            node = self._graph.nodes([number]).get(number)
            self._things[number] = self._named(node) if node is not None else None
        return self._things[number]

    def _named(self, node: Node) -> Thing:
        """A node by the name that people gave it, or gave to the same bytes; else by what a run called it."""
        if node.key.startswith("version:"):
            name, _, version = node.key.removeprefix("version:").rpartition("@")
            return Thing(f"model/{name}", version, "MODEL")
        same = [edge.above for edge in self._graph.edges([node.number], Way.UP) if edge.role == "same bytes"]
        for one in (node, *self._graph.nodes(same).values()):
            if one.kind == NodeKind.DATASET.value and one.key.startswith("blake3:"):
                try:
                    dataset = self._ctx.catalog.datasets.get(one.key)
                except NotFound:
                    continue
                return Thing(dataset.name, one.key, "FILE", tuple(dataset.schema.columns or ()))
        return unnamed(node.kind, node.label, node.key)


EXPORT = Action(
    "lineage export",
    "Write runs and rollouts out as OpenLineage events",
    ExportParams,
    Effect.READ,
    export,
    streams=True,
    file=lambda p: p.output,
    examples=("mlconsole lineage export --where experiment:digits --output events.ndjson",),
)
