"""The GPUs' past, in a small database of its own beside the catalog, bounded in time and size.

It can be lost without losing a run: nothing in the catalog refers to it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlconsole.catalog.places import refuse_network_file_system
from mlconsole.catalog.sqlite_errors import Translated, damaged
from mlconsole.domain.gpu import Source
from mlconsole.domain.gpu_history import KEPT_FIGURES, WIDTHS_S, Bucket, PastGpu, PastPoint, Stat
from mlconsole.errors import CatalogError, CatalogNewer, CatalogReadOnly

FILE_NAME, LOCK_NAME = "gpu.db", "gpu.lock"
APPLICATION_ID = 0x6D6C6770
VERSION = 2
#: How long buckets of each width are kept.
KEPT_S = {10: 86_400, 300: 30 * 86_400, 3600: 730 * 86_400}
MOST_BYTES = 128 << 20
BUSY_S = 2.0

SCHEMA = """
CREATE TABLE gpus (
  id INTEGER PRIMARY KEY,
  host TEXT NOT NULL,
  uuid TEXT NOT NULL,
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  UNIQUE (uuid, host, source)
) STRICT;
CREATE TABLE buckets (
  width_s INTEGER NOT NULL,
  gpu INTEGER NOT NULL REFERENCES gpus (id),
  start_s INTEGER NOT NULL,
  energy_j REAL,
  {columns},
  PRIMARY KEY (width_s, gpu, start_s)
) STRICT, WITHOUT ROWID;
"""
FAR = """
CREATE TABLE far (
  backend TEXT NOT NULL,
  host TEXT NOT NULL,
  seen_s REAL NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (backend, host)
) STRICT, WITHOUT ROWID
"""
PUT_FAR = """
INSERT INTO far (backend, host, seen_s, document)
VALUES (:backend, :host, :seen_s, :document)
ON CONFLICT (backend, host) DO UPDATE SET seen_s = excluded.seen_s, document = excluded.document
WHERE excluded.seen_s > far.seen_s
"""
FAR_HOSTS = """
SELECT backend, host, seen_s, document
FROM far
ORDER BY backend, host
"""
_PARTS = ("count", "total", "least", "most")
_COLUMNS = tuple(f"{figure}_{part}" for figure in KEPT_FIGURES for part in _PARTS)

PUT_GPU = """
INSERT INTO gpus (host, uuid, name, source)
VALUES (:host, :uuid, :name, :source)
ON CONFLICT (uuid, host, source) DO UPDATE SET name = excluded.name
RETURNING id
"""
GPUS = """
SELECT host, uuid, name, source
FROM gpus
ORDER BY host, uuid
"""
POINTS = """
SELECT start_s, {figure}_count, {figure}_total, {figure}_least, {figure}_most
FROM buckets
WHERE width_s = :width_s
  AND gpu IN (SELECT id FROM gpus WHERE uuid = :uuid AND source = :source)
  AND start_s >= :since_s
  AND start_s < :until_s
  AND {figure}_count > 0
ORDER BY start_s
"""
ENERGY = """
SELECT sum(energy_j)
FROM buckets
WHERE width_s = :width_s
  AND gpu IN (SELECT id FROM gpus WHERE uuid = :uuid AND source = :source)
  AND start_s >= :since_s
  AND start_s < :until_s
"""
LEAST_POWER = """
SELECT min(power_w_least)
FROM buckets
WHERE width_s = 300
  AND gpu IN (SELECT id FROM gpus WHERE uuid = :uuid AND source = :source)
  AND start_s >= :since_s
  AND power_w_count > 0
"""
FORGET = """
DELETE FROM buckets
WHERE width_s = :width_s
  AND gpu IN (SELECT id FROM gpus)
  AND start_s < :before_s
"""
OLDEST = """
SELECT min(start_s)
FROM buckets
WHERE width_s = :width_s
"""


class GpuHistory:
    """The database, opened. One process records at a time, from one thread; any number may read.

    Args:
        home: the catalog's folder.
        read_only: never write; without a file everything is empty.
        most_bytes: the oldest buckets go when the file has grown to this.
        lock: the file that says which process records; those of other hosts' GPUs have one of their own.

    Raises:
        CatalogDamaged: the file is no database of ours.
        CatalogNewer: a newer mlconsole wrote it.
    """

    def __init__(
        self, home: Path, *, read_only: bool = False, most_bytes: int = MOST_BYTES, lock: str = LOCK_NAME
    ) -> None:
        self.path = home / FILE_NAME
        self._lock_path = home / lock
        self._read_only, self._most_bytes = read_only, most_bytes
        self._lock: int | None = None
        self._pruned_at_s = 0
        self._version = VERSION
        self._connection: sqlite3.Connection | None = None
        if read_only and not self.path.exists():
            return
        refuse_network_file_system(home)
        with Translated(self.path):
            self._connection = self._open()

    def may_record(self) -> bool:
        """True for one process at a time, from its first call until it ends or closes this."""
        if self._read_only:
            return False
        if self._lock is None:
            try:
                descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                return False  # Another user's, in a catalog that they share: that user records.
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def record(self, buckets: Sequence[Bucket]) -> None:
        """Keep buckets of the narrowest width, and add them to the wider ones, in one transaction.

        Raises:
            CatalogError: it could not be written; then none of them was kept.
        """
        if self._connection is None or self._read_only:
            raise CatalogReadOnly(f'The GPUs\' past "{self.path}" can only be read.')
        if not buckets:
            return
        with Translated(self.path), _transaction(self._connection):
            for bucket in buckets:
                gpu_id = self._gpu_id(bucket.gpu)
                for width_s in WIDTHS_S:
                    start_s = bucket.start_s // width_s * width_s
                    cells = {"width_s": width_s, "gpu": gpu_id, "start_s": start_s, "energy_j": bucket.energy_j}
                    self._connection.execute(ADD, {**cells, **_cells(bucket)})
            self._prune(max(bucket.start_s for bucket in buckets))

    def put_far(self, backend: str, host: str, seen_s: float, document: str) -> None:
        """Keep what was seen last of the GPUs of a host elsewhere; any process may, and what is newer stays.

        Raises:
            CatalogError: it could not be written.
        """
        if self._connection is None or self._read_only:
            raise CatalogReadOnly(f'The GPUs\' past "{self.path}" can only be read.')
        values = {"backend": backend, "host": host, "seen_s": seen_s, "document": document}
        with Translated(self.path), _transaction(self._connection):
            self._connection.execute(PUT_FAR, values)

    def far(self) -> list[tuple[str, str, float, str]]:
        """What was seen last of the GPUs of hosts elsewhere: backend, host, when (seconds since the epoch), what."""
        return self._rows(FAR_HOSTS, {}) if self._version > 1 else []

    def gpus(self) -> list[PastGpu]:
        """Every GPU that has a past."""
        return [PastGpu(host, uuid, name, Source(source)) for host, uuid, name, source in self._rows(GPUS, {})]

    def points(self, gpu: PastGpu, figure: str, since_s: int, until_s: int, width_s: int = 10) -> list[PastPoint]:
        """A figure's buckets of one width from ``since_s`` until before ``until_s``, those without a value left out."""
        if figure not in KEPT_FIGURES:
            raise CatalogError(f'GPUs have no past of "{figure}".', f"Known: {', '.join(KEPT_FIGURES)}.")
        values = {**_of(gpu), "width_s": width_s, "since_s": since_s, "until_s": until_s}
        return [
            PastPoint(start_s, total / count, least, most, count)
            for start_s, count, total, least, most in self._rows(POINTS.format(figure=figure), values)
        ]

    def energy_j(self, gpu: PastGpu, since_s: int, until_s: int, width_s: int = 10) -> float | None:
        """What a GPU used between two times, in buckets of one width; None when that was never known."""
        values = {**_of(gpu), "width_s": width_s, "since_s": since_s, "until_s": until_s}
        rows = self._rows(ENERGY, values)
        return rows[0][0] if rows else None

    def least_power_w(self, gpu: PastGpu, since_s: int) -> float | None:
        """The least that a GPU drew since then: what it draws when it does nothing. None when that is not known."""
        rows = self._rows(LEAST_POWER, {**_of(gpu), "since_s": since_s})
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Close the database and let another process record."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        if not self._read_only:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not self._read_only:
            with _transaction(connection):
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    _make(connection, self.path)
            version = VERSION
        if version > VERSION:
            raise CatalogNewer(f'The GPUs\' past "{self.path}" was written by a newer mlconsole.', "Update mlconsole.")
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise damaged(self.path, "it is an SQLite file of another program")
        if version == 1 and not self._read_only:
            with _transaction(connection):
                if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
                    connection.execute(FAR)
                    connection.execute(f"PRAGMA user_version = {VERSION}")
            version = VERSION
        self._version = version

    def _gpu_id(self, gpu: PastGpu) -> int:
        assert self._connection is not None
        values = {"host": gpu.host, "uuid": gpu.uuid, "name": gpu.name, "source": gpu.source.value}
        found: int = self._connection.execute(PUT_GPU, values).fetchone()[0]
        return found

    def _prune(self, now_s: int) -> None:
        """Once an hour forget what is too old, and more of it when the file has grown too large."""
        assert self._connection is not None
        if abs(now_s - self._pruned_at_s) < 3600:
            return
        self._pruned_at_s = now_s
        is_large = self._used_bytes() > self._most_bytes
        for width_s, kept_s in KEPT_S.items():
            before_s = now_s - kept_s
            if is_large:
                oldest_s = self._connection.execute(OLDEST, {"width_s": width_s}).fetchone()[0]
                before_s = max(before_s, (now_s + (oldest_s or now_s)) // 2)
            self._connection.execute(FORGET, {"width_s": width_s, "before_s": before_s})

    def _used_bytes(self) -> int:
        assert self._connection is not None
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return int((pages - free) * size)

    def _rows(self, sql: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        with Translated(self.path):
            return self._connection.execute(sql, values).fetchall()


def _of(gpu: PastGpu) -> dict[str, object]:
    return {"uuid": gpu.uuid, "source": gpu.source.value}


class _transaction:
    """A write transaction that is rolled back when the block fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _make(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise damaged(path, "it is an SQLite file of another program")
    types = {"count": "INTEGER NOT NULL DEFAULT 0", "total": "REAL", "least": "REAL", "most": "REAL"}
    columns = ", ".join(f"{name} {types[name.rpartition('_')[2]]}" for name in _COLUMNS)
    for statement in SCHEMA.format(columns=columns).split(";"):
        connection.execute(statement)
    connection.execute(FAR)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _cells(bucket: Bucket) -> dict[str, float | None]:
    cells: dict[str, float | None] = {}
    for figure in KEPT_FIGURES:
        stat = bucket.stats.get(figure, Stat())
        cells[f"{figure}_count"] = stat.count
        for part, value in (("total", stat.total), ("least", stat.least), ("most", stat.most)):
            cells[f"{figure}_{part}"] = value if stat.count else None
    return cells


def _adding() -> str:
    """One statement that keeps a bucket or joins it with the one that is there; NULL joins as nothing."""
    joined = {
        "count": "{c} + excluded.{c}",
        "total": "coalesce({c} + excluded.{c}, {c}, excluded.{c})",
        "least": "coalesce(min({c}, excluded.{c}), {c}, excluded.{c})",
        "most": "coalesce(max({c}, excluded.{c}), {c}, excluded.{c})",
    }
    sets = [f"{name} = {joined[name.rpartition('_')[2]].format(c=name)}" for name in _COLUMNS]
    names = ("width_s", "gpu", "start_s", "energy_j", *_COLUMNS)
    return (
        f"INSERT INTO buckets ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)}) "
        "ON CONFLICT (width_s, gpu, start_s) DO UPDATE SET "
        f"energy_j = {joined['total'].format(c='energy_j')}, {', '.join(sets)}"
    )


ADD = _adding()
