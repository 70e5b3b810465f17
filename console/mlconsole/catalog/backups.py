"""Backups of the catalog: making one beside writers, judging a file, and putting one in the catalog's place."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mlconsole.catalog import migrations, opening
from mlconsole.catalog.rows import moment
from mlconsole.catalog.sqlite_errors import Translated
from mlconsole.catalog.store import ANCHOR_NAME
from mlconsole.errors import ActionFailed, CatalogDamaged, NotFound

SELECT_NEWEST = "SELECT created_us FROM run ORDER BY n DESC LIMIT 1"
PROC = Path("/proc")


class Contents(NamedTuple):
    """What a sound catalog file holds."""

    version: int
    runs: int
    newest_at: datetime | None
    size_bytes: int


def make(catalog: Path, target: Path) -> Contents:
    """Write a checked copy of the catalog, whole as of one moment, also while others write.

    The copy gets its name once it is complete, checked and on the disk; it is one plain file.

    Raises:
        ActionFailed: there is something at the target already.
        DiskFull: the disk does not take it; nothing of it is left.
    """
    if target.exists():
        raise ActionFailed(f'"{target}" is there already.', "Choose another name.")
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with Translated(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            opening.copy(catalog, draft)
            with closing(sqlite3.connect(draft)) as copy:
                copy.execute("PRAGMA journal_mode = DELETE")
            contents = judge(draft)
            opening.sync(draft)
            os.rename(draft, target)
            opening.sync(target)
        finally:
            draft.unlink(missing_ok=True)
    return contents


def judge(path: Path) -> Contents:
    """What the file holds, after a full check of its structure.

    Raises:
        NotFound: there is no such file.
        CatalogDamaged: it is not a sound catalog.
        CatalogNewer: a newer mlconsole wrote it.
    """
    if not path.is_file():
        raise NotFound(f'There is no file "{path}".', "Make a backup: mlconsole backup")
    try:
        with Translated(path), closing(opening.connect(path, read_only=True)) as db:
            return _contents(db, path)
    except CatalogDamaged as error:
        raise CatalogDamaged(error.message, "Give a sound file that mlconsole backup made.") from error


def _contents(db: sqlite3.Connection, path: Path) -> Contents:
    version = opening.version_of(db)
    if not version or db.execute("PRAGMA application_id").fetchone()[0] != migrations.APPLICATION_ID:
        raise CatalogDamaged(f'"{path}" is not a catalog.')
    if version > migrations.VERSION:
        raise opening.newer(path, version)
    if (fault := first_fault(db, "integrity_check")) is not None:
        raise CatalogDamaged(f'"{path}" is damaged ({fault}).')
    runs = db.execute("SELECT count(*) FROM run").fetchone()[0]
    newest = db.execute(SELECT_NEWEST).fetchone()
    return Contents(version, runs, moment(newest[0]) if newest else None, path.stat().st_size)


def first_fault(db: sqlite3.Connection, check: str) -> str | None:
    """The first complaint of ``integrity_check`` or the faster ``quick_check``, None when there is none."""
    first = str(db.execute(f"PRAGMA {check}(1)").fetchone()[0])
    return None if first == "ok" else first.splitlines()[-1]


def put_in_place(catalog: Path, source: Path, now: datetime) -> Path | None:
    """Put a judged file in the catalog's place; what was there is set aside, never deleted.

    The name changes hands in one step: there is a whole catalog at every moment.

    Args:
        catalog: the catalog's file; may be damaged or missing.
        source: the file to copy from.
        now: goes into the name of what is set aside.

    Returns:
        Where the catalog that was there is now, None when there was none.

    Raises:
        ActionFailed: another process has the catalog open.
    """
    draft = catalog.with_name("catalog-being-restored.db")
    stamp = now.strftime("%Y%m%dT%H%M%S.%fZ")
    aside = catalog.with_name(f"catalog-set-aside-{stamp}.db") if catalog.exists() else None
    with Translated(catalog):
        catalog.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(catalog.with_name("migrate.lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            draft.unlink(missing_ok=True)
            opening.copy(source, draft)
            _refuse_others(catalog)
            with closing(_taken_alone(catalog)):
                _rename_if_there(catalog.with_name(ANCHOR_NAME), f"{ANCHOR_NAME}-set-aside-{stamp}")
                if aside is not None:
                    for ending in ("-wal", "-shm"):
                        _rename_if_there(Path(f"{catalog}{ending}"), f"{aside.name}{ending}")
                    os.link(catalog, aside)
                os.replace(draft, catalog)
                catalog.with_name(ANCHOR_NAME).touch()
        opening.sync(catalog)
    return aside


def _refuse_others(catalog: Path) -> None:
    """An SQLite connection to the old file would, when it closes, delete the new file's write-ahead log."""
    if others := holders(catalog):
        names = ", ".join(f"{pid} ({name})" for pid, name in others[:4])
        raise ActionFailed(f'The catalog "{catalog}" is open in process {names}.', "End it and try again.")


def _taken_alone(catalog: Path) -> sqlite3.Connection:
    """A connection that keeps every other one out of a sound catalog; one to nothing where it is damaged or missing."""
    if opening.is_missing(catalog):
        return sqlite3.connect(":memory:")
    connection = sqlite3.connect(catalog, timeout=opening.BUSY_MS / 1000, isolation_level=None)
    try:
        # Only a connection that is alone gets this; the write-ahead log is folded in and gone after it.
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise ActionFailed(
            f'The catalog "{catalog}" is in use ({error}).', "End what uses it, then try again."
        ) from error
    except sqlite3.DatabaseError:
        # Damaged: that is why it is to be replaced.
        return connection
    return connection


def _rename_if_there(path: Path, name: str) -> None:
    try:
        os.rename(path, path.with_name(name))
    except FileNotFoundError:
        return


def holders(path: Path, proc: Path = PROC) -> list[tuple[int, str]]:
    """Number and name of each other process that has the file open, as far as this user may see."""
    wanted = os.path.realpath(path)
    found = []
    for entry in os.listdir(proc):
        if entry.isdecimal() and int(entry) != os.getpid() and _has_open(proc / entry / "fd", wanted):
            found.append((int(entry), _name_of(proc / entry)))
    return found


def _has_open(folder: Path, wanted: str) -> bool:
    try:
        return any(os.readlink(folder / name) == wanted for name in os.listdir(folder))
    except OSError:
        return False


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "?"
