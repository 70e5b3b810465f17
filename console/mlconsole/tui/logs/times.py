"""When the lines of a log came, by the notes that the run's supervisor keeps beside it.

A note is a line ``SECONDS BYTES``: so long was the log at that time. A line came between the note before the first that
has it and that one, about a second later at most.
"""

from __future__ import annotations

import os
import stat
from array import array
from bisect import bisect_right
from datetime import UTC, datetime
from pathlib import Path

CELLS = 8
_READ_MOST = 1 << 22
_NOT_NOTED_YET_S = 60.0
"""So long after the last note what has come since may be told by the time at which the log was written last."""


class Times:
    """The notes beside one log; none where nobody kept any.

    Args:
        log: where the log is.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._path = log.with_suffix(".times")
        self._begin()

    def look(self) -> None:
        """Read what was noted since the look before; notes that cannot be read tell nothing."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            there = os.fstat(descriptor)
            if stat.S_ISREG(there.st_mode):
                if there.st_size < self._read:
                    self._begin()
                self._take(os.pread(descriptor, _READ_MOST, self._read))
            self._written_at = os.stat(self._log).st_mtime
        except OSError:
            return
        finally:
            os.close(descriptor)

    @property
    def has_any(self) -> bool:
        """True when something was noted."""
        return bool(self._sizes)

    def at(self, offset: int) -> str:
        """The time of day, UTC, by which the byte at an offset had come; empty where it is not known."""
        found = bisect_right(self._sizes, offset)
        if found < len(self._sizes):
            return _shown(self._seconds[found])
        if self._seconds and 0 <= self._written_at - self._seconds[-1] <= _NOT_NOTED_YET_S:
            return _shown(self._written_at)
        return ""

    def _begin(self) -> None:
        self._sizes, self._seconds = array("q"), array("d")
        self._read = 0
        self._written_at = 0.0

    def _take(self, data: bytes) -> None:
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for note in whole.splitlines():
            seconds, _, size = note.partition(b" ")
            try:
                noted, at = int(size), float(seconds)
                datetime.fromtimestamp(at, UTC)
            except (ValueError, OverflowError, OSError):
                continue
            if self._sizes and noted < self._sizes[-1]:  # The log was cut short: what was noted is of other lines.
                del self._sizes[:], self._seconds[:]
            if 0 <= noted < 1 << 62:
                self._sizes.append(noted)
                self._seconds.append(at)


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")
