"""What is around a thing as one HTML page."""

from __future__ import annotations

import os

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.files import write_text
from mlconsole.actions.lineage import THING, find
from mlconsole.actions.sync import refresh
from mlconsole.domain.lineage import Way
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Done
from mlconsole.errors import UsageError
from mlconsole.records import record
from mlconsole.render.lineage_page import page
from mlconsole.render.numbers import counted

MOST = 500


@record
class PageParams:
    """Around what, how far, and where to."""

    node: str = param(help=THING, positional=True, cursor="node", metavar="NODE")
    depth: int = param(0, help="the most steps away; 0 for no end", metavar="N")
    limit: int = param(200, help="the most things in each direction", metavar="N")
    output: str = param("lineage.html", help="file to write", metavar="FILE", short="o")


def write(ctx: Context, params: PageParams) -> Done:
    """Write the page: all that the thing was made from, and all that was made from it.

    Raises:
        NotFound: nothing answers to the name.
        UsageError: a number makes no sense.
        ActionFailed: the file cannot be written.
    """
    if params.depth < 0 or not 0 < params.limit <= MOST:
        raise UsageError(f"Give a depth of 0 or more and a limit from 1 to {MOST}.")
    refresh(ctx)
    start, stop = find(ctx, params.node), ctx.cancelled.is_set
    found = [
        ctx.catalog.lineage.closure(start, way, most=params.limit, depth=params.depth or None, cancelled=stop)
        for way in Way
    ]
    nodes = list({node.number: node for part in found for node in part.nodes}.values())
    edges = list(dict.fromkeys(edge for part in found for edge in part.edges))
    words = {Way.UP: "was made from", Way.DOWN: "led to"}
    notes = [f"It {words[part.way]} more than is shown: raise --limit or --depth." for part in found if part.is_cut]
    write_text(params.output, page(start, nodes, edges, ctx.clock(), notes))
    for note in notes:
        ctx.say(note)
    told = f'Wrote {counted(len(nodes), "thing")} around "{start.label}" to "{params.output}".'
    return Done("lineage_page", told, fields={"path": os.path.abspath(params.output), "nodes": len(nodes)})


PAGE = Action(
    "lineage page",
    "Write what is around something as one HTML page",
    PageParams,
    Effect.READ,
    write,
    target=lambda p: p.node,
    key="W",
    file=lambda p: p.output,
)
