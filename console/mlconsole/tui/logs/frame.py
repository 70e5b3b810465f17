"""What a log view shows at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mlconsole.tui.logs.pattern import Pattern
from mlconsole.tui.logs.shown import Shown


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the screen: a line, or the stretch of a wrapped line from ``start`` to ``stop``; when it came."""

    shown: Shown
    start: int
    stop: int
    number: int | None = None
    is_current: bool = False
    when: str = ""


class Source(Enum):
    """Whether there is anything to show."""

    NONE = "none"
    EMPTY = "empty"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Hunt:
    """How a search or a filter stands: the hit we stand on, counted from 1, and how many there are, where known."""

    pattern: Pattern
    is_inverted: bool = False
    rank: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A screen of a log.

    Attributes:
        source: whether there is anything.
        rows: what is in view.
        lines: how many lines the file has; None while they are counted.
        size: bytes of the file.
        gutter: cells before the text of each row: the bar of the current line, when it came, and the number.
        has_times: the gutter tells when lines came.
        is_wrapped: long lines go on in the next row.
        is_following: new lines come into view by themselves.
        unread: lines that came since following stopped; None while they are counted.
        search: what was searched for last.
        filtered: what the lines are filtered by.
        progress: what takes time at the moment, and the share of it that is done.
        notice: what else is to be told.
        error: why nothing can be read.
    """

    source: Source = Source.NONE
    rows: tuple[Row, ...] = ()
    lines: int | None = None
    size: int = 0
    gutter: int = 1
    has_times: bool = False
    is_wrapped: bool = False
    is_following: bool = True
    unread: int | None = 0
    search: Hunt | None = None
    filtered: Hunt | None = None
    progress: tuple[str, float] | None = None
    notice: str = ""
    error: str = ""
