"""Lineage as JSON documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlconsole.domain.lineage import Edge, Lineage, LineageDiff, LineagePath, Node
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about lineage; None for any other."""
    if isinstance(result, Lineage):
        nodes = [{**_node(node), "depth": depth} for node, depth in zip(result.nodes, result.depths, strict=True)]
        edges = _edges(result.edges, result.nodes)
        head = {"kind": "lineage", "start": result.start.key, "way": result.way.value}
        return {**head, "nodes": nodes, "edges": edges, "more": result.is_cut}
    if isinstance(result, LineagePath):
        edges = _edges(result.edges, result.nodes)
        return {"kind": "lineage_path", "nodes": [_node(node) for node in result.nodes], "edges": edges}
    if isinstance(result, LineageDiff):
        return {
            "kind": "lineage_diff",
            "before": result.before.key,
            "after": result.after.key,
            "only_before": [_node(node) for node in result.only_before],
            "only_after": [_node(node) for node in result.only_after],
            "shared": result.shared,
            "more": result.is_cut,
        }
    return None


def item(thing: object) -> Document | None:
    """The document of a node in a list; None for any other thing."""
    return _node(thing) if isinstance(thing, Node) else None


def _node(node: Node) -> Document:
    return {"key": node.key, "node": node.kind, "label": node.label, "at": iso(node.at)}


def _edges(edges: Sequence[Edge], nodes: Sequence[Node]) -> list[Document]:
    keys = {node.number: node.key for node in nodes}
    known = [edge for edge in edges if edge.below in keys and edge.above in keys]
    return [{"from": keys[edge.above], "to": keys[edge.below], "role": edge.role} for edge in known]
