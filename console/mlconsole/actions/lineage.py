"""What something was made from, what was made from it, the way between two things, and how two pasts differ."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.catalog.live_lineage import keep_ancestors
from mlconsole.domain.lineage import Lineage, LineageDiff, LineagePath, Node, Way
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Listing
from mlconsole.errors import AmbiguousName, NotFound, UsageError
from mlconsole.records import record, replace

MOST = 10_000
THING = "a run, NAME@VERSION of a model or dataset (model:NAME, dataset:NAME), an environment, a commit, a digest"


def _drawn(dot: bool, mermaid: bool) -> str:
    if dot and mermaid:
        raise UsageError("Give --dot or --mermaid, not both.")
    return "dot" if dot else "mermaid" if mermaid else ""


def find(ctx: Context, word: str) -> Node:
    """The node that a word means: a run, a model, a dataset, an environment, or else a key, a label or a digest.

    ``run:NAME``, ``model:NAME``, ``dataset:NAME`` and ``env:NAME`` say which, where several things have one name.

    Raises:
        NotFound: nothing answers to the word.
        AmbiguousName: several things do.
    """
    graph, catalog = ctx.catalog.lineage, ctx.catalog
    ways: dict[str, Callable[[str], Node | None]] = {
        "run": lambda name: graph.find(f"run:{catalog.runs.get(name).id}"),
        "model": lambda name: graph.find(f"version:{catalog.models.get(name).label}"),
        "dataset": lambda name: graph.find(catalog.datasets.get(name).id),
        "env": graph.newest_deployment,
    }
    found: dict[str, Node] = {}
    for kind, way in ways.items():
        name = word.removeprefix(f"{kind}:")
        # Another kind's prefix is no part of a name.
        if name == word and word.partition(":")[0] in ways and ":" in word:
            continue
        with suppress(NotFound):
            if (node := way(name)) is not None:
                found[f"{kind}:{name}"] = node
    if len({node.key for node in found.values()}) > 1:
        raise AmbiguousName(f'"{word}" is the name of several things.', f"Say which: {', '.join(found)}")
    return next(iter(found.values()), None) or graph.find(word)


@record
class WalkParams:
    """From where, how far, and in what form."""

    node: str = param(help=THING, positional=True, cursor="run", metavar="NODE")
    depth: int = param(0, help="the most steps away; 0 for no end", metavar="N")
    limit: int = param(1000, help="the most things", metavar="N")
    dot: bool = param(False, help="as a picture in Graphviz's language")
    mermaid: bool = param(False, help="as a picture in Mermaid's language")


def _walk(ctx: Context, params: WalkParams, way: Way) -> Lineage:
    if params.depth < 0 or not 0 < params.limit <= MOST:
        raise UsageError(f"Give a depth of 0 or more and a limit from 1 to {MOST}.")
    drawn = _drawn(params.dot, params.mermaid)
    refresh(ctx)
    start = find(ctx, params.node)
    stop = ctx.cancelled.is_set
    found = ctx.catalog.lineage.closure(start, way, most=params.limit, depth=params.depth or None, cancelled=stop)
    return replace(found, drawn=drawn)


def up(ctx: Context, params: WalkParams) -> Lineage:
    """Everything that something was made from."""
    return _walk(ctx, params, Way.UP)


@record
class DownParams(WalkParams):
    """The same, or only what is live."""

    live: bool = param(False, help="only the live deployments that came of it; NODE may be a file of a dataset")


def down(ctx: Context, params: DownParams) -> Lineage | Listing[Node]:
    """Everything that was made from something, or what is live of it."""
    if params.live:
        return Listing("deployment", live_of(ctx, params.node))
    return _walk(ctx, params, Way.DOWN)


def live_of(ctx: Context, word: str) -> list[Node]:
    """The live deployments that came of something, by environment.

    Raises:
        NotFound: nothing answers to the word.
    """
    refresh(ctx)
    found: dict[int, Node] = {}
    live = ctx.catalog.live_lineage
    starts = {node.number for node in _starts(ctx, word)}
    cut = [*live.cut()]
    for deployment in live.unknown():
        numbers, is_cut = live.ancestors(deployment.number, ctx.cancelled.is_set)
        cut += [deployment] if is_cut else []
        if not starts.isdisjoint(numbers):
            found[deployment.number] = deployment
        if not ctx.settings.read_only:
            ctx.catalog.write(partial(keep_ancestors, deployment=deployment.number, numbers=numbers, is_cut=is_cut))
    for start in starts:
        found.update((node.number, node) for node in live.came_of(start))
    for deployment in cut:
        ctx.say(f'"{deployment.label}" came from more things than were looked at; it may have come of this, too.')
    return sorted(found.values(), key=lambda node: node.label)


def _starts(ctx: Context, word: str) -> list[Node]:
    """The nodes that a word means; a file on this machine stands for all data that has its bytes in it."""
    if not os.path.isfile(word):
        return [find(ctx, word)]
    from mlconsole.content.hashing import Hasher  # 3 ms, for a file
    from mlconsole.recorder.artifacts import describe, measure  # 1 ms; what log_dataset() and log_model() compute

    digest, _ = Hasher(cancelled=ctx.cancelled.is_set).digest(os.path.realpath(word))
    logged = {describe(word).digest, measure(word).digest}
    keys = [*ctx.catalog.datasets.with_file(digest), *logged, *ctx.catalog.lineage.with_file(logged)]
    if not (found := ctx.catalog.lineage.by_key(keys)):
        raise NotFound(f'Nothing in this catalog has the bytes of "{word}".', "See: mlconsole dataset list")
    return list(found.values())


@record
class PathParams:
    """Between what, and in what form."""

    one: str = param(help=THING, positional=True, metavar="NODE")
    other: str = param(help="the other thing", positional=True, metavar="NODE")
    dot: bool = param(False, help="as a picture in Graphviz's language")
    mermaid: bool = param(False, help="as a picture in Mermaid's language")


def path(ctx: Context, params: PathParams) -> LineagePath:
    """A shortest way between two things of which one was made from the other."""
    drawn = _drawn(params.dot, params.mermaid)
    refresh(ctx)
    ends = find(ctx, params.one), find(ctx, params.other)
    return replace(ctx.catalog.lineage.path(*ends, ctx.cancelled.is_set), drawn=drawn)


@record
class DiffParams:
    """Whose pasts."""

    before: str = param(help=THING, positional=True, metavar="NODE")
    after: str = param(help="the other thing", positional=True, metavar="NODE")


def diff(ctx: Context, params: DiffParams) -> LineageDiff:
    """What only one of two things was made from."""
    refresh(ctx)
    return ctx.catalog.lineage.diff(find(ctx, params.before), find(ctx, params.after), ctx.cancelled.is_set)


UP = Action(
    "lineage up",
    "Show what something was made from",
    WalkParams,
    Effect.READ,
    up,
    examples=(
        "mlconsole lineage up digits@champion",
        "mlconsole lineage up prod --mermaid",
    ),
)
DOWN = Action(
    "lineage down",
    "Show what was made from something",
    DownParams,
    Effect.READ,
    down,
    examples=("mlconsole lineage down data/2025/2.csv --live",),
)
PATH = Action("lineage path", "Show how one thing led to another", PathParams, Effect.READ, path)
DIFF = Action("lineage diff", "Show what only one of two things was made from", DiffParams, Effect.READ, diff)
