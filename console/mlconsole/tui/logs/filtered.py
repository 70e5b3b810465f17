"""Only some lines of a log: those that a filter lets through, and hits among them."""

from __future__ import annotations

from mlconsole.tui.logs.index import LineIndex
from mlconsole.tui.logs.lines import Line, Steps
from mlconsole.tui.logs.matches import Matches


class FilteredLines:
    """The lines that match; see :class:`~mlconsole.tui.logs.lines.Lines`."""

    def __init__(self, matches: Matches, index: LineIndex) -> None:
        self._matches = matches
        self._index = index

    def after(self, offset: int, count: int) -> Steps[list[Line]]:
        """See :class:`~mlconsole.tui.logs.lines.Lines`."""
        found: list[Line] = []
        while len(found) < count and (start := (yield from self._matches.after(offset))) is not None:
            found.append(Line(start, self._index.end_of(start)))
            offset = found[-1].end
        return found

    def before(self, offset: int, count: int) -> Steps[list[Line]]:
        """See :class:`~mlconsole.tui.logs.lines.Lines`."""
        found: list[Line] = []
        while len(found) < count and (start := (yield from self._matches.before(offset))) is not None:
            found.append(Line(start, self._index.end_of(start)))
            offset = start
        return found[::-1]


def filter_of(text: str) -> tuple[str, bool]:
    """A filter as it was typed: the text, and whether lines with it are left out, as a first ``!`` says."""
    return (text[1:], True) if text.startswith("!") and len(text) > 1 else (text, False)


def next_hit(hits: Matches, lines: Matches | None, offset: int) -> Steps[int | None]:
    """The first hit from an offset on among the lines that are shown; all of them when ``lines`` is None."""
    while (hit := (yield from hits.after(offset))) is not None and lines is not None:
        shown = yield from lines.after(hit)
        if shown is None or shown == hit:
            return shown
        offset = shown
    return hit


def hit_before(hits: Matches, lines: Matches | None, offset: int) -> Steps[int | None]:
    """The last hit before an offset among the lines that are shown; all of them when ``lines`` is None."""
    while (hit := (yield from hits.before(offset))) is not None and lines is not None:
        shown = yield from lines.before(hit + 1)
        if shown is None or shown == hit:
            return shown
        offset = shown + 1
    return hit
