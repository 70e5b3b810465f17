"""What was made from what, as lanes: a thing and its neighbours first, more of them on a key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.actions.lineage import find
from mlconsole.domain.lanes import LaneRow
from mlconsole.domain.lineage import Edge, Node, NodeKind, Way
from mlconsole.domain.query import Query
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.tui.explorer import Explorer, View
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.page import Page
from mlconsole.tui.widgets.rows import Row
from mlconsole.tui.widgets.table_messages import CursorMoved, Selected

NEWEST = 1000
WAYS: tuple[tuple[Way, ...], ...] = ((Way.UP, Way.DOWN), (Way.UP,), (Way.DOWN,))
WORDS = {WAYS[0]: "both ways", WAYS[1]: "what it was made from", WAYS[2]: "what was made from it"}
START, OPEN, SHUT, FOLD = "◆", "●", "○", "▸"
TOKENS = {
    NodeKind.DEPLOYMENT.value: "state.good",
    NodeKind.RELEASE.value: "accent",
    NodeKind.MODEL.value: "accent",
    NodeKind.RUN.value: "strong",
}
PAGE_LINES = 6
FEWEST = 4


class LineageScreen(ListScreen):
    """Without a target the things that came last; with one the lane graph around it."""

    CSS_PATH = "lineage.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "way", "both ways, up or down", show=False),
        Binding("h", "here", "begin from the thing under the cursor", show=False),
        Binding("p", "thing", "open its own page", show=False),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"node"})
    columns: ClassVar[tuple[Column, ...]] = (
        Column("thing", "THING", width=36, least=24, most=70, priority=0),
        Column("kind", "KIND", width=11, least=8, priority=1),
        Column("how", "HOW", width=11, least=8, most=20, priority=2),
        Column("more", "UP/DOWN", True, 12, 9, priority=3),
        Column("when", "WHEN", True, 10, 8, priority=4),
        Column("key", "KEY", width=24, least=12, most=80, priority=5),
    )
    empty: str = "Nothing has a past yet. A launch, log_dataset() and model register write it."

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._ways = WAYS[0]
        self._explorer: Explorer | None = None
        self._view: View | None = None
        self._known: dict[str, Node] = {}
        self._beside: dict[tuple[int, Way], list[Edge]] = {}

    def content(self) -> Iterable[Widget]:
        """The table, and what is known of the thing under the cursor."""
        yield from super().content()
        yield Page(id="about")

    def on_mount(self) -> None:
        """The page is to be read, not to be stood on."""
        self.query_one("#about").can_focus = False

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        if not self.location.target:
            return [("enter", "its lineage"), *super().keys()]
        return [("enter", "unfold"), ("w", "ways"), ("h", "from here"), ("p", "page"), ("-", "back"), *super().keys()]

    def filled(self, cursor: str) -> object:
        """The thing under the cursor."""
        key = self.cursor_name()
        return key if cursor == "node" and key in self._known else None

    def read(self) -> list[Row]:
        """The lines, at the desk."""
        graph = self.console.ctx.catalog.lineage
        if not self.location.target:
            found = graph.latest(NEWEST)
            self._known = {node.key: node for node in found}
            degrees = graph.degrees([node.number for node in found])
            return [self._row(node, node.label, "", degrees[node.number]) for node in found]
        start = find(self.console.ctx, self.location.target)
        if self._explorer is None:
            self._explorer = Explorer(graph)
            self._explorer.begin(start.number, self._ways)
        self._view = view = self._explorer.view(start)
        self._known = {node.key: node for node in view.nodes.values()}
        self._beside = view.beside()
        self.console.names[self.location.target] = start.label
        roles = view.roles()
        return [self._line(row, view, roles) for row in view.rows]

    def _show(self, rows: list[Row]) -> None:
        super()._show(rows)
        if self.is_shown:
            self._tell(self.cursor_name())

    def _line(self, row: LaneRow, view: View, roles: dict[int, str]) -> Row:
        if (fold := view.folds.get(row.node)) is not None:
            cells = ((f"{row.text(FOLD)} {fold.words}", "dim"), *((("", "dim"),) * 5))
            return Row(str(row.node), cells)
        assert self._explorer is not None
        is_open = any((row.node, way) in self._explorer.limits for way in Way)
        glyph = START if row.node == view.start.number else OPEN if is_open else SHUT
        node = view.nodes[row.node]
        return self._row(node, f"{row.text(glyph)} {node.label}", roles.get(row.node, ""), view.degrees[row.node])

    def _row(self, node: Node, text: str, how: str, degrees: tuple[int, int]) -> Row:
        up, down = degrees
        return Row(
            node.key,
            (
                (text, TOKENS.get(node.kind, "value")),
                (node.kind, "label"),
                (how, "dim"),
                (f"↑{up:,} ↓{down:,}", "value"),
                (numbers.ago(node.at, self.console.ctx.clock()), "dim"),
                (node.key, "dim"),
            ),
            (("more", up + down), ("when", node.at.timestamp())),
        )

    def on_table_selected(self, event: Selected) -> None:
        """Unfold a node, fold it, or show more of what is folded; in the list, go to its lineage."""
        event.prevent_default()
        if not self.location.target:
            self.console.go(Location("lineage", event.key, cursor=event.key))
            return
        if self._explorer is None or self._view is None:
            return
        node = self._known.get(event.key)
        if node is not None:
            self._explorer.toggle(node.number)
        elif (fold := self._view.folds.get(_number(event.key))) is not None:
            self._explorer.unfold(fold)
        self.look_again()

    def below(self) -> Iterable[Widget]:
        """Nothing more: what is known of a thing stands under the list."""
        return ()

    def on_table_cursor_moved(self, event: CursorMoved) -> None:
        """Say what is known of the thing."""
        self._tell(event.key or "")

    def _tell(self, key: str) -> None:
        node = self._known.get(key)
        self.query_one("#about", Page).show(self._about(node) if node is not None else [])

    def _about(self, node: Node) -> list[list[Span]]:
        lines: list[list[Span]] = [
            [(f"{node.kind}  ", "label"), (node.label, "strong"), (f"  {iso(node.at)}", "dim")],
            [("key  ", "label"), (node.key, "value")],
        ]
        view = self._view
        for words, way in (("from", Way.UP), ("led to", Way.DOWN)):
            edges = self._beside.get((node.number, way), [])
            spans: list[Span] = [(f"{words}  ", "label")]
            for edge in edges[:FEWEST]:
                other = view.nodes[edge.above if way is Way.UP else edge.below] if view else node
                spans += [(other.label, "value"), (f" ({edge.role})  ", "dim")]
            if len(edges) > FEWEST:
                spans.append((f"and {len(edges) - FEWEST:,} more", "dim"))
            if edges:
                lines.append(spans)
        return lines[:PAGE_LINES]

    def action_way(self) -> None:
        """Turn between both ways, up and down."""
        if self.location.target:
            self._ways = WAYS[(WAYS.index(self._ways) + 1) % len(WAYS)]
            self._explorer = None
            self.say(WORDS[self._ways], "dim")
            self.look_again()

    def action_here(self) -> None:
        """Begin from the thing under the cursor."""
        if (node := self._known.get(self.cursor_name())) is not None:
            self.console.go(Location("lineage", node.key, cursor=node.key))

    def action_thing(self) -> None:
        """Open the page of a run or a model."""
        node = self._known.get(self.cursor_name())
        if node is None:
            return
        kind, _, rest = node.key.partition(":")
        if node.kind == NodeKind.RUN.value:
            self.console.names[rest] = node.label
            self.console.go(Location("run", rest))
        elif kind == "version":
            self.console.go(Location("model", rest))
        else:
            self.say(f"A {node.kind} has no page of its own; what is known of it stands below.", "dim")


def _number(key: str) -> int:
    return int(key) if key.removeprefix("-").isdecimal() else 0
