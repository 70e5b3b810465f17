"""Where we stand in a log: what is in view, whether we follow, and which line is the current one."""

from __future__ import annotations

from mlconsole.tui.logs.lines import Steps
from mlconsole.tui.logs.log import Log
from mlconsole.tui.logs.pages import Rows


class Place:
    """A place in a log, at first its end, which is followed.

    Args:
        log: the log; its view says how much is seen of it.
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.rows: Rows = []
        self.current: int | None = None
        self.is_following = True
        self._paused_at = 0
        self._paused_lines: int | None = None

    @property
    def top(self) -> int:
        """Where the first line in view starts."""
        return self.rows[0].shown.line.start if self.rows else 0

    @property
    def is_current_in_view(self) -> bool:
        """True when the current line is in view."""
        return any(row.shown.line.start == self.current for row in self.rows)

    def follow(self) -> None:
        """Keep to the end from now on."""
        self.is_following = True

    def pause(self) -> None:
        """Stay where we are, whatever comes."""
        if self.is_following:
            self.is_following = False
            self._paused_at, self._paused_lines = self.log.file.size, None

    def unread(self) -> int | None:
        """How many lines came since the pause; None while they are counted."""
        if self.is_following:
            return 0
        if self._paused_lines is None:
            self._paused_lines = self.log.index.number_at(self._paused_at)
        if self._paused_lines is None or not self.log.index.is_done:
            return None
        return self.log.index.newlines - self._paused_lines

    def refreshed(self) -> Steps[None]:
        """Show what has changed: the end where it is followed, else what has come to the last line in view."""
        if self.is_following:
            self.rows = yield from self.log.pages.at_end()
        else:
            self.rows = yield from self.log.pages.at(self.top, self.rows[0].start if self.rows else 0)

    def scrolled(self, count: int) -> Steps[None]:
        """Go so many rows down, or up when negative. Who comes to the end follows."""
        pages = self.log.pages
        if count > 0:
            rows, is_end = yield from pages.below(self.rows, count)
            if is_end:
                self.follow()
            self.rows = rows
        else:
            self._stand_at((yield from pages.above(self.rows, -count)))

    def moved_to(self, start: int) -> Steps[None]:
        """Put the line at ``start``, or the next that is shown, on top."""
        self._stand_at((yield from self.log.pages.at(start)))

    def turned_to(self, start: int) -> Steps[None]:
        """Make the line at ``start`` the current one and bring it into view; nothing moves if it is."""
        self.pause()
        self.current = start
        if not self.is_current_in_view:
            self.rows = yield from self.log.pages.round_about(start)

    def _stand_at(self, rows: Rows) -> None:
        if rows != self.rows:
            self.pause()
        self.rows = rows
