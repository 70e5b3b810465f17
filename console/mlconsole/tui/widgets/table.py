"""The virtual table: the same at a thousand rows and at a million, and quiet on the wire.

Rows come a page at a time from a :class:`~mlconsole.tui.widgets.rows.RowSource`, asked on a thread of the table's
own. The cursor and the marks hold on to keys, so that neither a refresh nor another sort moves them off their rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from mlconsole.tui.widgets import table_messages
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.fetch import Ask, Request
from mlconsole.tui.widgets.jump import labels
from mlconsole.tui.widgets.rows import Row, RowSource
from mlconsole.tui.widgets.table_feed import FedTable

_WHEEL_LINES = 3


class Table(FedTable):
    """Rows of a source under the columns that fit.

    Args:
        source: where rows come from.
        columns: all columns, in the order of a row's cells.
        order: keys of the columns to show; all of them when empty.
        marks: the keys of marked rows, shared with whoever else needs them.
        cursor: the key to stand on first, if it is in the list.
        rows: the list's first rows where they are known already.
        empty: what to say of a list without rows, and what to do about it.
        clock: seconds that only go forward.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False),
        Binding("k,up", "move(-1)", "up", show=False),
        Binding("g,home", "start", "first row", show=False),
        Binding("G,end", "end", "last row", show=False),
        Binding("pagedown,ctrl+f", "turn(1.0)", "page down", show=False),
        Binding("pageup,ctrl+b", "turn(-1.0)", "page up", show=False),
        Binding("ctrl+d", "turn(0.5)", "half a page down", show=False),
        Binding("ctrl+u", "turn(-0.5)", "half a page up", show=False),
        Binding("right", "slide(1)", "columns to the right", show=False),
        Binding("left", "slide(-1)", "columns to the left", show=False),
        Binding("enter", "select", "open", show=False),
        Binding("space", "mark", "mark", show=False),
        Binding("v", "mark_to", "mark up to here", show=False),
        Binding("U", "unmark", "take all marks away", show=False),
        Binding("f", "jump", "jump to a row", show=False),
    ]

    Selected = table_messages.Selected
    CursorMoved = table_messages.CursorMoved
    MarksChanged = table_messages.MarksChanged
    Tallied = table_messages.Tallied
    SortWanted = table_messages.SortWanted
    Failed = table_messages.Failed
    Answered = table_messages.Answered

    def __init__(
        self,
        source: RowSource,
        columns: Sequence[Column],
        *,
        order: Sequence[str] = (),
        marks: set[str] | None = None,
        cursor: str = "",
        rows: Sequence[Row] = (),
        empty: str = "Nothing here.",
        clock: Callable[[], float] = time.monotonic,
        id: str | None = None,
    ) -> None:
        super().__init__(source, columns, order, set() if marks is None else marks, empty, cursor, clock, id=id)
        self._typed = ""
        if rows:
            self._window.replace(rows, 0, is_start=True, is_end=False)

    # What screens ask of it.

    def show_columns(self, order: Sequence[str]) -> None:
        """Show these columns in this order; all of them when it is empty."""
        self._order = self._next_order = tuple(order)
        self._skip = 0
        self._lay_out()

    def show_sort(self, column: str, is_descending: bool) -> None:
        """Mark the column that the rows are sorted by; an empty key marks none."""
        self._sort = (column, is_descending)
        self._refresh_line(0)

    # Keys.

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._moved(lambda: self._window.move_to(self._window.cursor + rows))

    def action_turn(self, screens: float) -> None:
        """Move by screens."""
        self._moved(lambda: self._window.turn(screens))

    def action_start(self) -> None:
        """Go to the first row of the list."""
        if self._window.is_at_start:
            self._moved(lambda: self._window.move_to(0))
        else:
            self._touch()
            self._feed.ask(Request(Ask.START, limit=self._window.page_size))

    def action_end(self) -> None:
        """Go to the last row of the list."""
        if self._window.is_at_end:
            self._moved(lambda: self._window.move_to(len(self._window.rows) - 1))
        else:
            self._touch()
            self._feed.ask(Request(Ask.END, limit=self._window.page_size))

    def action_slide(self, columns: int) -> None:
        """Scroll sideways by columns; the first stay."""
        layout = self._lines.layout
        if columns < 0 or layout.hidden_after or self._skip:
            skip = max(0, self._skip + columns)
            if columns > 0 and self._skip and not layout.hidden_after:
                skip = self._skip
            if skip != self._skip:
                self._skip = skip
                self._lay_out()

    def action_select(self) -> None:
        """Open the row under the cursor."""
        if self.cursor_key is not None:
            self.post_message(self.Selected(self.cursor_key))

    def action_mark(self) -> None:
        """Mark the row under the cursor, or take its mark away, and go on to the next."""
        if self.cursor_key is not None:
            self.marks ^= {self.cursor_key}
            self._refresh_row(self._window.cursor)
            self.post_message(self.MarksChanged(len(self.marks)))
            self.action_move(1)

    def action_mark_to(self) -> None:
        """Mark everything between the nearest marked row in memory and the cursor."""
        window = self._window
        marked = [index for index, row in enumerate(window.rows) if row.key in self.marks]
        if marked and window.cursor_key is not None:
            nearest = min(marked, key=lambda index: abs(index - window.cursor))
            low, high = sorted((nearest, window.cursor))
            self.marks |= {row.key for row in window.rows[low : high + 1]}
            self._marks_changed()

    def action_unmark(self) -> None:
        """Take all marks away, those of rows out of sight too."""
        if self.marks:
            self.marks.clear()
            self._marks_changed()

    def action_jump(self) -> None:
        """Label the rows in view; typing a label goes there."""
        visible = self._window.visible
        self._labels = dict(zip(visible, labels(len(visible)), strict=False))
        self._typed = ""
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Letters of a jump label, while labels are shown; anything else ends that."""
        if not self._labels:
            return
        event.stop()
        event.prevent_default()
        typed = self._typed + (event.character or " ")
        goal = [index for index, label in self._labels.items() if label == typed]
        if goal or not any(label.startswith(typed) for label in self._labels.values()):
            self._labels = {}
            self.refresh()
            if goal:
                self._moved(lambda: self._window.move_to(goal[0]))
        else:
            self._typed = typed

    # Mouse.

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on a row, open it on a double click, or ask for a sort on a title."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = self._window.top + offset.y - 1
        if offset.y == 0:
            for placed in self._lines.layout.placed:
                if placed.x <= offset.x < placed.x + placed.width:
                    self.post_message(self.SortWanted(placed.column.key))
        elif index in self._window.visible:
            self._moved(lambda: self._window.move_to(index))
            if event.chain == 2:
                self.action_select()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self._moved(lambda: self._window.scroll(_WHEEL_LINES))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self._moved(lambda: self._window.scroll(-_WHEEL_LINES))
