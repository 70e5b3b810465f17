"""How a log is drawn: the rows of its newest frame, words where there are none, and a status line."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from mlconsole.tui.logs.frame import Frame, Row, Source
from mlconsole.tui.logs.pattern import Pattern
from mlconsole.tui.widgets.line import Line
from mlconsole.tui.widgets.log_prompt import LogPrompt
from mlconsole.tui.widgets.log_status import status
from mlconsole.tui.widgets.log_strips import LogStrips, Shape, columns_of
from mlconsole.tui.widgets.look import look_of

NO_LOG = "This run was not launched here, so its output was not kept."
EMPTY_LOG, SILENT_LOG = "Nothing printed yet.", "It ended without printing anything."


class LogPane(Widget, can_focus=True):
    """The drawn half of a log view: it shows a frame and asks for none."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    LogPane { width: 1fr; height: 1fr; }
    LogPane > Horizontal { dock: bottom; height: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._seen: Frame | None = None
        self._strips: LogStrips | None = None
        self._column = 0
        self._typing: Pattern | None = None
        self._is_slow = False
        self._is_ended = False
        self._status_line = Line()
        self._prompt = LogPrompt()

    def compose(self) -> ComposeResult:
        """The line under the log."""
        with Horizontal():
            yield self._status_line
            yield self._prompt

    def show(self, frame: Frame | None) -> None:
        """Show another frame; only the rows that differ are drawn again."""
        before, shape = self._seen, self._shape()
        self._seen = frame
        height = self._height
        if before is None or frame is None or not before.rows or not frame.rows or shape != self._shape():
            self.refresh(Region(0, 0, self.size.width, height))
        else:
            changed = [y for y in range(height) if _row(before, y) != _row(frame, y)]
            if changed:
                self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))
        self.show_status()

    def show_status(self) -> None:
        """Refresh the status line."""
        if self._seen is not None:
            self._status_line.show(*status(self._seen, look_of(self.app), self._column, is_ended=self._is_ended))

    def show_end(self, is_ended: bool) -> None:
        """Say whether the program has ended: then nothing more will come."""
        if is_ended != self._is_ended:
            self._is_ended = is_ended
            self.show(self._seen)
            self.refresh()

    def _furthest(self) -> int:
        """The column from which on the longest line in view can be seen to its end."""
        if self._seen is None or self._seen.is_wrapped:
            return self._column
        room = max(1, self.size.width - self._seen.gutter)
        return max((columns_of(row) - room for row in self._seen.rows), default=0)

    def _slide_to(self, column: int) -> None:
        column = max(0, column)
        if column != self._column:
            self._column = column
            self.refresh()
            self.show_status()

    @property
    def _height(self) -> int:
        """Rows of the log in view."""
        return max(0, self.size.height - 1)

    def _shape(self) -> Shape:
        frame = self._seen or Frame()
        pattern = self._typing or (frame.search.pattern if frame.search is not None else None)
        left = 0 if frame.is_wrapped else self._column
        return Shape(self.size.width, frame.gutter, frame.has_times, left, look_of(self.app), pattern)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region, made without Textual's cache, which costs more than it saves here."""
        shape = self._shape()
        if self._strips is None or self._strips.shape != shape:
            self._strips = LogStrips(shape)
        strips = [self._line(y, self._strips) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _line(self, y: int, strips: LogStrips) -> Strip:
        row = None if self._seen is None else _row(self._seen, y)
        if row is not None:
            return strips.row(row)
        words, token = self._words() if y == 1 else ("", "")
        return strips.words(words, token) if words else strips.blank()

    def _words(self) -> tuple[str, str]:
        """What to say where there are no rows."""
        frame = self._seen
        if frame is None:
            return ("reading…" if self._is_slow else ""), "dim"
        if frame.error:
            return frame.error, "error"
        if frame.rows or frame.source is Source.NONE:
            return (NO_LOG if not frame.rows else ""), "dim"
        if frame.source is Source.EMPTY:
            return SILENT_LOG if self._is_ended else EMPTY_LOG, "dim"
        if frame.filtered is not None and frame.progress is None:
            none = "No line is without" if frame.filtered.is_inverted else "No line has"
            return f"{none} {frame.filtered.pattern.label}. & changes the filter, Esc takes it away.", "dim"
        return "", ""


def _row(frame: Frame, y: int) -> Row | None:
    return frame.rows[y] if y < len(frame.rows) else None
