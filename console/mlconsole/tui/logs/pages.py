"""A screenful of rows from a place in a log, above it or below it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from mlconsole.tui.logs.file import LogFile
from mlconsole.tui.logs.frame import Row
from mlconsole.tui.logs.lines import Line, Lines, Steps, raw
from mlconsole.tui.logs.shown import Shown, show
from mlconsole.tui.logs.times import CELLS

_KEPT_LINES = 512
Rows = list[Row]


@dataclass(slots=True)
class View:
    """How large a page is, and how it is laid out."""

    columns: int = 80
    height: int = 1
    has_numbers: bool = True
    has_times: bool = False
    is_wrapped: bool = False
    digits: int = 4

    @property
    def gutter(self) -> int:
        """Cells before the text: the bar of the current line, when it came and its number, each with a blank."""
        return 1 + (CELLS + 1 if self.has_times else 0) + (self.digits + 1 if self.has_numbers else 0)

    @property
    def wrap_width(self) -> int:
        """Cells of text in a row where lines are wrapped, else 0."""
        return max(1, self.columns - self.gutter) if self.is_wrapped else 0


class Pages:
    """Pages of lines. A page that reaches the end of the file is filled from above.

    Args:
        file: where the bytes are.
        lines: the lines that are shown.
        view: the size of a page, read each time.
    """

    def __init__(self, file: LogFile, lines: Lines, view: View) -> None:
        self.lines = lines
        self._file = file
        self._view = view
        self._kept: OrderedDict[Line, Shown] = OrderedDict()

    def at_end(self) -> Steps[Rows]:
        """The last page."""
        return (yield from self._above(self._file.size, 0, self._view.height))

    def at(self, start: int, skipped: int = 0) -> Steps[Rows]:
        """The page from the line that starts at ``start``, its first ``skipped`` characters left out, or near it."""
        rows = yield from self._below(start, skipped, self._view.height)
        return (yield from self._filled(rows))

    def round_about(self, start: int) -> Steps[Rows]:
        """The page with the line at ``start`` in its upper third."""
        above = yield from self._above(start, 0, self._view.height // 3)
        rows = yield from self._below(start, 0, self._view.height - len(above))
        return (yield from self._filled(above + rows))

    def below(self, page: Rows, rows: int) -> Steps[tuple[Rows, bool]]:
        """The page so many rows further down, and whether it goes no further."""
        height = self._view.height
        if not page:
            return (yield from self.at_end()), True
        there = yield from self._below(page[0].shown.line.start, page[0].start, height + rows)
        skipped = max(0, min(rows, len(there) - height))
        return (yield from self._filled(there[skipped : skipped + height])), skipped < rows

    def above(self, page: Rows, rows: int) -> Steps[Rows]:
        """The page so many rows further up."""
        if not page:
            return (yield from self.at_end())
        new = yield from self._above(page[0].shown.line.start, page[0].start, rows)
        height = self._view.height
        if len(new) >= height:
            return new[:height]
        at = new[0] if new else page[0]
        return (yield from self.at(at.shown.line.start, at.start))

    def _filled(self, rows: Rows) -> Steps[Rows]:
        missing = self._view.height - len(rows)
        if missing <= 0:
            return rows
        start, skipped = (rows[0].shown.line.start, rows[0].start) if rows else (self._file.size, 0)
        return (yield from self._above(start, skipped, missing)) + rows

    def _below(self, start: int, skipped: int, count: int) -> Steps[Rows]:
        """Rows from a place on."""
        rows: Rows = []
        while len(rows) < count and (lines := (yield from self.lines.after(start, count - len(rows)))):
            for line in lines:
                rows += [row for row in self._rows(line) if row.start >= skipped]
                skipped = 0
            start = lines[-1].end
        return rows[:count]

    def _above(self, start: int, skipped: int, count: int) -> Steps[Rows]:
        """The last rows before a place."""
        rows: Rows = []
        if skipped and (lines := (yield from self.lines.after(start, 1))):
            rows = [row for row in self._rows(lines[0]) if row.start < skipped]
        while len(rows) < count and (lines := (yield from self.lines.before(start, count - len(rows)))):
            rows = [row for line in lines for row in self._rows(line)] + rows
            start = lines[0].start
        return rows[-count:] if count > 0 else []

    def _rows(self, line: Line) -> Rows:
        shown = self._shown(line)
        return [Row(shown, start, stop) for start, stop in shown.rows(self._view.wrap_width)]

    def _shown(self, line: Line) -> Shown:
        shown = self._kept.get(line)
        if shown is None:
            shown = self._kept[line] = show(line, raw(self._file, line))
            if len(self._kept) > _KEPT_LINES:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(line)
        return shown
