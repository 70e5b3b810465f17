"""Datasets: versions by name, their manifests, and the digests of files that were read before."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.datasets import (
    Column,
    DatasetVersion,
    Entry,
    EntryKind,
    FileKey,
    Manifest,
    Partition,
    Place,
    Schema,
)
from mlconsole.domain.times import to_us
from mlconsole.errors import AmbiguousName, NotFound

SELECT_DATASET = "SELECT n FROM dataset WHERE digest = :digest"
INSERT_DATASET = """
INSERT INTO dataset (digest, files, size_bytes, columns, row_count, note)
VALUES (:digest, :files, :size_bytes, :columns, :rows, :note)
"""
SELECT_WITH_FILE = """
SELECT DISTINCT dataset.digest
FROM dataset_entry
JOIN dataset_part ON dataset_part.partition = dataset_entry.partition
JOIN dataset ON dataset.n = dataset_part.dataset
WHERE dataset_entry.digest = :digest AND dataset_entry.kind = 'file'
"""
SELECT_PARTITION = "SELECT n FROM dataset_partition WHERE digest = :digest"
INSERT_PARTITION = "INSERT INTO dataset_partition (digest) VALUES (:digest)"
INSERT_ENTRY = """
INSERT INTO dataset_entry (partition, path, kind, is_executable, size_bytes, digest) VALUES (?, ?, ?, ?, ?, ?)
"""
INSERT_PART = "INSERT INTO dataset_part (dataset, folder, partition) VALUES (:dataset, :folder, :partition)"
PUT_PLACE = """
INSERT INTO dataset_place (dataset, source, is_pattern, host, at_us)
VALUES (:dataset, :source, :is_pattern, :host, :at_us)
ON CONFLICT DO UPDATE SET at_us = excluded.at_us
"""
SELECT_VERSION = "SELECT version FROM dataset_version WHERE name = :name AND dataset = :dataset"
INSERT_VERSION = """
INSERT INTO dataset_version (name, version, dataset, added_us, added_by)
VALUES (:name, (SELECT coalesce(max(version), 0) + 1 FROM dataset_version WHERE name = :name), :dataset, :at_us, :by)
RETURNING version
"""
COLUMNS = """
SELECT version.n, dataset.digest, version.name, version.version, dataset.files, dataset.size_bytes, dataset.columns,
       dataset.row_count, dataset.note, version.added_us, version.added_by
FROM dataset_version AS version
JOIN dataset ON dataset.n = version.dataset
"""
SELECT_ALL = f"""{COLUMNS}
WHERE version.version = (SELECT max(version) FROM dataset_version WHERE name = version.name)
ORDER BY version.name
"""
SELECT_NAMED = f"{COLUMNS} WHERE version.name = :name ORDER BY version.version DESC LIMIT :limit"
SELECT_NUMBERED = f"{COLUMNS} WHERE version.name = :name AND version.version = :version"
SELECT_PREFIX = f"""{COLUMNS}
WHERE dataset.digest >= :word AND dataset.digest < :after
ORDER BY dataset.n, version.n
LIMIT 20
"""
SELECT_PLACES = """
SELECT place.source, place.is_pattern, place.host, place.at_us
FROM dataset_version AS version
JOIN dataset_place AS place ON place.dataset = version.dataset
WHERE version.n = :n
ORDER BY place.at_us DESC
"""
SELECT_ENTRIES = """
SELECT part.folder, entry.path, entry.kind, entry.is_executable, entry.size_bytes, entry.digest
FROM dataset_version AS version
JOIN dataset_part AS part ON part.dataset = version.dataset
JOIN dataset_entry AS entry ON entry.partition = part.partition
WHERE version.n = :n
ORDER BY part.folder, entry.path
"""
SELECT_KNOWN = """
SELECT wanted.key, known.digest
FROM json_each(:keys) AS wanted
CROSS JOIN file_digest AS known ON known.dev = wanted.value ->> 0 AND known.ino = wanted.value ->> 1
WHERE known.size = wanted.value ->> 2 AND known.mtime_ns = wanted.value ->> 3 AND known.ctime_ns = wanted.value ->> 4
"""
PUT_KNOWN = """
INSERT INTO file_digest (dev, ino, size, mtime_ns, ctime_ns, digest) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE
SET size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, digest = excluded.digest
"""
AT_ONCE = 2000
FEWEST_DIGITS = 4
DIGEST_CHARACTERS = frozenset("0123456789abcdef")


class NewDataset(NamedTuple):
    """What is about to be kept under a name."""

    name: str
    manifest: Manifest
    schema: Schema
    source: str
    is_pattern: bool
    host: str
    by: str
    at: datetime


def put_dataset(db: sqlite3.Connection, new: NewDataset) -> tuple[int, bool]:
    """Keep content under a name; returns its version there and whether it is a new one. For a write transaction."""
    row = db.execute(SELECT_DATASET, {"digest": new.manifest.digest}).fetchone()
    number = int(row[0]) if row else _insert(db, new)
    at = to_us(new.at)
    place = {"dataset": number, "source": os.fsencode(new.source), "is_pattern": int(new.is_pattern)}
    db.execute(PUT_PLACE, {**place, "host": storable(new.host), "at_us": at})
    named = {"name": storable(new.name), "dataset": number}
    found = db.execute(SELECT_VERSION, named).fetchone()
    if found:
        return int(found[0]), False
    version = int(db.execute(INSERT_VERSION, {**named, "at_us": at, "by": storable(new.by)}).fetchone()[0])
    label, manifest = f"{new.name}@{version}", new.manifest
    told = {"dataset": new.name, "version": version, "label": label, "digest": manifest.digest, "path": new.source}
    told |= {"files": manifest.files, "rows": new.schema.rows, "user": new.by}
    emit(db, "dataset.added", f"dataset:{label}", told, new.at)
    return version, True


def _insert(db: sqlite3.Connection, new: NewDataset) -> int:
    manifest, schema = new.manifest, new.schema
    columns = None if schema.columns is None else json.dumps([list(column) for column in schema.columns])
    counts = {"digest": manifest.digest, "files": manifest.files, "size_bytes": manifest.size_bytes}
    described = {"columns": columns, "rows": schema.rows, "note": schema.note}
    number = db.execute(INSERT_DATASET, {**counts, **described}).lastrowid
    assert number is not None
    for part in manifest.partitions:
        row = {"dataset": number, "folder": os.fsencode(part.folder), "partition": _partition(db, part)}
        db.execute(INSERT_PART, row)
    return number


def _partition(db: sqlite3.Connection, part: Partition) -> int:
    digest = {"digest": bytes.fromhex(part.digest)}
    row = db.execute(SELECT_PARTITION, digest).fetchone()
    if row:
        return int(row[0])
    number = db.execute(INSERT_PARTITION, digest).lastrowid
    assert number is not None
    rows = (
        (number, os.fsencode(e.path), e.kind.value, int(e.is_executable), e.size_bytes, bytes.fromhex(e.digest))
        for e in part.entries
    )
    db.executemany(INSERT_ENTRY, rows)
    return number


def keep_digests(db: sqlite3.Connection, learned: Mapping[FileKey, str]) -> None:
    """Remember digests of files, for the next time that they are asked for untouched."""
    db.executemany(PUT_KNOWN, ((*_signed(key), bytes.fromhex(digest)) for key, digest in learned.items()))


def _signed(key: FileKey) -> tuple[int, ...]:
    """The key with device and inode numbers of 64 bits as SQLite's signed integers."""
    return tuple((value + (1 << 63)) % (1 << 64) - (1 << 63) for value in key)


class Datasets:
    """The datasets of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[DatasetVersion]:
        """The newest version of every name."""
        return [_version(row) for row in self._store.read(SELECT_ALL)]

    def with_file(self, digest: str) -> list[str]:
        """The ids of all versions that hold a file with these bytes; the digest in hexadecimal digits."""
        return [str(row[0]) for row in self._store.read(SELECT_WITH_FILE, {"digest": bytes.fromhex(digest)})]

    def versions(self, name: str) -> list[DatasetVersion]:
        """All versions of a name, the newest first; empty where there is none."""
        return [_version(row) for row in self._store.read(SELECT_NAMED, {"name": storable(name), "limit": -1})]

    def get(self, word: str) -> DatasetVersion:
        """The version that a word names: ``NAME`` (the newest), ``NAME@VERSION``, or the start of an id.

        Raises:
            NotFound: none answers to it.
            AmbiguousName: the start of an id fits several.
        """
        rows = self._store.read(SELECT_NAMED, {"name": storable(word), "limit": 1})
        name, at, version = word.rpartition("@")
        if not rows and at and version.isdecimal() and version.isascii() and len(version) < 18:
            rows = self._store.read(SELECT_NUMBERED, {"name": storable(name), "version": int(version)})
        digits = word.removeprefix("blake3:")
        if not rows and len(digits) >= FEWEST_DIGITS and set(digits) <= DIGEST_CHARACTERS:
            rows = self._store.read(SELECT_PREFIX, {"word": f"blake3:{digits}", "after": f"blake3:{digits}g"})
        if not rows:
            raise NotFound(f'No dataset "{word}" in this catalog.', "List them: mlconsole dataset list")
        if len({row[1] for row in rows}) > 1:
            raise AmbiguousName(f'"{word}" fits several datasets.', "Give more of the id.")
        return _version(rows[0], self._places(rows[0][0]))

    def _places(self, number: int) -> tuple[Place, ...]:
        return tuple(
            Place(os.fsdecode(source), bool(is_pattern), str(host), moment(at) or EPOCH)
            for source, is_pattern, host, at in self._store.read(SELECT_PLACES, {"n": number})
        )

    def entries(self, version: DatasetVersion) -> list[Entry]:
        """The manifest of a version, in order of folders and names."""
        return [_entry(row) for row in self._store.read(SELECT_ENTRIES, {"n": version.number})]

    def known(self, keys: Iterable[FileKey]) -> dict[FileKey, str]:
        """The digests of those files that were read before and not touched since."""
        wanted = list(keys)
        found: dict[FileKey, str] = {}
        for start in range(0, len(wanted), AT_ONCE):
            piece = wanted[start : start + AT_ONCE]
            found |= self._known(piece)
        return found

    def _known(self, keys: Sequence[FileKey]) -> dict[FileKey, str]:
        rows = self._store.read(SELECT_KNOWN, {"keys": json.dumps([_signed(key) for key in keys])})
        return {keys[int(place)]: digest.hex() for place, digest in rows}


def _entry(row: Row) -> Entry:
    folder, path, kind, is_executable, size, digest = row
    whole = os.fsdecode(folder + b"/" + path if folder else path)
    return Entry(whole, EntryKind(kind), bool(is_executable), size, digest.hex())


def _version(row: Row, places: tuple[Place, ...] = ()) -> DatasetVersion:
    number, digest, name, version, files, size, columns, rows, note, added, by = row
    listed = None if columns is None else tuple(Column(str(one[0]), str(one[1])) for one in json.loads(columns))
    schema = Schema(listed, rows, str(note))
    added_at = moment(added) or EPOCH
    return DatasetVersion(number, str(digest), str(name), version, files, size, schema, added_at, str(by), places)
