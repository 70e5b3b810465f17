"""Lineage as lines of text, and as pictures in the languages of Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.lineage import Edge, Lineage, LineageDiff, LineagePath, Node, Way
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

MOST_LINES = 1000
MOST_INDENT = 20
KEY_CHARACTERS = 24


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about lineage; None for any other."""
    if isinstance(result, (Lineage, LineagePath)) and result.drawn:
        return (dot if result.drawn == "dot" else mermaid)(result.nodes, result.edges)
    if isinstance(result, Lineage):
        return _lineage(result)
    if isinstance(result, LineagePath):
        roles = ["", *(edge.role for edge in result.edges)]
        rows = [(role, *_cells(node)) for role, node in zip(roles, result.nodes, strict=True)]
        return table(("", "KIND", "NAME", "KEY"), rows)
    if isinstance(result, LineageDiff):
        return _diff(result)
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list of nodes; None for any other."""
    if not isinstance(items[0], Node):
        return None
    return table(
        ("KIND", "NAME", "KEY"), [(node.kind, node.label, node.key) for node in items if isinstance(node, Node)]
    )


def dot(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[str]:
    """A directed graph for Graphviz; what comes first stands left."""
    out = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box];"]
    out += [f"  n{node.number} [label={_quoted(f'{node.kind}: {node.label}')}];" for node in nodes]
    known = {node.number for node in nodes}
    out += [
        f"  n{edge.above} -> n{edge.below} [label={_quoted(edge.role)}];"
        for edge in edges
        if edge.above in known and edge.below in known
    ]
    return [*out, "}"]


def mermaid(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[str]:
    """A flowchart for Mermaid; what comes first stands left."""
    out = ["flowchart LR"]
    out += [f'  n{node.number}["{_entities(f"{node.kind}: {node.label}")}"]' for node in nodes]
    known = {node.number for node in nodes}
    out += [
        f'  n{edge.above} -->|"{_entities(edge.role)}"| n{edge.below}'
        for edge in edges
        if edge.above in known and edge.below in known
    ]
    return out


def _quoted(text: str) -> str:
    """A quoted string of the DOT language: a backslash would begin one of its escapes."""
    return '"' + clean(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entities(text: str) -> str:
    """Text for Mermaid, everything but plain words as numeric entities: its labels may hold Markdown and HTML."""
    return "".join(c if c.isalnum() or c in " .:-/@" else f"#{ord(c)};" for c in clean(text))


def _cells(node: Node) -> tuple[str, str, str]:
    return node.kind, node.label, node.key[:KEY_CHARACTERS]


def _lineage(found: Lineage) -> list[str]:
    pairs = list(zip(found.nodes, found.depths, strict=True))[:MOST_LINES]
    roles = {edge.above if found.way is Way.UP else edge.below: edge.role for edge in reversed(found.edges)}
    rows = [
        ("  " * min(depth, MOST_INDENT) + node.kind, roles.get(node.number, "") if depth else "", *_cells(node)[1:])
        for node, depth in pairs
    ]
    out = table(("KIND", "HOW", "NAME", "KEY"), rows)
    is_cut = found.is_cut or len(found.nodes) > MOST_LINES
    return out + (["... there is more: raise --limit or --depth"] if is_cut else [])


def _diff(diff: LineageDiff) -> list[str]:
    names = clean(diff.before.label, 40), clean(diff.after.label, 40)
    rows = [("-", *_cells(node)) for node in diff.only_before] + [("+", *_cells(node)) for node in diff.only_after]
    out = [f"- only {names[0]}, + only {names[1]}, {diff.shared} in common"]
    out += table(("", "KIND", "NAME", "KEY"), rows[:MOST_LINES]) if rows else []
    return out + (["... there is more than was looked at"] if diff.is_cut else [])
