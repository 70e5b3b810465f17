"""A log file together with all that is known of it: its lines, what is searched for in it, what it is filtered by."""

from __future__ import annotations

from pathlib import Path

from mlconsole.tui.logs.file import BLOCK, Change, LogFile
from mlconsole.tui.logs.filtered import FilteredLines, hit_before, next_hit
from mlconsole.tui.logs.frame import Hunt, Row
from mlconsole.tui.logs.index import LineIndex
from mlconsole.tui.logs.lines import AllLines, Steps
from mlconsole.tui.logs.matches import Matches
from mlconsole.tui.logs.pages import Pages, Rows, View
from mlconsole.tui.logs.pattern import Pattern
from mlconsole.tui.logs.times import Times


class Log:
    """One log.

    Args:
        path: where it is, or will be.
        view: the size of its pages.
        block: bytes that are looked through at once.
    """

    def __init__(self, path: Path, view: View, block: int = BLOCK) -> None:
        self.file = LogFile(path)
        self._view = view
        self._block = block
        self.times = Times(path)
        self.search: Matches | None = None
        self.filter: Matches | None = None
        self._begin()

    def look(self) -> Change:
        """Notice what happened to the file; what is known of it starts over where it must.

        Raises:
            OSError: it cannot be read.
        """
        change = self.file.look()
        if change in (Change.CUT, Change.REPLACED):
            self._begin()
        return change

    def start_over(self) -> None:
        """Take nothing for granted that is known of the file."""
        self.file.close()
        self._begin()

    def search_for(self, pattern: Pattern | None) -> None:
        """Search for another pattern, or for none."""
        if pattern is None:
            self.search = None
        elif self.search is None or self.search.pattern != pattern:
            self.search = Matches(self.file, self.index, pattern)

    def filter_by(self, pattern: Pattern | None, is_inverted: bool = False) -> None:
        """Show only lines that match, or only those that do not; every line when the pattern is None."""
        if pattern is None:
            self.filter = None
            self.pages.lines = AllLines(self.file, self.index)
        else:
            self.filter = Matches(self.file, self.index, pattern, is_inverted=is_inverted)
            self.pages.lines = FilteredLines(self.filter, self.index)

    def hit_from(self, offset: int) -> Steps[int | None]:
        """The first hit of the search in a shown line that starts at an offset or behind it."""
        assert self.search is not None
        return next_hit(self.search, self.filter, offset)

    def hit_before(self, offset: int) -> Steps[int | None]:
        """The last hit of the search in a shown line that starts before an offset."""
        assert self.search is not None
        return hit_before(self.search, self.filter, offset)

    def step(self) -> bool:
        """Learn a little more: where lines are, then filtered ones, then hits; false when all is known."""
        return self.index.step() or any(matches.step() for matches in (self.filter, self.search) if matches)

    def progress(self) -> tuple[str, float] | None:
        """What is not known yet, and the share of it that is."""
        if not self.index.is_done:
            return "counting lines", self.index.done / self.file.size
        if self.filter is not None and self.filter.total() is None:
            return "filtering", self.filter.share
        return None

    def numbered(self, rows: Rows, current: int | None) -> tuple[Row, ...]:
        """Rows with their lines' numbers and times as far as they are known, and a mark at the current line."""
        if self._view.has_times:
            self.times.look()
        out: list[Row] = []
        for row in rows:
            start = row.shown.line.start
            before = self.index.number_at(start) if row.start == 0 else None
            number = None if before is None else before + 1
            when = self.times.at(start) if self._view.has_times and row.start == 0 else ""
            out.append(Row(row.shown, row.start, row.stop, number, start == current, when))
        return tuple(out)

    def hunt(self, matches: Matches | None, current: int | None) -> Hunt | None:
        """How a search or a filter stands; hits are not numbered while lines are left out."""
        if matches is None:
            return None
        if matches is self.search and self.filter is not None:
            return Hunt(matches.pattern, matches.is_inverted)
        rank = None if current is None or matches is self.filter else matches.rank(current)
        return Hunt(matches.pattern, matches.is_inverted, None if rank is None else rank + 1, matches.total())

    def _begin(self) -> None:
        self.index = LineIndex(self.file, self._block)
        self.pages = Pages(self.file, AllLines(self.file, self.index), self._view)
        if self.search is not None:
            self.search = Matches(self.file, self.index, self.search.pattern)
        if self.filter is not None:
            self.filter_by(self.filter.pattern, self.filter.is_inverted)
