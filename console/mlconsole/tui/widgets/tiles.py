"""Many things on one screen, a tile each: for machines with more GPUs than lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from mlconsole.render.sanitise import clean
from mlconsole.render.width import end
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.look import look_of
from mlconsole.tui.widgets.table_messages import Selected


@dataclass(frozen=True, slots=True)
class Tile:
    """One thing: the key that names it for good, and its spans, as wide together as every other tile's."""

    key: str
    spans: tuple[Span, ...]


class Tiles(Widget, can_focus=True):
    """Tiles from left to right in rows; the cursor holds on to its key."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Tiles { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "move(1)", "next", show=False),
        Binding("left", "move(-1)", "before", show=False),
        Binding("j,down", "move_row(1)", "below", show=False),
        Binding("k,up", "move_row(-1)", "above", show=False),
        Binding("g,home", "move(-1000000)", "first", show=False),
        Binding("G,end", "move(1000000)", "last", show=False),
        Binding("enter", "select", "open", show=False),
    ]

    class CursorMoved(Message):
        """The cursor stands on another tile."""

    def __init__(self, width: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._width = width
        self._tiles: Sequence[Tile] = ()
        self._at = 0
        self._top = 0

    def show(self, tiles: Sequence[Tile]) -> None:
        """Show these, the cursor staying on its own; nothing is drawn when they are the same."""
        if tiles == self._tiles:
            return
        key = self.cursor_key
        self._tiles = tiles
        self._at = next((i for i, tile in enumerate(tiles) if tile.key == key), min(self._at, max(0, len(tiles) - 1)))
        self.refresh()

    def put_cursor(self, key: str) -> None:
        """Put the cursor on a tile, if it is there."""
        self._go(next((i for i, tile in enumerate(self._tiles) if tile.key == key), self._at))

    @property
    def cursor_key(self) -> str | None:
        """The key of the tile under the cursor."""
        return self._tiles[self._at].key if self._at < len(self._tiles) else None

    @property
    def _across(self) -> int:
        return max(1, (self.size.width + 1) // (self._width + 2))

    def action_move(self, tiles: int) -> None:
        """Go on by tiles."""
        self._go(self._at + tiles)

    def action_move_row(self, rows: int) -> None:
        """Go down or up, as far as there is something."""
        to = self._at + rows * self._across
        self._go(to if 0 <= to < len(self._tiles) else self._at)

    def action_select(self) -> None:
        """Open the tile under the cursor."""
        if self.cursor_key is not None:
            self.post_message(Selected(self.cursor_key))

    def _go(self, to: int) -> None:
        to = max(0, min(to, len(self._tiles) - 1))
        if to != self._at:
            self._at = to
            row = to // self._across
            self._top = min(max(self._top, row - max(1, self.size.height) + 1), row)
            self.refresh()
            self.post_message(self.CursorMoved())

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a tile, or open it on a double click."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.x // (self._width + 2) < self._across:
            self._go((self._top + offset.y) * self._across + offset.x // (self._width + 2))
            if event.chain == 2:
                self.action_select()

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Show it as one that waits."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row of tiles."""
        look, across = look_of(self.app), self._across
        first = (self._top + y) * across
        segments: list[Segment] = []
        for index in range(first, min(first + across, len(self._tiles))):
            is_here = index == self._at
            bar = look.glyph("▌", "|") if is_here else " "
            segments.append(Segment(bar, look.style("cursor.bar" if self.has_focus else "cursor.line")))
            segments += [
                Segment(end(clean(text), self._width), look.style(token)) for text, token in self._tiles[index].spans
            ]
            segments.append(Segment(" "))
        return Strip(segments).adjust_cell_length(self.size.width)
