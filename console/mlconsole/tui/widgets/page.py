"""A page of styled lines to read and scroll: details, help, diffs. Long lines go on below, or are cut with a mark."""

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
from mlconsole.tui.widgets.folding import LONGEST, fold
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.look import look_of

Spans = Sequence[Span]
MOST_FOLDED = 4000
"""Of more lines none is folded: a diff of that size is looked through, not read."""
HEAD_LINES, HEAD_FOLDS = 9, 2
"""A head is at most so high, and no line of it takes more than so many."""
CUT = "›"


class Page(Widget, can_focus=True):
    """Lines of (text, token) spans; every text is cleaned when it is drawn."""

    ALLOW_SELECT = False
    FOLDS: ClassVar[int] = 0
    """How many lines one may take; 0 for as many as it needs."""
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
        self._folds = True
        self._folded: list[tuple[Span, ...]] = []
        self._folded_for = -1
        self._top = 0
        self._left = 0

    def show(self, lines: Sequence[Spans], *, folds: bool = True) -> None:
        """Show other lines, staying where we are as far as they go; a drawing's lines must not be folded."""
        new = [tuple(line) for line in lines]
        if new != self._lines or folds != self._folds:
            self._lines, self._folds = new, folds
            self._folded_for = -1
            self._left = 0 if folds else self._left
            self._top = min(self._top, self._lowest)
            self.is_folded_anew()
            self.refresh()

    def on_resize(self) -> None:
        """Lines are folded anew."""
        self._top = min(self._top, self._lowest)
        self.is_folded_anew()

    def is_folded_anew(self) -> None:
        """Other lines stand here, or the same in another width."""

    @property
    def in_lines(self) -> list[tuple[Span, ...]]:
        """The lines as they stand on the screen, those that are too long in several."""
        width = self.size.width
        if not self._folds or len(self._lines) > MOST_FOLDED or not width:
            return self._lines
        if self._folded_for != width:
            self._folded = [part for line in self._lines for part in fold(line, width, self.FOLDS)]
            self._folded_for = width
        return self._folded

    @property
    def lines(self) -> list[str]:
        """The text of every line."""
        return ["".join(text for text, _ in line) for line in self._lines]

    @property
    def _lowest(self) -> int:
        return max(0, len(self.in_lines) - max(1, self.size.height))

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
        """One line as segments; a mark stands where more of it is to the right."""
        width = self.size.width
        lines = self.in_lines
        at = self._top + y
        if at >= len(lines):
            return Strip.blank(width)
        look = look_of(self.app)
        skip, room, segments = self._left, width, []
        for text, token in lines[at]:
            shown = clean(text, LONGEST)
            if skip:
                gone = head(shown, skip)
                skip -= cell_width(gone)
                shown = shown[len(gone) :]
            part = head(shown, room)
            room -= cell_width(part)
            if part:
                segments.append(Segment(part, look.style(token)))
            if part != shown:
                strip = Strip(segments).crop(0, width - 1).adjust_cell_length(width - 1)
                return Strip([*strip, Segment(CUT, look.style("dim"))])
        return Strip(segments).adjust_cell_length(width)


class Head(Page, can_focus=False):
    """What stands above a page, as high as its lines."""

    FOLDS: ClassVar[int] = HEAD_FOLDS

    def is_folded_anew(self) -> None:
        """Be as high as that."""
        self.styles.height = max(1, min(HEAD_LINES, len(self.in_lines)))
