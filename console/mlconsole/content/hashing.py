"""BLAKE3 over files, with what was read before taken from a cache.

A file is read in pieces and never mapped: one that is cut short while it is read must not end the program.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping

from mlconsole.domain.datasets import FileKey
from mlconsole.errors import ActionFailed, Interrupted

PIECE = 1 << 20
TRIES = 3
RACY_NS = 2_000_000_000
"""A file changed so shortly before it was read could change again without a new time stamp: it is not cached."""


def key_of(found: os.stat_result) -> FileKey:
    """The cache key of a file by its status."""
    return FileKey(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Hasher:
    """Digests files; may be used by several threads at once.

    Args:
        known: digests of earlier, by key.
        now_ns: the clock that file times are compared with.
        cancelled: asked between pieces.

    Attributes:
        learned: digests worth keeping for the next time.
        read_bytes: how much was read.
    """

    def __init__(
        self,
        known: Mapping[FileKey, str] | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._known = known or {}
        self._now_ns = now_ns
        self._cancelled = cancelled
        self.learned: dict[FileKey, str] = {}
        self.read_bytes = 0

    def known(self, key: FileKey) -> str | None:
        """The digest of a file that was not touched since it was read, None for any other."""
        return self._known.get(key)

    def digest(self, path: str) -> tuple[str, os.stat_result]:
        """The digest of a regular file and the status it had while it was read.

        Raises:
            ActionFailed: it cannot be read, is no regular file, or changed each time it was read.
            Interrupted: nobody wants the answer any more.
        """
        for _ in range(TRIES):
            try:
                found = self._try(path)
            except OSError as error:
                raise ActionFailed(f'Cannot read "{path}": {error.strerror}.') from error
            if found is not None:
                return found
        raise ActionFailed(f'"{path}" changed each time it was read.', "Try again when nobody writes to it.")

    def _try(self, path: str) -> tuple[str, os.stat_result] | None:
        """One reading; None when the file changed under it."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise ActionFailed(f'"{path}" is not a regular file.')
            key = key_of(before)
            began = self._now_ns()
            hexadecimal, size = self._read(descriptor, before.st_size)
            if key_of(os.fstat(descriptor)) != key or size != before.st_size:
                return None
        finally:
            os.close(descriptor)
        if began - max(key.ctime_ns, key.mtime_ns) > RACY_NS:
            self.learned[key] = hexadecimal
        return hexadecimal, before

    def _read(self, descriptor: int, most: int) -> tuple[str, int]:
        """The digest and count of a file's bytes; no further than a little beyond ``most``, for one that grows."""
        from blake3 import blake3  # 1 ms, where something is hashed

        digest = blake3()
        piece = bytearray(min(PIECE, most + 1))
        view = memoryview(piece)
        total = 0
        while total <= most and (count := os.readv(descriptor, [piece])):
            digest.update(view[:count])
            total += count
            if self._cancelled():
                raise Interrupted("Interrupted.")
        self.read_bytes += total
        return digest.hexdigest(), total


def text_digest(text: bytes) -> str:
    """BLAKE3 of a few bytes."""
    from blake3 import blake3  # 1 ms, where something is hashed

    return str(blake3(text).hexdigest())
