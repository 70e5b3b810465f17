"""Rows of a table and where they come from: pages by key, so that a million rows cost what a thousand do."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, runtime_checkable

from mlconsole.records import field, record

Cell = tuple[str, str]
"""Foreign text as it is, and the theme token of its look; the table cleans it."""


Value = float | str | None
"""What a cell is about, to sort and filter by; None: it is not known."""


class Direction(Enum):
    """Which way a page runs from its anchor."""

    FORWARD = "forward"
    BACKWARD = "backward"


@record
class Row:
    """One row: a key that names it for good (a run's id), and its cells in the order of the columns.

    Attributes:
        values: for columns whose text does not sort as what it says, the value behind it.
        under: the key of the row that this one stands under and moves with.
        is_last: it stands at the end in every order: a sum.
    """

    key: str
    cells: tuple[Cell, ...]
    values: tuple[tuple[str, Value], ...] = field(default=(), compare=False)
    under: str = ""
    is_last: bool = False


class RowSource(Protocol):
    """A list of rows in a fixed order. Called from one thread that is not the screen's; may block."""

    def page(self, anchor: str | None, direction: Direction, limit: int) -> Sequence[Row]:
        """At most ``limit`` rows, always in the list's order.

        FORWARD: the anchor's own row, if it is in the list, and those after it; BACKWARD: those just before it.
        Without an anchor: from the list's start, or up to its end.

        Raises:
            LookupError: nothing is known of the anchor any more.
        """
        ...

    def rows(self, keys: Sequence[str]) -> Sequence[Row]:
        """The rows of these keys as they are now, in any order, without those that are gone."""
        ...

    def count(self) -> int | None:
        """How many rows the list has; None when nobody knows."""
        ...

    def locate(self, key: str) -> int | None:
        """How many rows stand before this one; None when it is not in the list, or nobody knows."""
        ...


@runtime_checkable
class Stoppable(Protocol):
    """A source that can give up what it is asked."""

    def stop(self) -> None:
        """End the call under way with an exception, from any thread; later calls are answered again."""
        ...


class ListSource:
    """Rows that are all in memory: for short lists, tests and the demo."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = list(rows)
        self._at = {row.key: index for index, row in enumerate(self._rows)}

    def page(self, anchor: str | None, direction: Direction, limit: int) -> Sequence[Row]:
        """See :class:`RowSource`; an unknown anchor raises KeyError."""
        if direction is Direction.FORWARD:
            start = 0 if anchor is None else self._at[anchor]
            return self._rows[start : start + limit]
        stop = len(self._rows) if anchor is None else self._at[anchor]
        return self._rows[max(0, stop - limit) : stop]

    def rows(self, keys: Sequence[str]) -> Sequence[Row]:
        """See :class:`RowSource`."""
        return [self._rows[self._at[key]] for key in keys if key in self._at]

    def count(self) -> int | None:
        """See :class:`RowSource`."""
        return len(self._rows)

    def locate(self, key: str) -> int | None:
        """See :class:`RowSource`."""
        return self._at.get(key)
