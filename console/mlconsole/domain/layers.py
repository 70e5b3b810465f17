"""A graph in layers from left to right: each thing right of all that it was made from, with few crossings.

The layers are those of the longest path, the order within them that of repeated barycentres (Sugiyama, Tagawa and Toda,
Methods for Visual Understanding of Hierarchical System Structures, 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlconsole.domain.lanes import in_order
from mlconsole.domain.lineage import Edge

SWEEPS = 6


def layers(nodes: Sequence[int], edges: Iterable[Edge]) -> list[list[int]]:
    """The nodes of each layer, the sources first, from top to bottom. An edge that closes a circle counts for none."""
    known = set(nodes)
    above: dict[int, list[int]] = {node: [] for node in nodes}
    for edge in edges:
        if edge.below in known and edge.above in known:
            above[edge.below].append(edge.above)
    depth: dict[int, int] = {}
    for node in reversed(in_order(nodes, above)):
        depth[node] = 1 + max((depth[other] for other in above[node] if other in depth), default=-1)
    out: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        out[depth[node]].append(node)
    return _untangled(out, above)


def _untangled(found: list[list[int]], above: Mapping[int, Sequence[int]]) -> list[list[int]]:
    below: dict[int, list[int]] = {}
    for node, others in above.items():
        for other in others:
            below.setdefault(other, []).append(node)
    for sweep in range(SWEEPS):
        beside = below if sweep % 2 else above
        place = {node: index / max(1, len(layer) - 1) for layer in found for index, node in enumerate(layer)}
        for layer in reversed(found) if sweep % 2 else found:
            layer.sort(key=lambda node: _middle(beside.get(node, ()), place, place[node]))
            place |= {node: index / max(1, len(layer) - 1) for index, node in enumerate(layer)}
    return found


def _middle(others: Sequence[int], place: Mapping[int, float], own: float) -> float:
    return sum(place[other] for other in others) / len(others) if others else own
