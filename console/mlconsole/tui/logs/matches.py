"""The lines of a log that match a pattern, found a block at a time and in either direction."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Sequence

from mlconsole.tui.logs.file import LogFile
from mlconsole.tui.logs.index import LineIndex
from mlconsole.tui.logs.lines import Line, Steps, raw
from mlconsole.tui.logs.pattern import Pattern

_NEWLINE = re.compile(b"\n")
_UNKNOWN = -1
_KEPT_BLOCKS = 8


class Matches:
    """Matching lines of a growing file; of most blocks only their number is remembered.

    A line belongs to the block that it starts in. A block is settled when the last line that starts in it has ended;
    what is known of the others holds as long as the file keeps its size.

    Args:
        file: the file.
        index: its newlines; its blocks are those that are looked through.
        pattern: what to look for.
        is_inverted: find the lines that do not match.
    """

    def __init__(self, file: LogFile, index: LineIndex, pattern: Pattern, *, is_inverted: bool = False) -> None:
        self.pattern = pattern
        self.is_inverted = is_inverted
        self._file, self._index, self._block = file, index, index.block
        self._buffer = bytearray(index.block)
        self._counts = array("q")
        self._next = 0
        self._open: dict[int, tuple[int, array[int]]] = {}
        self._kept: dict[int, array[int]] = {}

    def after(self, offset: int) -> Steps[int | None]:
        """The start of the first matching line that starts at an offset or behind it."""
        for block in range(offset // self._block, self._blocks()):
            if self._counts[block] != 0:
                yield
                starts = self._starts(block)
                at = bisect_left(starts, offset)
                if at < len(starts):
                    return starts[at]
        return None

    def before(self, offset: int) -> Steps[int | None]:
        """The start of the last matching line that starts before an offset."""
        for block in range(min(offset // self._block, self._blocks() - 1), -1, -1):
            if self._counts[block] != 0:
                yield
                starts = self._starts(block)
                at = bisect_left(starts, offset)
                if at > 0:
                    return starts[at - 1]
        return None

    def step(self) -> bool:
        """Look through one block more; false when all have been."""
        blocks = self._blocks()
        for block, (size, _) in self._open.items():
            if size != self._file.size:
                self._starts(block)
                return True
        while self._next < blocks and (self._counts[self._next] != _UNKNOWN or self._next in self._open):
            self._next += 1
        if self._next == blocks:
            return False
        self._starts(self._next)
        return True

    def total(self) -> int | None:
        """How many lines match; None while they are counted."""
        return self._before(self._blocks())

    def rank(self, start: int) -> int | None:
        """How many matching lines start before an offset; None while they are counted."""
        block = min(start // self._block, self._blocks() - 1)
        before = self._before(block)
        return None if before is None else before + bisect_left(self._starts(block), start)

    @property
    def share(self) -> float:
        """How much of the file has been looked through, from 0 to 1."""
        blocks = self._blocks()
        return 1 - (self._counts.count(_UNKNOWN) - len(self._open)) / blocks if blocks else 1.0

    def _before(self, block: int) -> int | None:
        counts = self._counts[:block]
        unknown = counts.count(_UNKNOWN)
        size = self._file.size
        still_open = [len(starts) for at, (seen, starts) in self._open.items() if at < block and seen == size]
        return None if len(still_open) < unknown else sum(counts) - unknown * _UNKNOWN + sum(still_open)

    def _blocks(self) -> int:
        """The number of blocks; those that are new count as unknown."""
        blocks = -(-self._file.size // self._block)
        self._counts.extend([_UNKNOWN] * (blocks - len(self._counts)))
        return blocks

    def _starts(self, block: int) -> array[int]:
        """Where matching lines start in a block."""
        size, starts = self._open.get(block, (-1, None))
        if starts is None:
            starts = self._kept.get(block)
        elif size != self._file.size:
            starts = None
        if starts is None:
            starts = self._remember(block, *self._look_through(block))
        return starts

    def _remember(self, block: int, starts: array[int], is_settled: bool) -> array[int]:
        if not is_settled:
            self._open[block] = (self._file.size, starts)
            return starts
        self._open.pop(block, None)
        self._counts[block] = len(starts)
        if len(self._kept) >= _KEPT_BLOCKS:
            del self._kept[next(iter(self._kept))]
        self._kept[block] = starts
        return starts

    def _look_through(self, block: int) -> tuple[array[int], bool]:
        """Where matching lines start in a block, and whether it is settled."""
        base, data = block * self._block, self._buffer
        size = self._file.read_into(data, base)
        is_whole = size == self._block
        is_start = base == 0 or self._file.read(base - 1, 1) == b"\n"
        first = 0 if is_start else data.find(b"\n", 0, size) + 1
        if first == 0 and not is_start:
            return array("q"), is_whole
        last = max(first, data.rfind(b"\n", 0, size) + 1)
        starts = array("q", [base + at for at in self._matching(data, first, last)])
        if last == size:
            return starts, is_whole
        line = Line(base + last, self._index.end_of(base + size))
        long = bytearray(raw(self._file, line))
        starts.extend([line.start] * bool(self._matching(long, 0, len(long))))
        return starts, is_whole and self._file.read(line.end - 1, 1) == b"\n"

    def _matching(self, data: bytearray, first: int, last: int) -> Sequence[int]:
        found = self.pattern.starts(data, first, last) if last > first else []
        if not self.is_inverted or last == first:
            return found
        without = set(found)
        return [start for start in _line_starts(data, first, last) if start not in without]


def _line_starts(data: bytearray, first: int, last: int) -> list[int]:
    starts = [first, *(newline.end() for newline in _NEWLINE.finditer(data, first, last))]
    return starts[:-1] if starts[-1] == last else starts
