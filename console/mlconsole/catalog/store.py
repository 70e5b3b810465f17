"""The catalog's file as this process uses it: reading, and writing in one kind of transaction."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mlconsole.catalog import migrations, opening, reserve, sharing
from mlconsole.catalog.places import MOUNTS, refuse_network_file_system
from mlconsole.catalog.sqlite_errors import Translated, is_no_space
from mlconsole.catalog.wal import Checkpoints
from mlconsole.errors import CatalogBusy, CatalogError, CatalogReadOnly, DiskFull

T = TypeVar("T")
Row = tuple[Any, ...]
Values = dict[str, object]
GIVE_UP_S = 60.0
ANCHOR_NAME = "audit-heads"


class Store:
    """One catalog file, opened by this process; a connection for each thread.

    Args:
        path: the SQLite file.
        read_only: never write, not even new run-log bytes. Without the right to write, a store is read-only anyway.
        on_network: use it on a network file system all the same: with a rollback journal, and exclusively.
        mounts: the mount table.

    Attributes:
        read_only: whether nothing is written.
        is_held: a change waits because another process has been writing for a second or more.

    Raises:
        NotFound: read-only, and there is no catalog.
        CatalogNewer: written by a newer mlconsole (a read-only store still opens it).
        CatalogUnsafePlace: the file is on a network file system.
        CatalogDamaged: it is no sound catalog, or was lost.
    """

    def __init__(self, path: Path, *, read_only: bool = False, on_network: bool = False, mounts: Path = MOUNTS) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path)
        self._on_network = on_network
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._owners: dict[sqlite3.Connection, threading.Thread] = {}
        self.is_held = False
        self._guard = threading.RLock()
        self._is_immutable = False
        self.identity = (0, 0)
        if not on_network:
            refuse_network_file_system(path.parent, mounts)
        with Translated(path):
            self.read_only = read_only or not opening.may_write(path)
            if self.read_only:
                opening.refuse_missing(path)
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    def _open(self) -> None:
        """Open this thread's connection, to a catalog that is made or migrated before where needed."""
        anchor = self.path.with_name(ANCHOR_NAME)
        if not self.read_only and opening.is_missing(self.path):
            opening.prepare(self.path, anchor, wal=not self._on_network)
        self.identity = self._identity()
        if not self.read_only and self._is_older():
            self._forget()
            opening.prepare(self.path, anchor, wal=not self._on_network)
        opening.refuse_foreign(self.connection(), self.path, read_only=self.read_only)
        if not self.read_only:
            reserve.hold(self.path)
            sharing.share(self.path.parent)
        # What was opened is what the name meant before and after.
        self.check_identity()

    def _is_older(self) -> bool:
        return opening.version_of(self.connection()) < migrations.VERSION

    def _identity(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_dev, found.st_ino

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        return self._new_connection(self._connect) if found is None else found

    def _new_connection(self, connect: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
        with self._guard:
            if self._on_network and self._all:
                return self._all[0]
            found = connect()
            self._close_those_of_ended_threads()
            self._local.connection = found
            self._all.append(found)
            self._owners[found] = threading.current_thread()
        return found

    def _close_those_of_ended_threads(self) -> None:
        """A screen asks from many threads in a day; their files and caches must not outlive them."""
        for connection in [c for c in self._all if (owner := self._owners.get(c)) and not owner.is_alive()]:
            self._all.remove(connection)
            del self._owners[connection]
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._connect_as_meant()
        except sqlite3.OperationalError as error:
            # A catalog at rest has no -wal, and SQLite can make none in a folder that is full or not ours to write.
            if self.checkpoints.wal_bytes() or not (self.read_only or is_no_space(error)):
                raise
            self._is_immutable = True
            return opening.connect(self.path, read_only=True, immutable=True)

    def _connect_as_meant(self) -> sqlite3.Connection:
        # Sets the cache's size, for which SQLite reads the file: an error comes here if there is to be one.
        connection = opening.connect(self.path, read_only=self.read_only)
        try:
            if self._on_network:
                _use_alone(connection)
            elif not self.read_only and connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def read(self, sql: str, values: Values | None = None) -> list[Row]:
        """All rows of one statement; it holds no transaction open afterwards.

        Raises:
            CatalogError: the file was removed or replaced while open, is damaged, or stayed locked.
            SearchStopped: it was interrupted.
        """
        with Translated(self.path):
            self.check_identity()
            if self._is_immutable:
                self._forget()
            connection = self.connection()
            try:
                return connection.execute(sql, values or {}).fetchall()
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
            connection.text_factory = _tolerant
            try:
                return connection.execute(sql, values or {}).fetchall()
            finally:
                connection.text_factory = str

    def changes_by_others(self) -> int:
        """A number that differs once another connection has changed the file since this thread last asked."""
        return int(self.read("PRAGMA data_version")[0][0])

    def let_go_of_memory(self) -> None:
        """Free what this thread's connection has cached, after a look at every run."""
        self.read("PRAGMA shrink_memory")

    def check_identity(self) -> None:
        """Raise when the path no longer names the file that we opened."""
        try:
            same = self._identity() == self.identity
        except FileNotFoundError:
            same = False
        if not same:
            raise CatalogError(
                f'The catalog "{self.path}" was removed or replaced while it was open.',
                "Start again to use what is there now.",
            )

    def write(self, change: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Run ``change`` in one immediate transaction and commit it; retried as a whole while the catalog is busy.

        Args:
            change: gets the connection; must have no effect outside it.
            durable: the commit is on the disk when this returns (intents, audit).

        Raises:
            CatalogBusy: the lock was held by others for a minute.
            CatalogNewer: another process brought the catalog to a newer version meanwhile.
            DiskFull: no space, even after the reserve was given up for a durable change.
        """
        if self.read_only:
            raise CatalogReadOnly(
                f'The catalog "{self.path}" can only be read.',
                "Start without --read-only, as a user with the right to write it.",
            )
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            try:
                with Translated(self.path):
                    result = self._transaction(change, durable)
                    self.checkpoints.run_if_due(self.connection())
                self.is_held = False
                return result
            except CatalogBusy:
                self.is_held = True
                if time.monotonic() > deadline:
                    raise
            except DiskFull:
                if not durable or not reserve.give_up(self.path):
                    raise

    def _transaction(self, change: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        with self._guard if self._on_network else _NOTHING:
            connection = self._connection_to_write()
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.check_identity()
            connection.execute("BEGIN IMMEDIATE")
            try:
                opening.refuse_foreign(connection, self.path, read_only=False)
                result = change(connection)
                # Not into a file that lost its name while we waited or worked.
                self.check_identity()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return result

    def _connection_to_write(self) -> sqlite3.Connection:
        """This thread's connection; one that only reads, because the disk was full, is made anew."""
        if not self._is_immutable:
            return self.connection()
        self._forget()
        return self._new_connection(self._connect_as_meant)

    def checkpoint(self) -> bool:
        """Fold the write-ahead log into the file; False when another process is at it or a reader holds it."""
        with Translated(self.path):
            return self.checkpoints.run(self.connection())

    def _forget(self) -> None:
        """Close this thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            return
        with self._guard:
            self._all.remove(found)
            self._owners.pop(found, None)
        self._local.connection = None
        found.close()

    def close(self) -> None:
        """Close every connection; that of another living thread goes once it is not in use, or SQLite would crash."""
        me = threading.current_thread()
        with self._guard:
            for connection in self._all:
                owner = self._owners.get(connection)
                if owner is None or owner is me or not owner.is_alive():
                    connection.close()
            self._all.clear()
            self._owners.clear()
        self._local = threading.local()


class _Nothing:
    """A block without an effect."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *raised: object) -> None:
        return None


_NOTHING = _Nothing()


def _use_alone(connection: sqlite3.Connection) -> None:
    """For file systems whose locks cannot be trusted: nobody else at all, and no shared memory."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")


def _tolerant(data: bytes) -> str:
    """Text of a row that holds invalid UTF-8: the bad bytes stay visible, and the row stays in its list."""
    return data.decode("utf-8", "backslashreplace")


def storable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, written out as ``\\udcff``."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text
