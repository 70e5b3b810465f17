"""Lineage: what was made from what, as nodes and append-only edges, and the pictures of a part of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mlconsole.records import record


class NodeKind(StrEnum):
    """What a node stands for. An artifact is a file that a run made, until something says more of it."""

    CODE = "code"
    DATASET = "dataset"
    MODEL = "model"
    CONFIG = "config"
    ENVIRONMENT = "environment"
    EVALUATION = "evaluation"
    RUN = "run"
    ARTIFACT = "artifact"
    RELEASE = "release"
    DEPLOYMENT = "deployment"


class Way(StrEnum):
    """Up is towards what something was made from, down towards what was made from it."""

    UP = "up"
    DOWN = "down"


class Node(NamedTuple):
    """A thing with a past; ``key`` is unique, ``label`` is what people call it."""

    number: int
    kind: str
    key: str
    label: str
    at: datetime


class Edge(NamedTuple):
    """``below`` was made from ``above``; the numbers are those of nodes. ``role`` says how."""

    below: int
    above: int
    role: str


@record
class Lineage:
    """A part of the graph around a start.

    ``depths`` has the distance of every node from the start. ``is_cut`` says that there is more than was asked for.
    ``drawn`` asks for a picture instead of a table: ``dot`` or ``mermaid``.
    """

    start: Node
    way: Way
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    depths: tuple[int, ...]
    is_cut: bool = False
    drawn: str = ""


@record
class LineagePath:
    """A shortest way from what is above to what is below: nodes in order, and the edges between them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    drawn: str = ""


@record
class LineageDiff:
    """The ancestors that only one of two things has, and how many they share."""

    before: Node
    after: Node
    only_before: tuple[Node, ...]
    only_after: tuple[Node, ...]
    shared: int
    is_cut: bool = False


def shortest_path(edges: Iterable[Edge], above: int, below: int) -> list[Edge]:
    """The edges of a shortest way up from ``below`` to ``above``, in order from above; empty where there is none."""
    up: dict[int, list[Edge]] = {}
    for edge in edges:
        up.setdefault(edge.below, []).append(edge)
    came: dict[int, Edge] = {}
    waiting = deque([below])
    while waiting and above not in came:
        for edge in up.get(waiting.popleft(), ()):
            if edge.above not in came and edge.above != below:
                came[edge.above] = edge
                waiting.append(edge.above)
    path: list[Edge] = []
    at = above
    while at in came:
        path.append(came[at])
        at = came[at].below
    return path
