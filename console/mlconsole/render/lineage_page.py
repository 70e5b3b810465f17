"""A part of the lineage as one HTML page that needs nothing but itself: a graph to look at, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlconsole.domain.layers import layers
from mlconsole.domain.lineage import Edge, Node, NodeKind
from mlconsole.domain.times import iso
from mlconsole.render.figures import escaped
from mlconsole.render.pages import document, figure_div, table

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LOOKS = {
    NodeKind.CODE: ("#4477aa", "diamond"),
    NodeKind.DATASET: ("#228833", "square"),
    NodeKind.CONFIG: ("#66ccee", "diamond-tall"),
    NodeKind.ENVIRONMENT: ("#997700", "pentagon"),
    NodeKind.RUN: ("#555555", "circle"),
    NodeKind.ARTIFACT: ("#aaaaaa", "square-open"),
    NodeKind.MODEL: ("#aa3377", "hexagon"),
    NodeKind.EVALUATION: ("#ccbb44", "triangle-up"),
    NodeKind.RELEASE: ("#ee6677", "star-square"),
    NodeKind.DEPLOYMENT: ("#b00020", "star"),
}
LINE = "#b8b8b8"
LAYER_PX, NODE_PX = 190, 46
LEAST_PX, MOST_PX = 300, 6000
LABEL = 26
Places = dict[int, tuple[float, float]]


def page(start: Node, nodes: Sequence[Node], edges: Sequence[Edge], now: datetime, notes: Sequence[str] = ()) -> str:
    """The page around a thing."""
    known = {node.number for node in nodes}
    drawn = [edge for edge in edges if edge.above in known and edge.below in known]
    title = f"{escaped(start.kind)} {escaped(start.label)}"
    words = f"{len(nodes):,} things and {len(drawn):,} steps between them; what came first stands left."
    parts = [
        f'<p class="dim">{words}</p>',
        *(f'<p class="note">{escaped(note, 400)}</p>' for note in notes),
        f'<div class="wide">{figure_div("lineage", figure(start, nodes, drawn))}</div>',
        "<h2>Things</h2>",
        table(("Kind", "Name", "When (UTC)", "Made from", "Key"), _rows(nodes, drawn)),
    ]
    return document(f"Lineage of {title}", now, parts)


def figure(start: Node, nodes: Sequence[Node], edges: Sequence[Edge]) -> Figure:
    """The graph: one trace of edges, their roles in the middle of them, and one trace a kind of node."""
    import plotly.graph_objects as go  # 80 ms

    found = layers([node.number for node in nodes], edges)
    place: Places = {
        node: (float(column), (len(layer) - 1) / 2 - row)
        for column, layer in enumerate(found)
        for row, node in enumerate(layer)
    }
    drawn = go.Figure(go.Scatter(**_lines(edges, place)))
    drawn.add_trace(go.Scatter(**_roles(edges, place)))
    for kind, (colour, symbol) in LOOKS.items():
        some = [node for node in nodes if node.kind == kind.value]
        if some:
            sizes = [20 if node.number == start.number else 13 for node in some]
            drawn.add_trace(
                go.Scatter(
                    x=[place[node.number][0] for node in some],
                    y=[place[node.number][1] for node in some],
                    mode="markers+text",
                    name=kind.value,
                    text=[escaped(node.label, LABEL) for node in some],
                    textposition="bottom center",
                    hovertext=[f"{kind.value} {escaped(node.label)}<br>{escaped(node.key)}" for node in some],
                    hoverinfo="text",
                    marker={"symbol": symbol, "color": colour, "size": sizes, "opacity": 1},
                )
            )
    rows = max((len(layer) for layer in found), default=1)
    drawn.update_layout(**_layout(len(found), rows))
    return drawn


def _lines(edges: Sequence[Edge], place: Places) -> dict[str, object]:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for edge in edges:
        (left, top), (right, bottom) = place[edge.above], place[edge.below]
        xs += [left, right, None]
        ys += [top, bottom, None]
    look = {"color": LINE, "width": 1.2}
    return {"x": xs, "y": ys, "mode": "lines", "line": look, "hoverinfo": "skip", "showlegend": False}


def _roles(edges: Sequence[Edge], place: Places) -> dict[str, object]:
    middles = [(place[edge.above], place[edge.below]) for edge in edges]
    return {
        "x": [(one[0] + other[0]) / 2 for one, other in middles],
        "y": [(one[1] + other[1]) / 2 for one, other in middles],
        "mode": "markers",
        "marker": {"color": LINE, "size": 5},
        "hovertext": [escaped(edge.role) for edge in edges],
        "hoverinfo": "text",
        "showlegend": False,
    }


def _layout(columns: int, rows: int) -> dict[str, object]:
    bare = {"visible": False, "showgrid": False, "zeroline": False}
    return {
        "template": "none",
        "font": {"family": "system-ui, sans-serif", "size": 11, "color": "#222222"},
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "hovermode": "closest",
        "dragmode": "pan",
        "width": max(900, min(MOST_PX, columns * LAYER_PX)),
        "height": max(LEAST_PX, min(MOST_PX, (rows + 1) * NODE_PX + 60)),
        "xaxis": {**bare, "range": [-0.6, columns - 0.4]},
        "yaxis": {**bare, "range": [-rows / 2 - 0.3, rows / 2 + 0.3]},
    }


def _rows(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[str]:
    labels = {node.number: node.label for node in nodes}
    sources: dict[int, list[str]] = {}
    for edge in edges:
        sources.setdefault(edge.below, []).append(f"{escaped(labels[edge.above], 40)} ({escaped(edge.role, 30)})")
    out = []
    for node in nodes:
        colour = LOOKS[NodeKind(node.kind)][0] if node.kind in LOOKS else LINE
        cells = (
            f'<span class="dot" style="background:{colour}"></span>{escaped(node.kind)}',
            escaped(node.label),
            (iso(node.at) or "")[:19].replace("T", " "),
            ", ".join(sources.get(node.number, ())[:6]),
            f'<code class="dim">{escaped(node.key, 90)}</code>',
        )
        classes = ("", "", "", "reason", "")
        columns = zip(classes, cells, strict=True)
        out.append("<tr>" + "".join(f'<td class="{name}">{cell}</td>' for name, cell in columns) + "</tr>")
    return out
