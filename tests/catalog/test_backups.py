"""A backup is whole whatever is going on beside it, and putting one back loses nothing that was there."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from catalogkit import NOW, MadeRun, WrittenLog, put_runs
from catalogworkers import answers, start
from mlconsole.catalog import Catalog, backups, migrations
from mlconsole.errors import ActionFailed, CatalogDamaged, CatalogNewer, DiskFull, NotFound
from program import Program


def smash(path: Path, page: int) -> None:
    """Overwrite one page of a database with noise."""
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(os.urandom(4096))


@pytest.fixture
def source(catalog: Catalog) -> Path:
    """The file of a closed catalog of two runs."""
    put_runs(catalog, [MadeRun("aaa", metrics={"loss": [1.0]}), MadeRun("bbb", params={"p": "x" * 5000})])
    catalog.close()
    return catalog.store.path


def counts(home: Path) -> dict[str, int]:
    with closing(Catalog(home)) as catalog:
        return catalog.runs.counts()


def test_a_backup_under_four_writers_is_sound_and_of_one_moment(catalog: Catalog, tmp_path: Path) -> None:
    put_runs(catalog, [MadeRun("aaa", experiment="counter")])
    writers = [start("count_up", catalog.home, 3, 5) for _ in range(4)]
    made = [backups.make(catalog.store.path, tmp_path / f"backup{i}.db") for i in range(5)]
    for writer in writers:
        answers(writer)
    for number, contents in enumerate(made):
        path = tmp_path / f"backup{number}.db"
        assert backups.judge(path) == contents
        assert not list(tmp_path.glob("backup*-wal"))
    assert list(tmp_path.glob(".*tmp")) == []


def test_a_backup_overwrites_nothing(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious.db"
    target.write_text("precious")
    with pytest.raises(ActionFailed, match="there already"):
        backups.make(source, target)
    assert target.read_text() == "precious"


def test_a_backup_that_does_not_fit_leaves_nothing(source: Path, tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(DiskFull):
            backups.make(source, tmp_path / "out" / "backup.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_restored_backup_takes_the_place_and_what_was_there_is_kept(source: Path, tmp_path: Path) -> None:
    backups.make(source, tmp_path / "backup.db")
    with closing(Catalog(source.parent)) as catalog:
        put_runs(catalog, [MadeRun("ccc")])
    aside = backups.put_in_place(source, tmp_path / "backup.db", NOW)
    assert counts(source.parent) == {"succeeded": 2}
    assert aside is not None
    with closing(sqlite3.connect(aside)) as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (3,)


@pytest.mark.parametrize("page", [0, 1, 30])
def test_a_smashed_catalog_is_named_and_can_be_replaced(source: Path, tmp_path: Path, page: int) -> None:
    backups.make(source, tmp_path / "backup.db")
    smash(source, page)
    smashed = source.read_bytes()
    aside = backups.put_in_place(source, tmp_path / "backup.db", NOW)
    assert aside is not None
    # Folding the write-ahead log in touches the file's header and nothing else.
    assert aside.read_bytes()[100:] == smashed[100:]
    assert counts(source.parent) == {"succeeded": 2}


def test_a_missing_catalog_is_restored(source: Path, tmp_path: Path) -> None:
    backups.make(source, tmp_path / "backup.db")
    source.unlink()
    assert backups.put_in_place(source, tmp_path / "backup.db", NOW) is None
    assert counts(source.parent) == {"succeeded": 2}


def test_a_write_ahead_log_of_the_old_file_never_meets_the_new_one(source: Path, tmp_path: Path) -> None:
    backups.make(source, tmp_path / "backup.db")
    worker = start("insert_and_tell", source.parent, "row")
    assert worker.stdout is not None
    for _ in range(20):
        worker.stdout.readline()
    worker.kill()
    worker.communicate()
    assert Path(f"{source}-wal").stat().st_size > 0
    aside = backups.put_in_place(source, tmp_path / "backup.db", NOW)
    with closing(Catalog(source.parent)) as catalog:
        assert catalog.store.read("SELECT count(*) FROM key WHERE name LIKE 'row-%'") == [(0,)]
        assert catalog.store.read("PRAGMA integrity_check") == [("ok",)]
    assert aside is not None
    with closing(sqlite3.connect(aside)) as db:
        assert db.execute("SELECT count(*) >= 20 FROM key WHERE name LIKE 'row-%'").fetchone() == (1,)


def test_a_catalog_that_another_process_has_open_is_not_replaced(source: Path, tmp_path: Path) -> None:
    backups.make(source, tmp_path / "backup.db")
    other = start("insert_and_tell", source.parent, "row")
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(ActionFailed, match=f"open in process {other.pid}"):
        backups.put_in_place(source, tmp_path / "backup.db", NOW)
    other.kill()
    other.communicate()
    backups.put_in_place(source, tmp_path / "backup.db", NOW)


def test_a_catalog_that_this_process_still_reads_is_not_replaced(source: Path, tmp_path: Path) -> None:
    backups.make(source, tmp_path / "backup.db")
    before = source.stat().st_ino
    with closing(sqlite3.connect(source, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM run").fetchone()
        with pytest.raises(ActionFailed, match="in use"):
            backups.put_in_place(source, tmp_path / "backup.db", NOW)
    assert source.stat().st_ino == before
    assert counts(source.parent) == {"succeeded": 2}


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_catalog_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CatalogDamaged):
        backups.judge(tmp_path / "file")
    with pytest.raises(NotFound):
        backups.judge(tmp_path / "nothing")


def test_a_damaged_backup_is_refused(source: Path) -> None:
    smash(source, 12)
    with pytest.raises(CatalogDamaged):
        backups.judge(source)


def test_a_backup_of_a_newer_version_is_refused(source: Path) -> None:
    with closing(sqlite3.connect(source)) as db:
        db.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    with pytest.raises(CatalogNewer):
        backups.judge(source)


def test_commands_make_a_backup_and_put_it_back(cli: Program, source: Path, tmp_path: Path) -> None:
    made = cli.json("backup", str(tmp_path / "b.db"), "--with-files")
    assert (made["kind"], made["runs"]) == ("backup", 2)
    WrittenLog(source.parent, "ccc").begin().rows({"loss": [1.0]}).end()
    assert len(cli.json("run", "list")["items"]) == 3
    cli("run", "tag", "ccc", "by-hand")
    assert cli("restore", str(tmp_path / "b.db")).code == 3
    plan = cli.json("restore", str(tmp_path / "b.db"), "--dry-run")
    assert plan["effect"] == "destroy"
    assert "3 runs" in plan["steps"][1]["text"]
    done = cli.json("restore", str(tmp_path / "b.db"), "--yes")
    assert Path(done["set_aside"]).exists()
    runs = {run["id"]: run for run in cli.json("run", "list")["items"]}
    assert set(runs) == {"aaa", "bbb", "ccc"}, "the log of ccc is read again"
    assert runs["ccc"]["tags"] == {}
    assert cli("audit", "verify").code == 0


def test_a_backup_goes_below_the_catalog_unless_told_otherwise(cli: Program, source: Path) -> None:
    made = cli.json("backup")
    assert Path(made["file"]).parent == source.parent / "backups"
    assert cli("backup", "--dry-run").code == 0


def test_a_damaged_catalog_names_the_way_out_and_is_replaced(cli: Program, source: Path) -> None:
    backup = source.with_name("b.db")
    backups.make(source, backup)
    smash(source, 0)
    failed = cli("run", "list")
    assert failed.code == 1
    assert "mlconsole restore FILE" in failed.err
    assert len(failed.err.splitlines()) == 1
    assert cli("restore", str(backup), "--dry-run").code == 0
    assert cli("restore", str(backup), "--yes").code == 0
    assert len(cli.json("run", "list")["items"]) == 2


def test_restoring_from_the_catalog_itself_or_from_nonsense_changes_nothing(cli: Program, source: Path) -> None:
    before = source.read_bytes()
    assert cli("restore", str(source), "--yes").code == 1
    assert cli("restore", __file__, "--yes").code == 1
    assert cli("restore", "nowhere.db", "--yes").code == 4
    assert source.read_bytes() == before
