"""A log file as it grows, is cut short or is replaced under its reader.

It is read, never mapped: touching a mapped page behind the end of a file that was cut short kills the process.
"""

from __future__ import annotations

import errno
import os
import stat
from enum import Enum
from pathlib import Path

BLOCK = (
    1 << 20
)  # A quarter of it stays in a second-level cache, yet costs a fifth more to search: four times the reads.
_PROBE = 64


class Change(Enum):
    """What became of a file since the look before."""

    NONE = "none"
    GREW = "grew"
    CUT = "cut"
    REPLACED = "replaced"
    GONE = "gone"


class FileCut(Exception):
    """Bytes that were there are not there any more."""


class LogFile:
    """The bytes of a log that were there at the last look, up to ``size``.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._fd = -1
        self._identity = (0, 0)
        self._stamp = (0, 0)
        self._probes: tuple[tuple[int, bytes], ...] = ()
        self._is_gone = False

    def look(self) -> Change:
        """Notice what happened to the file.

        After CUT and REPLACED everything read before is void. GONE is told once: what the file held can still be
        read, until another takes its name.

        Raises:
            OSError: it is there and cannot be read.
        """
        if self._fd < 0:
            return self._open()
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            named = None
        if named is not None and (named.st_dev, named.st_ino) != self._identity:
            self.close()
            self._open()
            return Change.REPLACED
        was_gone, self._is_gone = self._is_gone, named is None
        change = self._grown()
        return Change.GONE if change is Change.NONE and self._is_gone and not was_gone else change

    def read(self, offset: int, count: int) -> bytes:
        """Bytes from an offset, all that were asked for or all up to ``size``.

        Raises:
            FileCut: the file was cut short meanwhile.
        """
        wanted = min(count, self.size - offset)
        if wanted <= 0:
            return b""
        data = os.pread(self._fd, wanted, offset)
        while len(data) < wanted:
            more = os.pread(self._fd, wanted - len(data), offset + len(data))
            if not more:
                raise FileCut
            data += more
        return data

    def read_into(self, buffer: bytearray, offset: int) -> int:
        """Fill a buffer with bytes from an offset up to ``size``; returns how many there were.

        Raises:
            FileCut: the file was cut short meanwhile.
        """
        wanted = min(len(buffer), self.size - offset)
        done = os.preadv(self._fd, [buffer], offset) if wanted > 0 else 0
        if done < wanted:
            data = self.read(offset, wanted)
            buffer[: len(data)] = data
        return max(0, wanted)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self.size, self._stamp, self._probes = -1, 0, (0, 0), ()

    def __del__(self) -> None:
        self.close()

    def _open(self) -> Change:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._fd = os.open(self.path, flags)
        except FileNotFoundError:
            return Change.NONE
        there = os.fstat(self._fd)
        if not stat.S_ISREG(there.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "it is not a regular file")
        self._identity = (there.st_dev, there.st_ino)
        return self._grown()

    def _grown(self) -> Change:
        there = os.fstat(self._fd)
        stamp = (there.st_size, there.st_mtime_ns)
        if stamp == self._stamp:
            return Change.NONE
        if there.st_size < self.size or not self._is_same():
            self.close()
            self._open()
            return Change.CUT
        has_grown = there.st_size > self.size
        self.size, self._stamp = there.st_size, stamp
        self._probes = tuple((at, self.read(at, _PROBE)) for at in {0, max(0, self.size - _PROBE)})
        return Change.GREW if has_grown else Change.NONE

    def _is_same(self) -> bool:
        """Whether the first and last bytes known still stand where they stood; a file may be written anew in place."""
        return all(os.pread(self._fd, len(data), at) == data for at, data in self._probes)
