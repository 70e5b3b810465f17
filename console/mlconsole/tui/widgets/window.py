"""The stretch of rows a table holds in memory, and where the view and the cursor stand in it. No screen here.

Indices count from the first row held and may lie outside what is held: such rows are on their way and show as
placeholders. Everything that a page changes keeps the cursor on its row's key.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlconsole.tui.widgets.rows import Row

HELD_SCREENS = 8
HELD_LEAST = 240
_AHEAD_SCREENS = 4


class Window:
    """A bounded stretch of rows with a view and a cursor."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.top = 0
        self.cursor = 0
        self.height = 1
        self.is_at_start = True
        self.is_at_end = True
        self.first_rank: int | None = 0

    def row(self, index: int) -> Row | None:
        """The row at an index, None where none is held."""
        return self.rows[index] if 0 <= index < len(self.rows) else None

    @property
    def cursor_key(self) -> str | None:
        """The key under the cursor; None on an empty list or a row that is still on its way."""
        row = self.row(self.cursor)
        return row.key if row else None

    @property
    def cursor_rank(self) -> int | None:
        """How many rows of the whole list stand before the cursor, where that is known."""
        return None if self.first_rank is None or not self.rows else self.first_rank + self.cursor

    @property
    def visible(self) -> range:
        """Indices in view, whether their rows are held or on their way."""
        if not self.rows and self.is_at_end:
            return range(0)
        return range(self.top, min(self.top + self.height, self._last + 1))

    @property
    def _first(self) -> int:
        return 0 if self.is_at_start else -_AHEAD_SCREENS * self.height

    @property
    def _last(self) -> int:
        ahead = 0 if self.is_at_end else _AHEAD_SCREENS * self.height
        return max(0, len(self.rows) - 1 + ahead)

    def move_to(self, index: int) -> None:
        """Put the cursor on an index and scroll as little as brings it into view."""
        self.cursor = max(self._first, min(index, self._last))
        self.top = min(max(self.top, self.cursor - self.height + 1), self.cursor)
        self._settle_view()

    def turn(self, screens: float) -> None:
        """Move view and cursor by screens, the cursor staying on its line where it can."""
        step = int(screens * max(1, self.height - (1 if abs(screens) >= 1 else 0)))
        self.top += step
        self._settle_view()
        self.move_to(self.cursor + step)

    def scroll(self, lines: int) -> None:
        """Move the view; the cursor moves only to stay in it."""
        self.top += lines
        self._settle_view()
        self.cursor = max(self.top, min(self.cursor, self.top + self.height - 1, self._last))

    def resize(self, height: int) -> None:
        """Give the view another height, the cursor staying in it."""
        self.height = max(1, height)
        self.move_to(self.cursor)

    def replace(self, rows: Sequence[Row], cursor: int, *, is_start: bool, is_end: bool) -> None:
        """Hold other rows, the cursor on ``cursor`` and, where it can, on the line it is on now.

        A view of the list's start stays there, so that new rows come into sight above the cursor.
        """
        line = self.cursor - self.top
        was_at_top = self.is_at_start and self.top == 0
        self.rows = list(rows)
        self.is_at_start, self.is_at_end = is_start, is_end
        self.first_rank = 0 if is_start else None
        self.cursor = max(0, min(cursor, len(rows) - 1))
        pinned = was_at_top and is_start and self.cursor < self.height
        self.top = 0 if pinned else self.cursor - line
        self.move_to(self.cursor)

    def append(self, rows: Sequence[Row], *, is_end: bool) -> None:
        """Hold more rows after the last."""
        self.rows += rows
        self.is_at_end = is_end
        excess = min(len(self.rows) - self._held_most, self.top - self.height)
        if excess > 0:
            del self.rows[:excess]
            self.is_at_start = False
            self._shift(-excess)
        self.move_to(self.cursor)

    def prepend(self, rows: Sequence[Row], *, is_start: bool) -> None:
        """Hold more rows before the first."""
        self.rows[:0] = rows
        self._shift(len(rows))
        self.is_at_start = is_start
        if is_start:
            self.first_rank = 0
        keep = max(self._held_most, self.top + 2 * self.height)
        if len(self.rows) > keep:
            del self.rows[keep:]
            self.is_at_end = False
        self.move_to(self.cursor)

    def update(self, rows: Sequence[Row]) -> list[int]:
        """Put newer versions of held rows in their places; returns the indices that changed."""
        newer = {row.key: row for row in rows}
        changed = []
        for index, row in enumerate(self.rows):
            new = newer.get(row.key)
            if new is not None and new != row:
                self.rows[index] = new
                changed.append(index)
        return changed

    def lacks_after(self) -> bool:
        """True when rows below should be asked for: fewer than two screens of them are held under the view."""
        return not self.is_at_end and len(self.rows) - (self.top + self.height) < 2 * self.height

    def lacks_before(self) -> bool:
        """True when rows above should be asked for."""
        return not self.is_at_start and self.top < 2 * self.height

    @property
    def page_size(self) -> int:
        """How many rows to ask for at once."""
        return max(60, 3 * self.height)

    @property
    def _held_most(self) -> int:
        return max(HELD_LEAST, HELD_SCREENS * self.height)

    def _shift(self, count: int) -> None:
        self.top += count
        self.cursor += count
        if self.first_rank is not None:
            self.first_rank -= count

    def _settle_view(self) -> None:
        lowest = max(self._first, self._last - self.height + 1)
        self.top = max(self._first, min(self.top, lowest))
