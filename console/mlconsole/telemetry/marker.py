"""Which GPU a sampler's child is asking for, in memory that it shares with its parent: a note that wakes nobody.

A line through the pipe would wake the parent for each GPU of each turn, which costs both more than the reading does.
"""

from __future__ import annotations

import mmap
import os

BYTES = 2
NOBODY = 0


class Marker:
    """The index of one GPU, or that it is none's turn.

    Args:
        descriptor: of the shared memory.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, BYTES)

    @classmethod
    def made(cls) -> Marker | None:
        """A new one; None where this system shares no memory so."""
        try:
            descriptor = os.memfd_create("gpu-sampler")
            os.ftruncate(descriptor, BYTES)
            return cls(descriptor)
        except (AttributeError, OSError):
            return None

    @property
    def index(self) -> int | None:
        """The GPU that is asked for."""
        found = int.from_bytes(self._memory[:BYTES], "little")
        return None if found == NOBODY else found - 1

    @index.setter
    def index(self, index: int | None) -> None:
        self._memory[:BYTES] = (NOBODY if index is None else index + 1).to_bytes(BYTES, "little")

    def close(self) -> None:
        """Let go of it."""
        self._memory.close()
        os.close(self.descriptor)
