"""One line of styled text: status, titles, keys."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from mlconsole.render.sanitise import cell_width, clean, fit
from mlconsole.tui.widgets.look import look_of

Span = tuple[str, str]
"""Foreign text as it is, and its theme token; the line cleans it."""


class Line(Widget):
    """A line with a left part, which is cut to fit, and a right part, which goes first when there is no room."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left: tuple[Span, ...] = ()
        self._right: tuple[Span, ...] = ()

    def show(self, left: Sequence[Span], right: Sequence[Span] = ()) -> None:
        """Show other text; nothing is drawn when it is the same."""
        new = tuple(left), tuple(right)
        if new != (self._left, self._right):
            self._left, self._right = new
            self.refresh(Region(0, 0, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """The line as segments."""
        width = self.size.width
        left = [(clean(text), token) for text, token in self._left]
        right = [(clean(text), token) for text, token in self._right]
        left_width = sum(cell_width(text) for text, _ in left)
        while right and left_width + 2 + sum(cell_width(text) for text, _ in right) > width:
            right.pop(0)
        room = width - sum(cell_width(text) for text, _ in right)
        look = look_of(self.app)
        segments = []
        for text, token in left:
            shown = text if cell_width(text) <= room else fit(text, room)
            segments.append(Segment(shown, look.style(token)))
            room -= cell_width(shown)
            if room <= 0:
                break
        segments.append(Segment(" " * max(0, room)))
        segments += [Segment(text, look.style(token)) for text, token in right]
        return Strip(segments).adjust_cell_length(width)
