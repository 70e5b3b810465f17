"""Turns what SQLite and the system complain of into our errors, each with a way out."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from types import TracebackType

from mlconsole.errors import (
    CatalogBusy,
    CatalogDamaged,
    CatalogError,
    CatalogReadOnly,
    DiskFull,
    SearchStopped,
)

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)
FAILED_WRITES = frozenset(
    (
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    )
)


class Translated:
    """A block whose ``sqlite3`` and ``OSError`` exceptions leave it as ours.

    A class, because the block stands round every statement and a generator would cost twice as much.

    Args:
        path: the catalog's file, named in the message.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise of_sqlite(error, self._path) from error
        if isinstance(error, OSError):
            raise of_system(error, self._path) from error


def of_sqlite(error: sqlite3.Error, path: Path) -> CatalogError:
    """Our error for one of SQLite's, told apart by its result code (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    kind = code & 0xFF
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return CatalogBusy(f'The catalog "{path}" is locked by another process.', "Try again; see: mlconsole doctor")
    if is_no_space(error):
        return no_space(path, str(error))
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error))
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return CatalogReadOnly(
            f'The catalog "{path}" cannot be written ({error}).', "Look without changing: --read-only"
        )
    if kind == sqlite3.SQLITE_CANTOPEN:
        hint = "Check the rights of its folder and of the files beside it that end in -wal and -shm."
        return CatalogReadOnly(f'The catalog "{path}" cannot be opened ({error}).', hint)
    if kind == sqlite3.SQLITE_INTERRUPT:
        return SearchStopped("The search was stopped before it ended.", "Narrow the filter, or ask again.")
    return CatalogError(f'The catalog "{path}" refused: {error}.', "See: mlconsole doctor")


def is_no_space(error: sqlite3.Error) -> bool:
    """Whether the disk did not take a write."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF == sqlite3.SQLITE_FULL or code in FAILED_WRITES


def of_system(error: OSError, path: Path) -> CatalogError:
    """Our error for one of the system's."""
    reason = error.strerror or type(error).__name__
    if error.errno in NO_RIGHT:
        return CatalogReadOnly(
            f'Not allowed to use the catalog "{path}" ({reason}).', "Ask its owner, or choose another: --catalog DIR."
        )
    if error.errno in NO_SPACE:
        return no_space(path, reason)
    return CatalogError(f'Cannot use the catalog "{path}": {reason}.', "Choose another: --catalog DIR.")


def no_space(path: Path, reason: str) -> DiskFull:
    """The error for a write that the disk did not take."""
    return DiskFull(
        f'No space left for the catalog "{path}" ({reason}).', "Free some space and try again; nothing was lost."
    )


def damaged(path: Path, reason: str) -> CatalogDamaged:
    """The error for a file that is no sound catalog."""
    return CatalogDamaged(
        f'The catalog "{path}" is damaged ({reason}).',
        "Put a backup in its place, the damaged file is set aside: mlconsole restore FILE",
    )
