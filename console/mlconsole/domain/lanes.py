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
        passing: columns of lanes that pass by, of those that are drawn.
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
    waiting_for = dict.fromkeys(nodes, 0)
    for node in waiting_for:
        for target in above.get(node, ()):
            if target in waiting_for:
                waiting_for[target] += 1
    ready = sorted(node for node, count in waiting_for.items() if not count)
    order: list[int] = []
    placed: set[int] = set()
    rest = iter(waiting_for)
    while len(order) < len(waiting_for):
        node = ready.pop() if ready else next(node for node in rest if node not in placed)
        if node in placed:
            continue
        placed.add(node)
        order.append(node)
        for target in reversed(above.get(node, ())):
            if (left := waiting_for.get(target)) is not None:
                waiting_for[target] = left = left - 1
                if not left and target not in placed:
                    ready.append(target)
    return order


def lanes(order: Iterable[int], above: Mapping[int, Sequence[int]]) -> list[LaneRow]:
    """The lanes beside nodes that stand in an order as :func:`in_order` gives."""
    rows: list[LaneRow] = []
    lane_of: dict[int, int] = {}  # The column in which a lane leads to a node that is still to come.
    free: list[int] = []
    width, near = 0, 0  # A bit for each of the first columns in which a lane passes.
    placed: set[int] = set()
    for node in order:
        placed.add(node)
        if (lane := lane_of.pop(node, -1)) < 0:
            lane, width = (heappop(free), width) if free else (width, width + 1)
        else:
            near &= ~(1 << lane)
        passing = _PASSING[near]
        joins: tuple[int, ...] = ()
        opens: tuple[int, ...] = ()
        is_taken = False
        for target in above.get(node, ()):
            if target in placed:
                continue
            if (column := lane_of.get(target, -1)) >= 0:
                if column != lane and column not in opens:
                    joins += (column,)
                continue
            if is_taken:
                column, width = (heappop(free), width) if free else (width, width + 1)
                opens += (column,)
            else:
                column, is_taken = lane, True
            lane_of[target] = column
            if column < MOST_LANES:
                near |= 1 << column
        if not is_taken:
            heappush(free, lane)
        rows.append(LaneRow(node, lane, passing, joins, opens))
    return rows


class _Passing(dict[int, tuple[int, ...]]):
    """The columns of the bits of a number; there are few such numbers, and many rows with the same one."""

    def __missing__(self, near: int) -> tuple[int, ...]:
        found = tuple(column for column in range(MOST_LANES) if near >> column & 1)
        return self.setdefault(near, found)


_PASSING = _Passing()
