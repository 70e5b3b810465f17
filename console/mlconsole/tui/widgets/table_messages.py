"""What a table tells its screen; handlers are named ``on_table_...``."""

from __future__ import annotations

from textual.message import Message

from mlconsole.tui.widgets.feed import Delivery


class Selected(Message, namespace="table"):
    """Enter or a double click on a row."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


class CursorMoved(Message, namespace="table"):
    """The cursor stands on another row; None when the list is empty. ``rank`` counts the rows before it."""

    def __init__(self, key: str | None, rank: int | None) -> None:
        super().__init__()
        self.key = key
        self.rank = rank


class MarksChanged(Message, namespace="table"):
    """So many rows are marked now."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count


class Tallied(Message, namespace="table"):
    """How many rows the list has, and how many stand before the cursor; None where nobody knows."""

    def __init__(self, total: int | None, rank: int | None) -> None:
        super().__init__()
        self.total = total
        self.rank = rank


class SortWanted(Message, namespace="table"):
    """A click on a column's title."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column = column


class Failed(Message, namespace="table"):
    """The source could not answer."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Answered(Message, namespace="table"):
    """An answer of the asking thread; of no interest to others."""

    bubble = False

    def __init__(self, delivery: Delivery) -> None:
        super().__init__()
        self.delivery = delivery
