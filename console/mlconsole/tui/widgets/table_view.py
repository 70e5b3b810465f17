"""How a table is drawn: titles, the rows in view, and words where there are none."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from mlconsole.render.sanitise import cell_width, clean
from mlconsole.tui.widgets.columns import Column, lay_out
from mlconsole.tui.widgets.folding import fold
from mlconsole.tui.widgets.look import look_of
from mlconsole.tui.widgets.rows import Cell, Row
from mlconsole.tui.widgets.strips import Flags, Strips
from mlconsole.tui.widgets.window import Window


class TableView(Widget, can_focus=True):
    """The drawn half of a table: it shows its window and changes nothing in it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "TableView { width: 1fr; height: 1fr; }"

    def __init__(
        self, columns: Sequence[Column], order: Sequence[str], marks: set[str], empty: str, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.marks = marks
        self.empty = empty
        self.error: Exception | None = None
        self._columns = tuple(columns)
        self._order = tuple(order)
        self._sort = ("", False)
        self._skip = 0
        self._window = Window()
        self._strips: Strips | None = None
        self._labels: dict[int, str] = {}
        self._is_answered = False
        self._is_slow = False

    @property
    def _lines(self) -> Strips:
        look = look_of(self.app)
        if self._strips is None or self._strips.look != look or self._strips.width != self.size.width:
            order = self._order or tuple(column.key for column in self._columns)
            layout = lay_out(self._columns, order, self.size.width, self._skip)
            self._strips = Strips(layout, self.size.width, look)
        return self._strips

    def _lay_out(self) -> None:
        self._strips = None
        self.refresh()

    def _refresh_row(self, index: int) -> None:
        self._refresh_line(index - self._window.top + 1)

    def _refresh_line(self, y: int) -> None:
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region.

        Goes round Textual's cache of styled lines, which costs more than drawing: a table has no border, no padding
        and the background of the terminal.
        """
        lines = self._lines
        strips = [self._line(y, lines) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, self.background_colors[1]) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _line(self, y: int, lines: Strips) -> Strip:
        """One line: titles, a row, or words where there are no rows."""
        if y == 0:
            return lines.header(*self._sort)
        window = self._window
        index = window.top + y - 1
        if index in window.visible:
            row = window.row(index)
            is_marked = row is not None and row.key in self.marks
            flags = Flags(index == window.cursor, self.has_focus, is_marked, self._labels.get(index, ""))
            return lines.row(row, flags) if row else lines.placeholder(flags)
        if y >= 2 and not window.rows:
            return self._instead_of_rows(y - 2)
        return lines.blank()

    def _instead_of_rows(self, at: int) -> Strip:
        """A line of the words that stand where there are no rows, as many lines as they take."""
        words, token = "reading…" if self._is_slow else "", "dim"
        if self.error is not None:
            words, token = str(self.error) or type(self.error).__name__, "error"
        elif self._is_answered:
            words = self.empty
        lines = fold([("  ", "label"), (words, token)], self.size.width)
        return self._lines.spans(lines[at]) if at < len(lines) else self._lines.blank()

    def unseen(self, row: Row) -> list[tuple[Column, Cell]]:
        """What a row tells beyond what is on the screen: cells that are cut, then those of columns that went."""
        placed = {one.cell: one.width for one in self._lines.layout.placed}
        cells = enumerate(zip(self._columns, row.cells, strict=False))
        left = [(at in placed, *pair) for at, pair in cells if cell_width(clean(pair[1][0])) > placed.get(at, 0)]
        return [(column, cell) for is_cut, column, cell in sorted(left, key=lambda one: (not one[0], one[1].priority))]
