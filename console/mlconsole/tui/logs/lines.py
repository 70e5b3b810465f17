"""Lines of a log before and after a place, and the bytes of one, however long it is.

What may take long is a generator that yields now and then, so that its caller can do something else meanwhile, or
drop it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mlconsole.tui.logs.file import LogFile
from mlconsole.tui.logs.index import LineIndex

Found = TypeVar("Found")
Steps = Generator[None, None, Found]
"""Work that gives way between its steps and ends with a result."""

KEPT_BYTES = 1 << 16
_READ = 1 << 15


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line starts, and where the next one would."""

    start: int
    end: int


class Lines(Protocol):
    """The lines that are shown, in order."""

    def after(self, offset: int, count: int) -> Steps[list[Line]]:
        """The first lines that start at an offset, the start of a line, or behind it."""
        ...

    def before(self, offset: int, count: int) -> Steps[list[Line]]:
        """The last lines that start before an offset, the start of a line or the end of the file."""
        ...


class AllLines:
    """Every line of a file."""

    def __init__(self, file: LogFile, index: LineIndex) -> None:
        self._file = file
        self._index = index
        self._reach = min(_READ, index.block)

    def after(self, offset: int, count: int) -> Steps[list[Line]]:
        """See :class:`Lines`."""
        found: list[Line] = []
        while len(found) < count and offset < self._file.size:
            yield
            data = self._file.read(offset, self._reach)
            at = 0
            while len(found) < count and (cut := data.find(b"\n", at)) >= 0:
                found.append(Line(offset + at, offset + cut + 1))
                at = cut + 1
            if at == 0:
                found.append(Line(offset, self._index.end_of(offset)))
            offset = found[-1].end
        return found

    def before(self, offset: int, count: int) -> Steps[list[Line]]:
        """See :class:`Lines`."""
        found: list[Line] = []
        while len(found) < count and offset > 0:
            yield
            low = max(0, offset - self._reach)
            data = self._file.read(low, offset - low)
            end = len(data)
            while len(found) < count and (cut := data.rfind(b"\n", 0, end - 1)) >= 0:
                found.append(Line(low + cut + 1, low + end))
                end = cut + 1
            if low + end == offset:
                found.append(Line(self._index.start_of(offset - 1), offset))
            offset = found[-1].start
        return found[::-1]


def raw(file: LogFile, line: Line) -> bytes:
    """What is looked at of a line: all of it; of a long one its end if it was written over itself, else its start."""
    if line.end - line.start <= KEPT_BYTES:
        return file.read(line.start, line.end - line.start)
    tail = file.read(line.end - KEPT_BYTES, KEPT_BYTES)
    return tail if b"\r" in tail.rstrip(b"\r\n") else file.read(line.start, KEPT_BYTES)
