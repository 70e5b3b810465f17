"""Where the lines of a log begin: newlines counted per block, so that gigabytes cost kilobytes of memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

from mlconsole.tui.logs.file import BLOCK, LogFile

_NEAR = 1 << 12


class LineIndex:
    """Newlines of a growing file, counted a block at a time.

    Args:
        file: the file; what was counted stays right as long as it only grows.
        block: bytes of a block.
    """

    def __init__(self, file: LogFile, block: int = BLOCK) -> None:
        self.file = file
        self.block = block
        self.done = 0
        self.newlines = 0
        self._near = min(_NEAR, block)
        self._buffer = bytearray(block)
        self._sums = array("Q")  # Newlines up to the end of each block that is counted whole.
        self._memo = (0, 0)

    def step(self) -> bool:
        """Count to the end of the next block at most; false when all is counted."""
        if self.done >= self.file.size:
            return False
        room = self.block - self.done % self.block
        count = self.file.read_into(self._buffer, self.done)
        self.newlines += self._buffer.count(b"\n", 0, min(count, room))
        self.done += min(count, room)
        if self.done % self.block == 0:
            self._sums.append(self.newlines)
        return True

    @property
    def is_done(self) -> bool:
        """True when every byte of the file is counted."""
        return self.done >= self.file.size

    @property
    def lines(self) -> int | None:
        """How many lines the file has, the unfinished last one included; None while they are counted."""
        if not self.is_done:
            return None
        is_open = self.file.size > 0 and self.file.read(self.file.size - 1, 1) != b"\n"
        return self.newlines + is_open

    def number_at(self, offset: int) -> int | None:
        """How many lines end before an offset; None where they are not counted yet."""
        if offset > self.done:
            return None
        block = offset // self.block
        start, number = block * self.block, self._sums[block - 1] if block else 0
        if start <= self._memo[0] <= offset:
            start, number = self._memo
        number += self.file.read(start, offset - start).count(b"\n")
        self._memo = (offset, number)
        return number

    def start_of(self, offset: int) -> int:
        """Where the line that holds the byte at an offset starts."""
        return self._newline_before(offset) + 1

    def end_of(self, offset: int) -> int:
        """Where the line that holds the byte at an offset ends: behind its newline, or at the end of the file."""
        found = self._newline_from(offset)
        return self.file.size if found < 0 else found + 1

    def _newline_before(self, offset: int) -> int:
        """The last newline before an offset; -1 when there is none. Blocks known to have none are passed over."""
        low = max(0, offset - self._near)
        found = self.file.read(low, offset - low).rfind(b"\n")
        while found < 0 and low > 0:
            offset, low = low, (low - 1) // self.block * self.block
            found = self.file.read(low, offset - low).rfind(b"\n")
            if found < 0:
                low = self._block_with_newline_before(low)
        return low + found if found >= 0 else -1

    def _newline_from(self, offset: int) -> int:
        """The first newline at or after an offset; -1 when there is none."""
        found = self.file.read(offset, self._near).find(b"\n")
        if found >= 0:
            return offset + found
        offset += self._near
        while offset < self.file.size:
            stop = (offset // self.block + 1) * self.block
            found = self.file.read(offset, stop - offset).find(b"\n")
            if found >= 0:
                return offset + found
            offset = self._block_with_newline_from(stop)
        return -1

    def _block_with_newline_before(self, start: int) -> int:
        """The end of the last block before the block at ``start`` that may have a newline."""
        block = start // self.block
        if not 0 < block <= len(self._sums):
            return start
        newlines = self._sums[block - 1]
        return (bisect_left(self._sums, newlines, 0, block) + 1) * self.block if newlines else 0

    def _block_with_newline_from(self, start: int) -> int:
        """The start of the first block from the one at ``start`` on that may have a newline."""
        block = start // self.block
        if not 0 < block <= len(self._sums):
            return start
        following = bisect_right(self._sums, self._sums[block - 1])
        if following < len(self._sums):
            return following * self.block
        return self.done if self.newlines == self._sums[-1] else len(self._sums) * self.block
