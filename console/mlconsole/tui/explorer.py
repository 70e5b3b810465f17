"""What is seen of the lineage: a start, its neighbours, and those of the nodes that were unfolded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlconsole.catalog.lineage import MOST_COUNTED, LineageGraph
from mlconsole.domain.lanes import LaneRow, in_order, lanes
from mlconsole.domain.lineage import Edge, Node, Way

FEW = 12
MORE = 10
"""A node shows so few neighbours at first, and so many times more each time that it is asked for them."""
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Fold:
    """Neighbours of a node that are not shown: how many, counted as far as ten thousand."""

    node: int
    way: Way
    hidden: int

    @property
    def words(self) -> str:
        """As a line says it."""
        count = f"{self.hidden:,}" + ("+" if self.hidden >= MOST_COUNTED - MORE * FEW else "")
        return f"{count} more it was made from" if self.way is Way.UP else f"{count} more made from it"


@dataclass(frozen=True, slots=True)
class View:
    """What was read at once.

    Attributes:
        start: where the view begins.
        rows: the lines in their order; a fold's node is a negative number.
        nodes: the nodes by number.
        folds: the folds by number.
        edges: the edges between what is shown.
        degrees: of every node, how many edges lead up and down.
    """

    start: Node
    rows: tuple[LaneRow, ...]
    nodes: Mapping[int, Node]
    folds: Mapping[int, Fold]
    edges: tuple[Edge, ...]
    degrees: Mapping[int, tuple[int, int]]

    def beside(self) -> dict[tuple[int, Way], list[Edge]]:
        """The edges that lead up and down from each node."""
        found: dict[tuple[int, Way], list[Edge]] = {}
        for edge in self.edges:
            found.setdefault((edge.below, Way.UP), []).append(edge)
            found.setdefault((edge.above, Way.DOWN), []).append(edge)
        return found

    def roles(self) -> dict[int, str]:
        """How each node hangs on one nearer to the start: the role of the edge by which it was found first."""
        found: dict[int, str] = {}
        reached = {self.start.number}
        for edge in self.edges:
            for near, far in ((edge.below, edge.above), (edge.above, edge.below)):
                if near in reached and far not in reached:
                    reached.add(far)
                    found[far] = edge.role
        return found


@dataclass(slots=True)
class Explorer:
    """Which nodes are unfolded, and how far.

    Attributes:
        graph: where everything is.
        ways: the directions that unfolding goes in.
        limits: how many neighbours each unfolded node shows in each direction.
    """

    graph: LineageGraph
    ways: tuple[Way, ...] = (Way.UP, Way.DOWN)
    limits: dict[tuple[int, Way], int] = field(default_factory=dict)

    def begin(self, start: int, ways: Sequence[Way]) -> None:
        """Show a node with its neighbours, all else folded."""
        self.ways = tuple(ways)
        self.limits = {(start, way): FEW for way in ways}

    def widen(self, start: Node) -> None:
        """Unfold what is shown by one step, away from the start."""
        for edge in self.view(start).edges:
            far, way = (edge.above, Way.UP) if edge.below == start.number else (edge.below, Way.DOWN)
            self.limits.setdefault((far, way), FEW)

    def toggle(self, number: int) -> None:
        """Unfold a node, or fold it."""
        keys = [(number, way) for way in self.ways]
        if any(key in self.limits for key in keys):
            for key in keys:
                self.limits.pop(key, None)
        else:
            self.limits.update(dict.fromkeys(keys, FEW))

    def unfold(self, fold: Fold) -> None:
        """Show more of what a fold hides."""
        key = (fold.node, fold.way)
        self.limits[key] = min(MOST, self.limits.get(key, FEW) * MORE)

    def view(self, start: Node) -> View:
        """Read what is unfolded; what hangs on nothing that is shown is left out."""
        edges, shown = self._reached(start.number)
        nodes = self.graph.nodes(sorted(shown))
        degrees = self.graph.degrees(sorted(shown))
        folds: dict[int, Fold] = {}
        for number, way in self.limits:
            if number in shown:
                have = sum((edge.below if way is Way.UP else edge.above) == number for edge in edges)
                if (hidden := degrees[number][way is Way.DOWN] - have) > 0:
                    folds[-1 - len(folds)] = Fold(number, way, hidden)
        links = [(edge.below, edge.above) for edge in edges]
        links += [(fold.node, n) if fold.way is Way.UP else (n, fold.node) for n, fold in folds.items()]
        above: dict[int, list[int]] = {}
        for below, over in links:
            above.setdefault(below, []).append(over)
        order = in_order([*nodes, *folds], above)
        return View(start, tuple(lanes(order, above)), nodes, folds, tuple(edges), degrees)

    def _reached(self, start: int) -> tuple[list[Edge], set[int]]:
        found: dict[Edge, None] = {}
        shown, waiting = {start}, [start]
        while waiting:
            number = waiting.pop()
            for way in (Way.UP, Way.DOWN):
                if (limit := self.limits.get((number, way))) is None:
                    continue
                for edge in self.graph.beside(number, way, limit):
                    found[edge] = None
                    other = edge.above if way is Way.UP else edge.below
                    if other not in shown:
                        shown.add(other)
                        waiting.append(other)
        return list(found), shown
