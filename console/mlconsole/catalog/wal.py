"""Keeps the write-ahead log short: when it is folded into the file, and by whom."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

WAL_LIMIT_BYTES = 4 << 20
RETRY_BYTES = 1 << 20
PATIENCE_MS = 50


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """True for an SQLite library that may lose a write when two processes checkpoint (sqlite.org/wal.html, 11)."""
    return (3, 7, 0) <= version <= (3, 51, 2) and version not in ((3, 44, 6), (3, 50, 7))


class Checkpoints:
    """Folds the write-ahead log of one catalog into its file; one process at a time, by a lock file.

    That is all the checkpointing there is on a library with the WAL-reset bug; on others SQLite's own goes on too.

    Args:
        path: the catalog's file.
    """

    def __init__(self, path: Path) -> None:
        self._lock_path = path.with_name("checkpoint.lock")
        self._wal_path = f"{path}-wal"
        self._next_try_bytes = WAL_LIMIT_BYTES

    def configure(self, connection: sqlite3.Connection) -> None:
        """Leave checkpoints to us where SQLite's own may lose a write."""
        if has_wal_reset_bug():
            connection.execute("PRAGMA wal_autocheckpoint = 0")

    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return os.stat(self._wal_path).st_size
        except OSError:
            return 0

    def run_if_due(self, connection: sqlite3.Connection) -> None:
        """Checkpoint once the log has grown large; after a failure not again before it has grown further."""
        size = self.wal_bytes()
        if size < self._next_try_bytes:
            return
        done = self.run(connection)
        self._next_try_bytes = WAL_LIMIT_BYTES if done else size + RETRY_BYTES

    def run(self, connection: sqlite3.Connection) -> bool:
        """Move the log into the file and truncate it; False when another process is at it or a reader holds it."""
        try:
            with open(self._lock_path, "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return _truncate(connection)
        except (OSError, sqlite3.OperationalError):
            # Not now: the log stays as it is and nothing is lost.
            return False


def _truncate(connection: sqlite3.Connection) -> bool:
    before = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
    try:
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
