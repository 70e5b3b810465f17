"""Facts about a catalog's condition, for ``doctor``: read only, and without trusting that it can be opened."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mlconsole.catalog import migrations, opening, reserve
from mlconsole.catalog.backups import first_fault
from mlconsole.catalog.logs import all_logs, unmarked
from mlconsole.catalog.markers import Liveness, read_markers
from mlconsole.catalog.places import NETWORK_TYPES, mount_of
from mlconsole.catalog.sqlite_errors import Translated
from mlconsole.catalog.store import Store
from mlconsole.catalog.wal import Checkpoints, has_wal_reset_bug

SELECT_DAMAGED = """
SELECT run.id, run.name, count(*)
FROM damage JOIN run ON run.n = damage.run
GROUP BY run.n
ORDER BY run.n DESC
LIMIT 5
"""
COUNT_DAMAGED = "SELECT count(DISTINCT run) FROM damage"
SELECT_FUTURE = "SELECT id FROM run WHERE created_us > :limit_us ORDER BY created_us DESC LIMIT 1"

SELECT_IDS = "SELECT id FROM run"


class Place(NamedTuple):
    """Where a catalog lies: mount point, type of file system, free bytes, and what this user may do there."""

    mount: str
    kind: str
    is_network: bool
    free_bytes: int
    may_write: bool


class Structure(NamedTuple):
    """The file's version, the version this program knows, and the first fault in its structure, if any."""

    version: int
    known_version: int
    fault: str | None


def place_of(catalog: Path) -> Place:
    """The place of a catalog, whether or not it exists yet."""
    folder = catalog.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    point, kind = mount_of(folder) or ("?", "?")
    space = os.statvfs(folder)
    may_write = opening.may_write(catalog) if catalog.exists() else os.access(folder, os.W_OK | os.X_OK)
    return Place(point, kind, kind in NETWORK_TYPES, space.f_bavail * space.f_frsize, may_write)


def structure_of(catalog: Path) -> Structure:
    """The condition of the file itself.

    Raises:
        CatalogError: it cannot be opened, or is no catalog.
    """
    with Translated(catalog), closing(opening.connect(catalog, read_only=True)) as db:
        opening.refuse_foreign(db, catalog, read_only=True)
        opening.refuse_tables_of_others(db, catalog)
        return Structure(opening.version_of(db), migrations.VERSION, first_fault(db, "quick_check"))


def wal_bytes(catalog: Path) -> int:
    """Size of the write-ahead log."""
    return Checkpoints(catalog).wal_bytes()


def has_reserve(catalog: Path) -> bool:
    """Whether the space held back for a full disk is there."""
    return reserve.place_of(catalog).exists()


def damaged_logs(store: Store) -> tuple[int, list[str]]:
    """How many runs have damage in their logs, and the newest of them as ``name (id)``."""
    some = [f"{name} ({run_id})" for run_id, name, _ in store.read(SELECT_DAMAGED)]
    return int(store.read(COUNT_DAMAGED)[0][0]), some


def run_from_the_future(store: Store, limit_us: int) -> str | None:
    """The id of a run that was made after a moment that has not come yet."""
    rows = store.read(SELECT_FUTURE, {"limit_us": limit_us})
    return str(rows[0][0]) if rows else None


def stale_markers(live: Path) -> list[str]:
    """Markers of logs whose writers are gone, which the next command that may write will take in."""
    liveness = Liveness()
    return [f"{marker.run}: {why}" for marker in read_markers(live) if (why := liveness.why_gone(marker))]


def forgotten_logs(store: Store, runs: Path, live: Path) -> list[str]:
    """Runs whose logs hold what neither the catalog has nor a marker announces."""
    logs = all_logs(runs)
    marked = {(marker.run, marker.writer) for marker in read_markers(live)}
    return sorted({marker.run for marker in unmarked(store, logs, marked)})


def ownerless(store: Store, runs: Path) -> list[Path]:
    """Folders of runs that no run is known of, and in which no log lies that tells of one."""
    known = {str(run_id) for (run_id,) in store.read(SELECT_IDS)} | {log.run for log in all_logs(runs)}
    return sorted(each for each in runs.glob("*/") if each.name not in known)


def sqlite_facts() -> tuple[str, str, bool]:
    """SQLite's version, the module that brings it, and whether it has the WAL-reset bug."""
    return sqlite3.sqlite_version, str(getattr(sqlite3, "__file__", "built in")), has_wal_reset_bug()
