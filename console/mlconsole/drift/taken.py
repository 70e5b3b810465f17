"""How far live files were read, and whether a file is still the one that was read.

A log is appended to, renamed, cut off or written anew under its name. Size alone does not tell: an export that is
written anew every hour is often larger than the last one, and would be taken for one that grew. A file is known by how
it begins.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlconsole.drift.files import TableFile
from mlconsole.drift.opening import opened

HEAD_BYTES = 4096
HEAD_ROWS = 20


@dataclass(frozen=True, slots=True)
class Taken:
    """What was read of a file.

    Attributes:
        rows: how many of its rows are judged.
        size_bytes: how large it was then.
        is_whole: True when there were no more rows.
        length: how much of its beginning ``head`` is of: bytes, of Parquet rows; 0 where it is not known.
        head: a digest of that.
        mtime: when it had been written last.
    """

    rows: int = 0
    size_bytes: int = 0
    is_whole: bool = False
    length: int = 0
    head: str = ""
    mtime: float = 0.0

    def to(self, rows: int, is_whole: bool = False) -> Taken:
        """The same file, read so far."""
        return Taken(rows, self.size_bytes, is_whole, self.length, self.head, self.mtime)

    def is_of(self, file: TableFile) -> bool:
        """True when the file is the one that was read, or that one with more behind it."""
        if (self.size_bytes, self.mtime) == (file.size_bytes, file.mtime):
            return True
        if self.size_bytes > file.size_bytes:
            return False
        return not self.length or _head(file, self.length) == self.head

    def is_done(self, file: TableFile) -> bool:
        """True when nothing was written since it was read to its end."""
        return self.is_whole and self.size_bytes == file.size_bytes and self.mtime in (0.0, file.mtime)

    def document(self) -> list[Any]:
        """As it is kept."""
        return [self.rows, self.size_bytes, self.is_whole, self.length, self.head, self.mtime]


@dataclass(frozen=True, slots=True)
class Dated:
    """A file whose rows lie in several windows: how large it is, when it was written, and how many rows are where.

    As long as it stays as it is and all those windows are judged, it need not be read again.
    """

    size_bytes: int
    mtime: float
    rows: Mapping[str, int]
    undated: int

    def is_of(self, file: TableFile) -> bool:
        """True when the file is as it was."""
        return (self.size_bytes, self.mtime) == (file.size_bytes, file.mtime)

    def is_done(self, file: TableFile, judged: Mapping[str, int]) -> bool:
        """True when there is nothing in the file that was not judged."""
        return self.is_of(file) and all(key in judged for key in self.rows)

    def document(self) -> list[Any]:
        """As it is kept."""
        return [self.size_bytes, self.mtime, dict(self.rows), self.undated]


def begun(file: TableFile) -> Taken:
    """A file of which nothing was read yet."""
    length = HEAD_ROWS if file.format == "parquet" else min(HEAD_BYTES, file.size_bytes)
    head = _head(file, length)
    return Taken(0, file.size_bytes, False, length if head else 0, head, file.mtime)


def known(kept: Mapping[str, Sequence[Any]], files: Iterable[TableFile]) -> dict[str, Taken]:
    """What was read of which file. One that was renamed is found again, one that was written anew is not."""
    before = {path: Taken(*entry) for path, entry in kept.items()}
    present = {file.path: file for file in files}
    found = {path: one for path, one in before.items() if path not in present or one.is_of(present[path])}
    moved = [path for path in before if path not in present or path not in found]
    for path, file in present.items():
        if path in found:
            continue
        old = next((one for one in moved if before[one].length and before[one].rows and before[one].is_of(file)), None)
        if old is not None:
            moved.remove(old)
            found[path] = before[old]
            if old not in present:
                found.pop(old, None)
    return found


def _head(file: TableFile, length: int) -> str:
    """A digest of how a file begins; empty where that cannot be told."""
    if file.packed == "zstd":
        return ""
    with contextlib.suppress(OSError, EOFError, ValueError):
        return hashlib.blake2b(_beginning(file, length), digest_size=12).hexdigest()
    return ""


def _beginning(file: TableFile, length: int) -> bytes:
    if file.format != "parquet":
        with opened(file) as data:
            return data.read(length)
    import polars as pl

    try:
        rows = pl.scan_parquet(file.path, glob=False, hive_partitioning=False).head(length).collect()
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from error
    return repr(rows.rows()).encode("utf-8", "surrogateescape")
