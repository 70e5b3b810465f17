"""How a table is fed: what it asks for, what it does with each answer, and when it lets rows change places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlconsole.tui.widgets import table_messages
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.feed import Delivery, Feed
from mlconsole.tui.widgets.fetch import Ask, Page, Request, neighbours
from mlconsole.tui.widgets.rows import Row, RowSource
from mlconsole.tui.widgets.table_view import TableView

SETTLED_S = 1.0  # A hand that has not moved for so long does not mind that rows change places.
_WORDS_AFTER_S = 0.25  # A first page that takes longer is announced.
_FIRST_SCREENS = 3
"""Asked for before the height of the table is known: what it would ask for anyway, in one go."""


class FedTable(TableView):
    """A table with a source behind it."""

    def __init__(
        self,
        source: RowSource,
        columns: Sequence[Column],
        order: Sequence[str],
        marks: set[str],
        empty: str,
        cursor: str,
        clock: Callable[[], float],
        id: str | None = None,
    ) -> None:
        super().__init__(columns, order, marks, empty, id=id)
        self.total: int | None = None
        self._clock = clock
        self._next_columns, self._next_order = self._columns, self._order
        self._touched_at = float("-inf")
        self._is_stale = False
        self._told: str | None = None
        self._tallied: tuple[int | None, int | None] = (None, None)
        self._source = source
        self._wanted_cursor = cursor
        self._feed = Feed(self._deliver)
        self._is_fed = False

    @property
    def cursor_row(self) -> Row | None:
        """The row under the cursor."""
        return self._window.row(self._window.cursor)

    @property
    def cursor_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._window.cursor_key

    @property
    def cursor_rank(self) -> int | None:
        """How many rows stand before the cursor, where that is known."""
        return self._window.cursor_rank

    @property
    def is_answered(self) -> bool:
        """True once the first rows of the present list have come."""
        return self._is_answered

    @property
    def is_settled(self) -> bool:
        """True when everything that was asked for has come."""
        return self._is_answered and self._feed.is_idle and not self._is_stale

    def set_source(
        self, source: RowSource, columns: Sequence[Column] | None = None, order: Sequence[str] | None = None
    ) -> None:
        """Show another list, the cursor staying on its row if that is in it.

        What is shown stays until the first page comes. ``columns`` and ``order`` as for the constructor, unchanged
        where they are not given.
        """
        if columns is not None:
            self._next_columns = tuple(columns)
            self._next_order = ()
        if order is not None:
            self._next_order = tuple(order)
        self._source = source
        if self._is_fed:
            self._is_answered, self.error, self._is_stale = False, None, False
            self._feed.turn_to(source)
            self._feed.ask(self._reread(self.cursor_key or self._wanted_cursor))
            self._announce_slowness()

    def look_again(self) -> None:
        """Something changed: update what is in view in its place, and the order of rows once the hand rests."""
        if not self._is_answered:
            return
        if self._is_moving:
            self.look_at_rows()
            self._defer()
        else:
            last = len(self._window.rows) - 1
            self._feed.ask(self._reread(*neighbours(self._window.rows, min(max(self._window.cursor, 0), last))))

    def look_at_rows(self) -> None:
        """Read the rows in view again, where they stand: time has passed, and no more is known to have changed."""
        if self._is_answered:
            visible = [row.key for index in self._window.visible if (row := self._window.row(index))]
            self._feed.ask(Request(Ask.UPDATE, tuple(visible)))

    def on_mount(self) -> None:
        """Ask for the first rows."""
        self._is_fed = True
        self._feed.turn_to(self._source)
        first = max(self._window.page_size, _FIRST_SCREENS * self.app.size.height)
        self._feed.ask(Request(Ask.AROUND, tuple(filter(None, [self._wanted_cursor])), first))
        self._announce_slowness()

    def on_unmount(self) -> None:
        """Ask nothing more."""
        self._feed.stop()

    def on_resize(self) -> None:
        """Fit rows and columns to the new size."""
        self._window.resize(self.size.height - 1)
        self._lay_out()
        self._want_more()

    def on_focus(self) -> None:
        """Show the cursor as the one that keys move."""
        self._refresh_row(self._window.cursor)

    def on_blur(self) -> None:
        """Show the cursor as one that waits."""
        self._refresh_row(self._window.cursor)

    def on_table_answered(self, message: table_messages.Answered) -> None:
        """Take what the source said."""
        if not self._feed.takes(message.delivery):
            return
        if isinstance(message.delivery.answer, Exception):
            self.error = message.delivery.answer
            self.post_message(table_messages.Failed(self.error))
            if not self._window.rows:
                self.refresh()
            return
        self.error = None
        self._take(message.delivery.answer)
        self._tell_cursor()

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self.post_message(table_messages.Answered(delivery))
        except RuntimeError:
            pass  # The app is gone; called in the asking thread, where nobody could be told.

    def _reread(self, *keys: str) -> Request:
        return Request(Ask.AROUND, tuple(filter(None, keys)), self._window.page_size)

    def _take(self, page: Page) -> None:
        ask = page.request.ask
        if ask is Ask.TALLY:
            self._take_tally(page)
        elif ask is Ask.UPDATE:
            for index in self._window.update(page.rows):
                self._refresh_row(index)
        elif page.is_lost and self._is_moving:
            self._defer()
        elif page.is_lost:
            self.look_again()
        elif ask in (Ask.AFTER, Ask.BEFORE):
            self._take_more(page)
        elif ask is Ask.AROUND and self._is_answered and self._is_moving:
            for index in self._window.update(page.rows):
                self._refresh_row(index)
            self._defer()
        else:
            self._take_list(page)

    def _take_list(self, page: Page) -> None:
        """Put another stretch of the list in place of what is held; draw it only if it differs."""
        window = self._window
        held, stood = window.rows, (window.top, window.cursor)
        is_first = not self._is_answered
        self._is_answered, self._is_slow, self._is_stale = True, False, False
        window.replace(page.rows, page.cursor, is_start=page.is_start, is_end=page.is_end)
        if (self._columns, self._order) != (self._next_columns, self._next_order):
            self._columns, self._order = self._next_columns, self._next_order
            self._skip = 0
            self._lay_out()
        elif is_first or len(held) != len(window.rows) or stood != (window.top, window.cursor):
            self.refresh()
        else:
            self._refresh_changed(held)
        self._feed.ask(Request(Ask.TALLY, (window.cursor_key,) if window.cursor_key else ()))
        self._want_more()

    def _refresh_changed(self, held: Sequence[Row]) -> None:
        """Draw the rows in view that are not what was held in their places."""
        for index in self._window.visible:
            if index < len(held) and held[index] != self._window.row(index):
                self._refresh_row(index)

    def _take_more(self, page: Page) -> None:
        window = self._window
        edge = window.rows[-1 if page.request.ask is Ask.AFTER else 0].key if window.rows else ""
        if edge != page.request.keys[0]:
            return
        had_all = all(window.row(index) for index in window.visible)
        if page.request.ask is Ask.AFTER:
            window.append(page.rows, is_end=page.is_end)
        else:
            window.prepend(page.rows, is_start=page.is_start)
        if not had_all:
            self.refresh()
        self._want_more()

    def _take_tally(self, page: Page) -> None:
        window = self._window
        if page.request.keys and page.rank is not None:
            at = [index for index, row in enumerate(window.rows) if row.key == page.request.keys[0]]
            if at:
                window.first_rank = page.rank - at[0]
        self.total = page.total
        tallied = (page.total, window.cursor_rank)
        if tallied != self._tallied:
            self._tallied = tallied
            self.post_message(table_messages.Tallied(*tallied))

    def _want_more(self) -> None:
        window = self._window
        if not window.rows or not self._is_answered:
            return
        if window.lacks_after() and not self._feed.waits_for(Ask.AFTER):
            self._feed.ask(Request(Ask.AFTER, (window.rows[-1].key,), window.page_size))
        if window.lacks_before() and not self._feed.waits_for(Ask.BEFORE):
            self._feed.ask(Request(Ask.BEFORE, (window.rows[0].key,), window.page_size))

    def _moved(self, move: Callable[[], None]) -> None:
        """Carry out a movement and draw what it changed, no more."""
        window = self._window
        top, cursor = window.top, window.cursor
        self._touch()
        move()
        if window.top != top:
            self.refresh()
        elif window.cursor != cursor:
            self._refresh_row(cursor)
            self._refresh_row(window.cursor)
        self._tell_cursor()
        self._want_more()

    def _touch(self) -> None:
        self._touched_at = self._clock()

    @property
    def _is_moving(self) -> bool:
        return self._clock() - self._touched_at < SETTLED_S

    def _defer(self) -> None:
        """Read the list again when the hand has rested."""
        if not self._is_stale:
            self._is_stale = True
            self.set_timer(SETTLED_S, self._when_rested)

    def _when_rested(self) -> None:
        self._is_stale = False
        if self._is_moving:
            self._defer()
        else:
            self.look_again()

    def _tell_cursor(self) -> None:
        key = self.cursor_key
        if key != self._told:
            self._told = key
            self.post_message(table_messages.CursorMoved(key, self.cursor_rank))

    def _marks_changed(self) -> None:
        self.refresh()
        self.post_message(table_messages.MarksChanged(len(self.marks)))

    def _announce_slowness(self) -> None:
        self._is_slow = False
        self.set_timer(_WORDS_AFTER_S, self._say_reading)

    def _say_reading(self) -> None:
        if not self._is_answered and not self._window.rows and self.error is None:
            self._is_slow = True
            self.refresh()
