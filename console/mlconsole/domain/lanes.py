"""A graph as lines of text with lanes beside them, as version control draws its history: one node a line.

What was made from something stands above it, so that every edge leads down. One pass over nodes and edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

MOST_LANES = 16
NODE, CUT = "○", "…"


class LaneRow(NamedTuple):
    """How a node's line is drawn.

    Attributes:
        node: its number.
        lane: the column that it stands in.
        passing: columns of lanes that pass by.
        joins: columns of lanes that lead to something it was made from, too.
        opens: columns of lanes that begin here.
    """

    node: int
    lane: int
    passing: tuple[int, ...]
    joins: tuple[int, ...]
    opens: tuple[int, ...]

    def text(self, glyph: str = NODE) -> str:
        """The line's lanes; those beyond the last column are left out and said so."""
        ends = (*self.joins, *self.opens)
        first, last = min((self.lane, *ends)), max((self.lane, *ends))
        width = 1 + min(MOST_LANES - 1, max((self.lane, *ends, *self.passing)))
        passing, opens, joins = set(self.passing), set(self.opens), set(self.joins)
        out: list[str] = []
        for column in range(width):
            across = first <= column < last
            if column == self.lane:
                cell = glyph
            elif column in joins:
                cell = "┼" if first < column < last else "┤" if column > self.lane else "├"
            elif column in opens:
                cell = "┬" if first < column < last else "╮" if column > self.lane else "╭"
            elif column in passing:
                cell = "┼" if first < column < last else "│"
            else:
                cell = "─" if first < column < last else " "
            out.append(cell + ("─" if across else " "))
        beyond = self.lane >= MOST_LANES
        return "".join(out).rstrip() + (f"{CUT}{glyph}" if beyond else "")


def in_order(nodes: Sequence[int], above: Mapping[int, Sequence[int]]) -> list[int]:
    """The nodes, each before what it was made from, chains together and the newest (highest) numbers first.

    Where a circle was logged, it is broken at the node that comes first in ``nodes``.
    """
    known = set(nodes)
    waiting_for = dict.fromkeys(nodes, 0)
    for node in nodes:
        for target in above.get(node, ()):
            if target in known:
                waiting_for[target] += 1
    ready = sorted(node for node, count in waiting_for.items() if not count)
    order: list[int] = []
    placed: set[int] = set()
    rest = iter(nodes)
    while len(order) < len(known):
        node = ready.pop() if ready else next(node for node in rest if node not in placed)
        if node in placed:
            continue
        placed.add(node)
        order.append(node)
        for target in reversed(above.get(node, ())):
            if target in known:
                waiting_for[target] -= 1
                if not waiting_for[target] and target not in placed:
                    ready.append(target)
    return order


def lanes(order: Iterable[int], above: Mapping[int, Sequence[int]]) -> list[LaneRow]:
    """The lanes beside nodes that stand in an order as :func:`in_order` gives."""
    rows: list[LaneRow] = []
    lane_of: dict[int, int] = {}  # The column in which a lane leads to a node that is still to come.
    free: list[int] = []
    width = 0
    placed: set[int] = set()
    for node in order:
        placed.add(node)
        if (lane := lane_of.pop(node, -1)) < 0:
            lane, width = (heappop(free), width) if free else (width, width + 1)
        passing = tuple(lane_of.values()) if len(lane_of) <= MOST_LANES else _near(lane_of)
        joins: list[int] = []
        opens: list[int] = []
        is_taken = False
        for target in dict.fromkeys(above.get(node, ())):
            if target in placed:
                continue
            if target in lane_of:
                joins.append(lane_of[target])
            elif not is_taken:
                lane_of[target], is_taken = lane, True
            else:
                column, width = (heappop(free), width) if free else (width, width + 1)
                lane_of[target] = column
                opens.append(column)
        if not is_taken:
            heappush(free, lane)
        rows.append(LaneRow(node, lane, passing, tuple(joins), tuple(opens)))
    return rows


def _near(lane_of: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(column for column in lane_of.values() if column < MOST_LANES)
