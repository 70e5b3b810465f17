"""Reading a log: commands, and the work that they need.

Everything here happens on one thread in small steps: a command says what is wanted and :meth:`Pager.work` does a
stretch of it, so that a search through gigabytes holds up neither the next key nor new lines.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from mlconsole.tui.logs.file import BLOCK, Change, FileCut
from mlconsole.tui.logs.filtered import filter_of
from mlconsole.tui.logs.frame import Frame, Source
from mlconsole.tui.logs.lines import Steps
from mlconsole.tui.logs.log import Log
from mlconsole.tui.logs.pages import View
from mlconsole.tui.logs.pattern import ERRORS, typed
from mlconsole.tui.logs.place import Place
from mlconsole.tui.logs.seek import backward, forward

_DIGITS_LEAST = 4
_DONE = object()
_CUT = "The file was cut short or written anew; this is its new start."
_NO_TIMES = "Nobody here noted when these lines came."
_NOTICES = {
    Change.CUT: _CUT,
    Change.REPLACED: "The file was replaced; this is the new one.",
    Change.GONE: "The file is gone; this is what it held.",
}


class Pager:
    """A log and our place in it.

    Args:
        path: where the log is, or will be.
        clock: seconds that only go forward.
        block: bytes that are looked through at once.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic, block: int = BLOCK) -> None:
        self.path = path
        self._view = View()
        self._clock = clock
        self._moves: deque[Callable[[], Steps[None]]] = deque()
        self._move: Steps[None] | None = None
        self._hunt: Steps[str] | None = None
        self._is_stale = True
        self._log = Log(path, self._view, block)
        self._notice = ""
        self._set_out()

    def close(self) -> None:
        """Let go of the file."""
        self._log.file.close()

    def resize(self, columns: int, rows: int) -> None:
        """Fill a screen of another size."""
        self._view.columns, self._view.height = max(1, columns), max(1, rows)
        self._is_stale = True

    def wrap(self, is_on: bool) -> None:
        """Let long lines go on in the next row, or not."""
        self._view.is_wrapped = is_on
        self._is_stale = True

    def show_numbers(self, is_on: bool) -> None:
        """Show the numbers of lines, or not."""
        self._view.has_numbers = is_on
        self._is_stale = True

    def show_times(self, is_on: bool) -> None:
        """Show when lines came, or not."""
        self._view.has_times = is_on
        self._is_stale = True
        self._log.times.look()
        self._notice = _NO_TIMES if is_on and not self._log.times.has_any else ""

    # Moving.

    def scroll(self, rows: int) -> None:
        """Go so many rows down, or up when negative; who comes to the end follows again."""
        self._notice = ""
        self._moves.append(lambda: self._place.scrolled(rows))

    def turn(self, screens: float) -> None:
        """Go so many screens down or up."""
        rows = int(abs(screens) * max(1, self._view.height - (abs(screens) >= 1)))
        self.scroll(max(1, rows) if screens > 0 else -max(1, rows))

    def top(self) -> None:
        """Go to the first line."""
        self._notice = ""
        self._halt()
        self._move = self._place.moved_to(0)

    def end(self) -> None:
        """Go to the last line and follow what comes."""
        self._notice = ""
        self._halt()
        self._place.follow()
        self._is_stale = True

    def point_at(self, start: int) -> None:
        """Make the line that starts at an offset the current one."""
        self._notice = ""
        self._place.current = start

    # Searching and filtering.

    def search(self, text: str) -> None:
        """Go to the next line that holds a text, from the top of the screen on; an empty text ends the search."""
        self._notice, self._hunt, self._place.current = "", None, None
        self._log.search_for(typed(text) if text else None)
        if text:
            self._go(forward, None)

    def hit(self, step: int) -> None:
        """Go to the next hit of the search, or with -1 to the one before; round the log's end where there is none."""
        self._notice = ""
        here = self._place.current if self._place.is_current_in_view else None
        if self._log.search is None:
            self._notice = "Nothing is searched for; / searches."
        elif step > 0:
            self._go(forward, None if here is None else here + 1)
        else:
            self._go(backward, here)

    def first_error(self) -> None:
        """Go to the first line that tells of a failure."""
        self._notice = ""
        self._log.search_for(ERRORS)
        self._go(forward, 0)

    def next_error(self) -> None:
        """Go to the next line that tells of a failure."""
        self._log.search_for(ERRORS)
        self.hit(1)

    def filter(self, text: str) -> None:
        """Show only lines that hold a text, or with a ``!`` before it only others; with an empty text all lines."""
        self._notice, self._hunt = "", None
        place, (wanted, is_inverted) = self._place, filter_of(text)
        start = place.current if place.current is not None and place.is_current_in_view else place.top
        self._log.filter_by(typed(wanted) if wanted else None, is_inverted)
        self._halt()
        if place.is_following:
            self._is_stale = True
        else:
            self._move = place.moved_to(start)

    def stop(self) -> None:
        """End the search that goes on; or forget the search; or show all lines again."""
        self._notice = ""
        if self._hunt is None and self._log.search is None:
            self.filter("")
        elif self._hunt is None:
            self.search("")
        self._hunt = None

    # Work.

    def look(self) -> bool:
        """Notice what happened to the file; false when nothing did.

        Raises:
            OSError: it cannot be read.
        """
        change = self._log.look()
        if change in (Change.CUT, Change.REPLACED):
            self._set_out()
        self._notice = _NOTICES.get(change, self._notice)
        self._is_stale = self._is_stale or change is Change.GREW
        return change is not Change.NONE

    @property
    def is_busy(self) -> bool:
        """True while a command is not carried out whole."""
        return bool(self._moves) or self._is_stale or self._move is not None or self._hunt is not None

    def answer(self, until: float) -> None:
        """Work up to a time of the clock, but only on what commands have asked for."""
        while self.is_busy and self._clock() < until:
            self.work(0.0)

    def work(self, until: float) -> bool:
        """Work up to a time of the clock, a step at least; false when there is nothing left to do."""
        try:
            while self._step():
                if self._clock() >= until:
                    return True
        except FileCut:
            self._start_over()
            return True
        return False

    def frame(self) -> Frame:
        """What is to be seen now."""
        try:
            return self._frame()
        except FileCut:
            self._start_over()
            return self._frame()

    def _set_out(self) -> None:
        """Stand at the end of an unread log."""
        self._place = Place(self._log)
        self._hunt = None
        self._halt()
        self._is_stale = True

    def _halt(self) -> None:
        """Drop the moves that are not made yet."""
        self._moves.clear()
        self._move = None

    def _start_over(self) -> None:
        self._log.start_over()
        self._set_out()
        self._notice = _CUT

    def _step(self) -> bool:
        """A step of what is most wanted: a move, then a search, then what can be learnt meanwhile."""
        if self._move is None:
            self._move = self._next_move()
        if self._move is not None:
            if next(self._move, _DONE) is _DONE:
                self._move = None
            return True
        if self._hunt is not None:
            self._go_on(self._hunt)
            return True
        return self._log.step()

    def _go(self, how: Callable[[Log, Place, int | None], Steps[str]], start: int | None) -> None:
        self._hunt = how(self._log, self._place, start)

    def _go_on(self, hunt: Steps[str]) -> None:
        try:
            next(hunt)
        except StopIteration as end:
            self._hunt, self._notice = None, end.value

    def _next_move(self) -> Steps[None] | None:
        if self._moves:
            return self._moves.popleft()()
        if not self._is_stale:
            return None
        self._is_stale = False
        return self._place.refreshed()

    def _frame(self) -> Frame:
        log, place, view = self._log, self._place, self._view
        lines = log.index.lines
        self._set_digits(lines)
        return Frame(
            source=Source.LINES if log.file.size else Source.EMPTY,
            rows=log.numbered(place.rows, place.current),
            lines=lines,
            size=log.file.size,
            gutter=view.gutter,
            has_times=view.has_times,
            is_wrapped=view.is_wrapped,
            is_following=place.is_following,
            unread=place.unread(),
            search=log.hunt(log.search, place.current),
            filtered=log.hunt(log.filter, None),
            progress=self._progress(),
            notice=self._notice,
        )

    def _progress(self) -> tuple[str, float] | None:
        if self._hunt is not None and self._log.search is not None:
            return "searching", self._log.search.share
        return self._log.progress()

    def _set_digits(self, lines: int | None) -> None:
        digits = max(_DIGITS_LEAST, len(str(lines or 0)))
        if lines is not None and digits != self._view.digits:
            self._view.digits = digits
            self._is_stale = self._is_stale or self._view.is_wrapped
