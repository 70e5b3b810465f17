"""A catalog is made once and brought up to date once, whoever else wants to at the same moment."""

from __future__ import annotations

import resource
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from catalogkit import MadeRun, put_runs
from catalogworkers import answers, start
from mlconsole.catalog import Catalog, migrations
from mlconsole.errors import DiskFull


def open_together(home: Path, versions: list[int]) -> list[object]:
    """Let programs of these versions open the catalog at the same moment; what each says."""
    moment = time.time() + 1.5
    workers = [start("open_at", home, moment, version) for version in versions]
    return [said for worker in workers for said in answers(worker)]


def steps_done(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "catalog.db")) as db:
        return [row[0] for row in db.execute("SELECT name FROM _sqlite_migrations ORDER BY 1")]


def add_table(db: Any) -> None:
    db.conn.execute("CREATE TABLE added (x INTEGER) STRICT")


def fail_half_way(db: Any) -> None:
    db.conn.execute("CREATE TABLE half (x INTEGER) STRICT")
    raise RuntimeError("power cut")


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """This program one version on."""
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, add_table))
    monkeypatch.setattr(migrations, "VERSION", migrations.VERSION + 1)


def test_twelve_first_time_processes_at_once_make_one_catalog(tmp_path: Path) -> None:
    version = migrations.VERSION
    assert open_together(tmp_path / "home", [version] * 12) == ["written"] * 12
    assert len(steps_done(tmp_path / "home")) == version
    with closing(Catalog(tmp_path / "home")) as catalog:
        assert catalog.store.read("SELECT count(*) FROM key WHERE name LIKE 'process %'") == [(12,)]


@pytest.mark.parametrize("limit", [5_000, 20_000, 60_000, 150_000])
def test_a_catalog_that_found_no_space_while_it_was_made_is_made_once_there_is_some(tmp_path: Path, limit: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DiskFull):
            Catalog(tmp_path / "home")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with closing(Catalog(tmp_path / "home")) as catalog:
        assert catalog.runs.counts() == {}


def test_two_versions_at_once_end_with_the_newer_and_the_older_says_so(tmp_path: Path) -> None:
    version = migrations.VERSION
    said = open_together(tmp_path / "home", [version - 1, version] * 3)
    assert set(said) <= {"written", "catalog_newer"}
    assert said[1::2] == ["written"] * 3
    assert len(steps_done(tmp_path / "home")) == version


def test_a_backup_stands_beside_a_catalog_that_was_migrated(catalog: Catalog, newer: None) -> None:
    put_runs(catalog, [MadeRun("aaa")])
    catalog.close()
    with closing(Catalog(catalog.home)) as migrated:
        assert migrated.store.read("SELECT count(*) FROM added") == [(0,)]
        assert migrated.runs.counts() == {"succeeded": 1}
    with closing(sqlite3.connect(catalog.home / f"catalog-before-v{migrations.VERSION}.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA user_version").fetchone() == (migrations.VERSION - 1,)
        assert db.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_an_earlier_backup_is_not_overwritten(catalog: Catalog, newer: None) -> None:
    catalog.close()
    first = catalog.home / f"catalog-before-v{migrations.VERSION}.db"
    first.write_text("precious")
    Catalog(catalog.home).close()
    assert first.read_text() == "precious"
    assert len(list(catalog.home.glob("catalog-before-*.db"))) == 2


def test_a_migration_that_fails_half_way_leaves_the_catalog_as_it_was(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_runs(catalog, [MadeRun("aaa")])
    catalog.close()
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, fail_half_way))
        patched.setattr(migrations, "VERSION", migrations.VERSION + 1)
        with pytest.raises(RuntimeError, match="power cut"):
            Catalog(catalog.home)
    with closing(Catalog(catalog.home)) as again:
        assert again.runs.counts() == {"succeeded": 1}
        assert again.store.read("SELECT count(*) FROM sqlite_master WHERE name = 'half'") == [(0,)]


def test_windows_that_were_judged_keep_the_baseline_that_monitors_had(tmp_path: Path) -> None:
    before = migrations.MIGRATIONS.index(migrations._baselines)
    assert open_together(tmp_path / "home", [before]) == ["written"]
    with closing(sqlite3.connect(tmp_path / "home" / "catalog.db")) as db, db:
        db.execute(
            "INSERT INTO monitor VALUES (7, 'churn', 'train.csv', 50, 'blake3:x', x'01', '*.csv', 'rows:9', '{}', "
            "60000000, 5, 'ann', '{}', NULL, '')"
        )
        db.execute(
            "INSERT INTO monitor_window VALUES (1, 7, 'rows 0', 'rows 1 to 9', 1, 2, 3, 9, 'ok', 0, '', '', NULL, 0.0, "
            "x'02', x'03')"
        )
    with closing(Catalog(tmp_path / "home")) as catalog:
        monitor = catalog.monitors.get("churn")
        first = monitor.baseline
        assert (first.source, first.rows, first.digest, first.set_by) == ("train.csv", 50, "blake3:x", "ann")
        assert [window.baseline for window in catalog.monitors.state(monitor).windows] == [first.number]
        assert catalog.store.read("PRAGMA foreign_key_check") == []


def test_every_table_is_strict_and_every_foreign_key_holds(catalog: Catalog) -> None:
    loose = catalog.store.read(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict AND type = 'table'"
    )
    assert [name for (name,) in loose if not name.startswith(("sqlite_", "_sqlite_"))] == []
    assert catalog.store.read("PRAGMA foreign_keys") == [(1,)]


def test_a_run_leaves_nothing_behind_when_it_is_deleted(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa", params={"p": 1}, metrics={"m": [1.0]}, tags={"t": ""})])
    catalog.write(lambda db: db.execute("DELETE FROM run"))
    for table in ("param", "metric", "tag", "chunk", "change", "detail", "writer", "artifact", "damage"):
        assert catalog.store.read(f"SELECT count(*) FROM {table}") == [(0,)], table
