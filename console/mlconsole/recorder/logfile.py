"""One run log file of one process: made together with its live marker, appended to, never rewritten."""

from __future__ import annotations

import os

from mlconsole.recorder.forking import importing
from mlconsole.recorder.layout import MAGIC, SUFFIX
from mlconsole.recorder.places import live_directory, run_directory
from mlconsole.recorder.process import pid_namespace

_ABOVE = 700  # of the 1024 that a program may usually open


class LogFile:
    """An open run log.

    The descriptor is closed when the last reference goes, and not before: a thread that is about to append
    holds one, so that it never writes to a descriptor that by then means another file.

    Attributes:
        fd: the descriptor.
        stem: the file's name without its suffix.
    """

    __slots__ = ("_inode", "fd", "path", "stem")

    def __init__(self, home: str, run_id: str, rank: int, identity: dict[str, object], opening: bytes) -> None:
        """Create the log and its live marker.

        Args:
            home: the catalog's directory.
            run_id: the run.
            rank: this process's rank in it.
            identity: what :func:`mlconsole.recorder.process.identity` gives.
            opening: the first records.

        Raises:
            OSError: the file could not be made; nothing of it is left.
        """
        self.fd = -1
        folder = os.path.join(run_directory(home, run_id), "log")
        os.makedirs(folder, exist_ok=True)
        self.stem = f"{rank}-{os.getpid()}-{os.urandom(4).hex()}"
        self.path = os.path.join(folder, self.stem + SUFFIX)
        self.fd = _create(self.path)
        self._inode = os.fstat(self.fd).st_ino
        marker = os.path.join(live_directory(home), f"{run_id}--{self.stem}.json")
        try:
            _write_marker(marker, {"run": run_id, "writer": self.stem + SUFFIX, **identity})
            self.append(MAGIC + opening)
        except BaseException:
            _remove(self.path, marker)
            raise

    def __del__(self) -> None:
        try:
            # A program that closed all descriptors may have another file under this number.
            if self.fd >= 0 and os.fstat(self.fd).st_ino == self._inode:
                os.close(self.fd)
        except OSError:
            pass

    def append(self, record: bytes) -> None:
        """Hand one record, or the rest of one, to the kernel.

        Raises:
            OSError: it was not taken, or not all of it; readers skip what is cut.
        """
        rest = record[os.write(self.fd, record) :]
        # Trying the rest completes the record or tells what stopped the first write.
        if rest and os.write(self.fd, rest) < len(rest):
            raise OSError("the write was cut short")


def _create(path: str) -> int:
    """A new file's descriptor, far above those that a program closes, or gets for the next file that it opens."""
    with importing:
        import fcntl

    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    except OSError:
        return fd  # The program may not open so many.
    os.close(fd)
    return high


def _write_marker(path: str, facts: dict[str, object]) -> None:
    with importing:
        import json  # 4 ms, and the console never writes a marker

    os.makedirs(os.path.dirname(path), exist_ok=True)
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.tmp")
    try:
        with open(draft, "w", encoding="ascii") as file:
            json.dump({**facts, "pid_ns": pid_namespace()}, file)
        os.rename(draft, path)
    except OSError:
        _remove(draft)
        raise


def _remove(*paths: str) -> None:
    for path in paths:
        try:
            os.unlink(path)
        except OSError:
            pass
