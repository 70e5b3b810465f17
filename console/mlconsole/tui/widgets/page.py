"""A page of styled lines to read and scroll: details, help, diffs. Only the lines in view are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from mlconsole.render.sanitise import cell_width, clean
from mlconsole.render.width import head
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.look import look_of

Spans = Sequence[Span]
LONGEST = 4096


class Page(Widget, can_focus=True):
    """Lines of (text, token) spans; every text is cleaned when it is drawn."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Page { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_by(1)", "down", show=False),
        Binding("k,up", "scroll_by(-1)", "up", show=False),
        Binding("pagedown,ctrl+f", "scroll_pages(1.0)", "page down", show=False),
        Binding("pageup,ctrl+b", "scroll_pages(-1.0)", "page up", show=False),
        Binding("ctrl+d", "scroll_pages(0.5)", "half a page down", show=False),
        Binding("ctrl+u", "scroll_pages(-0.5)", "half a page up", show=False),
        Binding("g,home", "scroll_by(-1000000000)", "top", show=False),
        Binding("G,end", "scroll_by(1000000000)", "bottom", show=False),
        Binding("left", "slide(-8)", "to the left", show=False),
        Binding("right", "slide(8)", "to the right", show=False),
    ]

    def __init__(self, lines: Sequence[Spans] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[tuple[Span, ...]] = [tuple(line) for line in lines]
        self._top = 0
        self._left = 0

    def show(self, lines: Sequence[Spans]) -> None:
        """Show other lines, staying where we are as far as they go."""
        new = [tuple(line) for line in lines]
        if new != self._lines:
            self._lines = new
            self._top = min(self._top, self._lowest)
            self.refresh()

    @property
    def lines(self) -> list[str]:
        """The text of every line."""
        return ["".join(text for text, _ in line) for line in self._lines]

    @property
    def _lowest(self) -> int:
        return max(0, len(self._lines) - max(1, self.size.height))

    def action_scroll_by(self, lines: int) -> None:
        """Scroll by lines."""
        top = max(0, min(self._top + lines, self._lowest))
        if top != self._top:
            self._top = top
            self.refresh()

    def action_scroll_pages(self, pages: float) -> None:
        """Scroll by pages."""
        self.action_scroll_by(int(pages * max(1, self.size.height - 1)))

    def action_slide(self, cells: int) -> None:
        """Look further right or left in long lines."""
        left = max(0, self._left + cells)
        if left != self._left:
            self._left = left
            self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(-3)

    def render_line(self, y: int) -> Strip:
        """One line as segments."""
        width = self.size.width
        at = self._top + y
        if at >= len(self._lines):
            return Strip.blank(width)
        look = look_of(self.app)
        skip, room, segments = self._left, width, []
        for text, token in self._lines[at]:
            shown = clean(text, LONGEST)
            if skip:
                gone = head(shown, skip)
                skip -= cell_width(gone)
                shown = shown[len(gone) :]
            shown = head(shown, room)
            room -= cell_width(shown)
            if shown:
                segments.append(Segment(shown, look.style(token)))
        return Strip(segments).adjust_cell_length(width)
