"""Datasets: a version is the digest of its content, whatever it is called and wherever it lies."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mlconsole.records import record


class EntryKind(StrEnum):
    """What a manifest can hold: a regular file, a symbolic link, a folder with nothing in it."""

    FILE = "file"
    LINK = "link"
    FOLDER = "folder"


class Entry(NamedTuple):
    """One line of a manifest.

    ``path`` is relative to the dataset's root, and empty for a dataset that is one file. ``digest`` is BLAKE3 over a
    file's bytes or a link's target text, in hexadecimal digits.
    """

    path: str
    kind: EntryKind
    is_executable: bool
    size_bytes: int
    digest: str


class FileKey(NamedTuple):
    """What tells that a file was not touched since it was read.

    The change time is in it because a program can put a modification time back, and not that one.
    """

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


@record
class Partition:
    """The entries directly inside one folder; ``folder`` is relative to the root, their paths to the folder."""

    folder: str
    digest: str
    entries: tuple[Entry, ...]


@record
class Manifest:
    """All of a dataset's entries by folder; ``digest`` is its id, ``blake3:`` and 64 hexadecimal digits."""

    digest: str
    partitions: tuple[Partition, ...]

    @property
    def entries(self) -> list[Entry]:
        """Every entry with its path from the root."""
        return [
            entry._replace(path=f"{part.folder}/{entry.path}" if part.folder else entry.path)
            for part in self.partitions
            for entry in part.entries
        ]

    @property
    def size_bytes(self) -> int:
        """Bytes of all regular files."""
        return sum(e.size_bytes for part in self.partitions for e in part.entries if e.kind is EntryKind.FILE)

    @property
    def files(self) -> int:
        """How many regular files there are."""
        return sum(e.kind is EntryKind.FILE for part in self.partitions for e in part.entries)


class Column(NamedTuple):
    """A column of tabular data and the name of its type."""

    name: str
    type: str


@record
class Schema:
    """The columns and the row count of tabular data; None where it is not known, and ``note`` says why."""

    columns: tuple[Column, ...] | None = None
    rows: int | None = None
    note: str = ""


@record
class Place:
    """Where a dataset was seen: a file, a folder, or with ``is_pattern`` a glob pattern, on a host."""

    source: str
    is_pattern: bool
    host: str
    at: datetime


@record
class DatasetVersion:
    """One version of a named dataset; ``version`` counts from 1 within the name, ``places`` has the newest first."""

    number: int
    id: str
    name: str
    version: int
    files: int
    size_bytes: int
    schema: Schema
    added_at: datetime
    added_by: str
    places: tuple[Place, ...] = ()

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


@record
class DatasetPage:
    """A version with its manifest."""

    version: DatasetVersion
    entries: tuple[Entry, ...]


@record
class FileChange:
    """A path that differs between two manifests, or between a manifest and what is there now.

    ``change`` is added, removed, or what of it differs: content, kind, mode.
    """

    path: str
    change: str
    before: Entry | None
    after: Entry | None


@record
class DatasetDiff:
    """What two versions do not have in common."""

    before: DatasetVersion
    after: DatasetVersion
    files: tuple[FileChange, ...]
    columns: tuple[tuple[str, str | None, str | None], ...]


def differences(before: Iterable[Entry], after: Iterable[Entry]) -> list[FileChange]:
    """The paths whose entries differ, in order of the path."""
    old = {entry.path: entry for entry in before}
    new = {entry.path: entry for entry in after}
    found = [
        FileChange(path, _change(old.get(path), new.get(path)), old.get(path), new.get(path)) for path in old | new
    ]
    return sorted((one for one in found if one.change), key=lambda one: one.path)


def _change(before: Entry | None, after: Entry | None) -> str:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if before.kind is not after.kind:
        return "kind"
    if (before.size_bytes, before.digest) != (after.size_bytes, after.digest):
        return "content"
    return "mode" if before.is_executable != after.is_executable else ""


def column_changes(before: Schema, after: Schema) -> tuple[tuple[str, str | None, str | None], ...]:
    """(name, type before, type after) of every column that differs; none where a schema is not known."""
    if before.columns is None or after.columns is None:
        return ()
    old, new = dict(before.columns), dict(after.columns)
    return tuple((name, old.get(name), new.get(name)) for name in old | new if old.get(name) != new.get(name))
