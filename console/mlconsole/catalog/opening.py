"""Opening the catalog's file: making it, bringing it up to date, and refusing what is not ours to use."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from mlconsole.catalog import migrations, reserve
from mlconsole.catalog.sqlite_errors import damaged
from mlconsole.catalog.wal import Checkpoints
from mlconsole.errors import CatalogDamaged, CatalogNewer, NotFound

BUSY_MS = 1_000
MIGRATION_BUSY_MS = 30_000
CACHE_KIB = 3_072
RESCAN_NAME = "rescan"
OWN_TABLES = "SELECT count(*) FROM sqlite_master WHERE tbl_name NOT LIKE '\\_sqlite\\_migrations%' ESCAPE '\\'"


def connect(path: Path, *, read_only: bool = False, immutable: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, set up as the catalog wants it."""
    mode = "ro" if read_only else "rw"
    uri = f"file:{_quoted(path)}?mode={mode}" + ("&immutable=1" if immutable else "")
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        Checkpoints(path).configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def may_write(path: Path) -> bool:
    """True when this user may write the file and its folder, or may try to make them."""
    if not path.exists():
        return True
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def version_of(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_foreign(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Raise when the file is no catalog of ours, or a newer one that is about to be written.

    Raises:
        CatalogDamaged: it is some other SQLite file.
        CatalogNewer: a newer mlconsole wrote it; reading alone is still allowed.
    """
    _refuse_other_program(connection, path)
    version = version_of(connection)
    if version > migrations.VERSION and not read_only:
        raise newer(path, version)


def _refuse_other_program(connection: sqlite3.Connection, path: Path) -> None:
    is_ours = connection.execute("PRAGMA application_id").fetchone()[0] == migrations.APPLICATION_ID
    if version_of(connection) and not is_ours:
        raise damaged(path, "it is an SQLite file of another program")


def refuse_tables_of_others(connection: sqlite3.Connection, path: Path) -> None:
    """Raise when the file has seen none of our migrations and has tables all the same.

    Raises:
        CatalogDamaged: it is some other SQLite file.
    """
    if version_of(connection) == 0 and connection.execute(OWN_TABLES).fetchone()[0]:
        raise damaged(path, "it is an SQLite file of another program")


def newer(path: Path, version: int) -> CatalogNewer:
    """The error for a catalog that is ahead of this program."""
    known = migrations.VERSION
    return CatalogNewer(
        f'The catalog "{path}" was written by a newer mlconsole (version {version}, this one knows {known}).',
        "Update mlconsole, or look without changing: --read-only",
    )


def is_missing(path: Path) -> bool:
    """True when there is no file, or an empty one, which SQLite would take for a new database."""
    try:
        return os.stat(path).st_size == 0
    except FileNotFoundError:
        return True


def refuse_missing(path: Path) -> None:
    """Raise when there is no catalog to read."""
    if is_missing(path):
        raise NotFound(f'There is no catalog at "{path.parent}".', "Make one: mlconsole launch -- CMD")


def prepare(path: Path, anchor: Path, *, wal: bool = True) -> None:
    """Make the catalog or bring it up to date, one process at a time; the others wait.

    Args:
        path: the catalog's file.
        anchor: a file that is there since the catalog was first made; it tells a lost catalog from a new one.
        wal: use a write-ahead log.

    Raises:
        CatalogDamaged: the catalog is gone or empty where there was one; it is never made anew silently.
    """
    os.makedirs(path.parent, mode=0o700, exist_ok=True)
    with open(path.with_name("migrate.lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_missing(path):
            _refuse_lost(path, anchor)
            if has_entries(path.with_name("runs")):
                # The logs of a catalog that was lost: whoever ingests first reads them all.
                path.with_name(RESCAN_NAME).touch()
            _migrate(path, wal)
        elif (version := _version_to_migrate(path)) < migrations.VERSION:
            if version:
                copy(path, _free_name(path.with_name(f"catalog-before-v{migrations.VERSION}.db")))
            _migrate(path, wal)
        anchor.touch()
        reserve.hold(path)


def has_entries(folder: Path) -> bool:
    """True when the folder is there and not empty."""
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def _refuse_lost(path: Path, anchor: Path) -> None:
    if anchor.exists():
        raise CatalogDamaged(
            f'The catalog "{path}" is gone or empty, though there was one here.',
            f'Bring one back: mlconsole restore FILE, or remove "{anchor}" to begin anew.',
        )


def _version_to_migrate(path: Path) -> int:
    connection = sqlite3.connect(path, timeout=MIGRATION_BUSY_MS / 1000)
    try:
        refuse_tables_of_others(connection, path)
        _refuse_other_program(connection, path)
        return version_of(connection)
    finally:
        connection.close()


def _migrate(path: Path, wal: bool) -> None:
    from sqlite_utils import Database  # 90 ms, needed only when there is something to migrate

    connection = sqlite3.connect(path, timeout=MIGRATION_BUSY_MS / 1000, isolation_level=None)
    try:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        Checkpoints(path).configure(connection)
        migrations.apply(Database(connection, execute_plugins=False))
    finally:
        connection.close()


def copy(source: Path, target: Path) -> None:
    """A consistent copy by SQLite's backup API, also while others write; on the disk when this returns."""
    before = sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True, timeout=MIGRATION_BUSY_MS / 1000)
    after = sqlite3.connect(target)
    try:
        before.backup(after)
    finally:
        after.close()
        before.close()
    sync(target)


def sync(path: Path) -> None:
    """Put a file and its name on the disk."""
    for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(place, flags | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _free_name(path: Path) -> Path:
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}-{number}")
    return candidate


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
