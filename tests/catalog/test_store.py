"""The store keeps every acknowledged change whole, names what is wrong, and notices a file that was exchanged."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from catalogkit import MadeRun, put_runs
from catalogworkers import answers, start
from mlconsole.catalog import Catalog, migrations, reserve
from mlconsole.catalog.sqlite_errors import of_sqlite
from mlconsole.catalog.store import Store, storable
from mlconsole.catalog.wal import WAL_LIMIT_BYTES, has_wal_reset_bug
from mlconsole.errors import (
    CatalogDamaged,
    CatalogError,
    CatalogNewer,
    CatalogReadOnly,
    CatalogUnsafePlace,
    DiskFull,
    NotFound,
)


def add_key(name: str) -> object:
    return lambda db: db.execute("INSERT INTO key (name) VALUES (?)", (name,))


def keys(store: Store) -> list[str]:
    return [row[0] for row in store.read("SELECT name FROM key ORDER BY n")]


def fail(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO key (name) VALUES ('half')")
    raise KeyError("in the middle")


def test_a_change_that_fails_leaves_nothing(catalog: Catalog) -> None:
    with pytest.raises(KeyError):
        catalog.write(fail)
    assert keys(catalog.store) == []
    catalog.write(add_key("next"))  # type: ignore[arg-type]
    assert keys(catalog.store) == ["next"]


def test_reading_leaves_no_transaction_open(catalog: Catalog) -> None:
    catalog.runs.counts()
    catalog.search.all(
        __import__("mlconsole.domain.query", fromlist=["parse"]).parse("loss<1"), __import__("catalogkit").NOW
    )
    assert not catalog.store.connection().in_transaction


def test_each_thread_has_a_connection_of_its_own(catalog: Catalog) -> None:
    found: list[sqlite3.Connection] = []
    thread = threading.Thread(target=lambda: found.append(catalog.store.connection()))
    thread.start()
    thread.join()
    assert found[0] is not catalog.store.connection()


def test_a_read_only_store_refuses_to_write(catalog: Catalog) -> None:
    other = Catalog(catalog.home, read_only=True)
    with pytest.raises(CatalogReadOnly):
        other.write(add_key("x"))  # type: ignore[arg-type]
    other.close()


def test_a_read_only_store_wants_a_catalog(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no catalog"):
        Catalog(tmp_path / "nowhere", read_only=True)
    assert not (tmp_path / "nowhere").exists()


def test_a_removed_catalog_is_noticed_at_the_next_read_and_write(catalog: Catalog) -> None:
    catalog.store.path.unlink()
    with pytest.raises(CatalogError, match="removed or replaced"):
        catalog.runs.counts()
    with pytest.raises(CatalogError, match="removed or replaced"):
        catalog.write(add_key("lost"))  # type: ignore[arg-type]


def test_a_replaced_catalog_is_noticed_and_the_old_file_not_written(catalog: Catalog) -> None:
    path = catalog.store.path
    old = path.rename(path.with_name("moved.db"))
    shutil.copy(old, path)
    with pytest.raises(CatalogError, match="removed or replaced"):
        catalog.write(add_key("lost"))  # type: ignore[arg-type]
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("SELECT count(*) FROM key").fetchone() == (0,)


def test_a_catalog_replaced_in_the_middle_of_a_change_does_not_get_it(catalog: Catalog) -> None:
    path = catalog.store.path

    def change(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO key (name) VALUES ('late')")
        path.rename(path.with_name("moved.db"))

    with pytest.raises(CatalogError, match="removed or replaced"):
        catalog.write(change)
    with closing(sqlite3.connect(path.with_name("moved.db"))) as db:
        assert db.execute("SELECT count(*) FROM key").fetchone() == (0,)


def test_invalid_utf8_hides_no_row(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa", name="one", params={"p": "text"}), MadeRun("bbb", name="two")])
    catalog.write(lambda db: db.execute("UPDATE run SET name = CAST(x'6fff65' AS TEXT) WHERE id = 'aaa'"))
    catalog.write(lambda db: db.execute("UPDATE param SET value = CAST(x'22ff22' AS TEXT), text = CAST(x'ff' AS TEXT)"))
    first, second = catalog.runs.load([1, 2])
    assert (first.name, second.name) == ("o\\xffe", "two")
    assert "\\xff" in str(first.params["p"])


def test_words_of_a_newer_version_hide_no_row(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa")])
    catalog.write(lambda db: db.execute("UPDATE run SET state = 'dreaming', outcome = 'sublime', created_us = 1 << 62"))
    (run,) = catalog.runs.load([1])
    assert (run.state.value, run.outcome.value if run.outcome else None) == ("running", "unknown")


def test_lone_surrogates_can_be_stored() -> None:
    assert storable("a\udcffb") == "a\\udcffb"
    assert storable("plain é") == "plain é"


@pytest.mark.parametrize(
    ("version", "bad"),
    [((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 44, 6), False), ((3, 50, 7), False),
     ((3, 51, 2), True), ((3, 51, 3), False)],
)  # fmt: skip
def test_libraries_with_the_wal_reset_bug_are_known(version: tuple[int, int, int], bad: bool) -> None:
    assert has_wal_reset_bug(version) is bad


def test_where_the_library_has_the_bug_sqlite_never_checkpoints_by_itself(catalog: Catalog) -> None:
    automatic = catalog.store.connection().execute("PRAGMA wal_autocheckpoint").fetchone()[0]
    assert automatic == (0 if has_wal_reset_bug() else 1000)


def test_the_write_ahead_log_stays_short(catalog: Catalog) -> None:
    for i in range(40):
        catalog.write(lambda db, i=i: db.execute("INSERT INTO key (name) VALUES (?)", (f"{i}" + "x" * 300_000,)))  # type: ignore[misc]
        assert catalog.store.checkpoints.wal_bytes() < 2 * WAL_LIMIT_BYTES


def test_a_long_reader_delays_the_checkpoint_and_not_the_writers(catalog: Catalog) -> None:
    reader = sqlite3.connect(catalog.store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM key").fetchone()
    for i in range(20):
        catalog.write(lambda db, i=i: db.execute("INSERT INTO key (name) VALUES (?)", (f"{i}" + "x" * 300_000,)))  # type: ignore[misc]
    assert catalog.store.checkpoints.wal_bytes() > WAL_LIMIT_BYTES
    reader.close()
    assert catalog.store.checkpoint()
    assert catalog.store.checkpoints.wal_bytes() == 0


def test_while_another_process_checkpoints_this_one_does_not(catalog: Catalog) -> None:
    import fcntl

    with open(catalog.home / "checkpoint.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not catalog.store.checkpoint()
    assert catalog.store.checkpoint()


def full(db: sqlite3.Connection) -> None:
    """Fill the database's file up to its limit: SQLite then says what it says of a full disk."""
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    db.execute("INSERT INTO key (name) VALUES (?)", ("x" * 1_000_000,))


def test_a_full_disk_is_one_clear_line_and_leaves_no_half_change(catalog: Catalog) -> None:
    with pytest.raises(DiskFull, match="No space left"):
        catalog.write(full)
    assert keys(catalog.store) == []


def test_the_reserve_is_given_up_for_a_durable_change_only(catalog: Catalog) -> None:
    place = reserve.place_of(catalog.store.path)
    assert place.stat().st_blocks * 512 >= reserve.RESERVE_BYTES

    def needs_space(db: sqlite3.Connection) -> None:
        if place.exists():
            full(db)
        db.execute("PRAGMA max_page_count = 1000000000")
        db.execute("INSERT INTO key (name) VALUES ('recorded')")

    with pytest.raises(DiskFull):
        catalog.write(needs_space)
    assert place.exists()
    catalog.write(needs_space, durable=True)
    assert not place.exists()
    assert keys(catalog.store) == ["recorded"]


def test_the_reserve_comes_back_when_there_is_space(catalog: Catalog) -> None:
    reserve.give_up(catalog.store.path)
    Catalog(catalog.home).close()
    assert reserve.place_of(catalog.store.path).stat().st_size == reserve.RESERVE_BYTES


@pytest.mark.parametrize("code", ["SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"])
def test_failed_writes_count_as_a_full_disk(code: str) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = getattr(sqlite3, code)
    assert isinstance(of_sqlite(error, Path("x")), DiskFull)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


def as_stranger(home: Path, *doings: str) -> list[object]:
    """What a user without rights finds."""
    return answers(start("try_to", home, "as-nobody", *doings))


def shared_catalog(folder: Path) -> Path:
    home = folder / "home"
    catalog = Catalog(home)
    put_runs(catalog, [MadeRun("aaa")])
    catalog.close()
    return home


def close_to_writing(home: Path) -> None:
    for path in home.iterdir():
        path.chmod(0o444)
    home.chmod(0o555)


def test_a_catalog_at_rest_in_a_folder_without_the_right_to_write_is_read(open_folder: Path) -> None:
    home = shared_catalog(open_folder)
    close_to_writing(home)
    assert as_stranger(home, "count", "may-write") == [{"succeeded": 1}, False]
    assert as_stranger(home, "read-only", "count") == [{"succeeded": 1}]


def test_a_catalog_in_use_by_its_owner_is_read_by_others(open_folder: Path) -> None:
    home = shared_catalog(open_folder)
    owner = Catalog(home)
    put_runs(owner, [MadeRun("bbb")])
    close_to_writing(home)
    assert as_stranger(home, "count") == [{"succeeded": 2}]
    owner.close()


def test_writing_without_the_right_to_is_one_clear_line(open_folder: Path) -> None:
    home = shared_catalog(open_folder)
    close_to_writing(home)
    (said,) = as_stranger(home, "write")
    assert isinstance(said, dict)
    assert said["error"] == "catalog_read_only"


def test_a_write_ahead_log_that_may_not_be_read_is_one_clear_line(open_folder: Path) -> None:
    home = shared_catalog(open_folder)
    owner = Catalog(home)
    put_runs(owner, [MadeRun("bbb")])
    close_to_writing(home)
    (home / "catalog.db-wal").chmod(0)
    (said,) = as_stranger(home, "count")
    assert isinstance(said, dict)
    assert said["error"] == "catalog_read_only"
    assert "-wal" in said["message"]
    owner.close()


def test_a_folder_that_may_not_be_made_is_one_clear_line(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    (said,) = as_stranger(open_folder / "home", "count")
    assert isinstance(said, dict)
    assert said["error"] == "catalog_read_only"


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export {point} {kind} rw 0 0
tmpfs {point}/local tmpfs rw 0 0
"""


@pytest.mark.parametrize("kind", ["nfs4", "nfs", "cifs", "fuse.sshfs", "9p"])
def test_a_network_file_system_is_refused_before_the_file_is_touched(tmp_path: Path, kind: str) -> None:
    table = tmp_path / "mounts"
    table.write_text(MOUNTS.format(point=tmp_path / "net", kind=kind))
    with pytest.raises(CatalogUnsafePlace, match=kind) as caught:
        Store(tmp_path / "net" / "home" / "catalog.db", mounts=table)
    assert not (tmp_path / "net").exists()
    assert "--catalog" in caught.value.hint
    Store(tmp_path / "net" / "local" / "catalog.db", mounts=table).close()


def test_on_a_network_file_system_all_the_same_nobody_else_gets_in(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(MOUNTS.format(point=tmp_path, kind="nfs4"))
    store = Store(tmp_path / "catalog.db", on_network=True, mounts=table)
    store.write(add_key("mine"))  # type: ignore[arg-type]
    assert store.read("PRAGMA journal_mode") == [("delete",)]
    assert not (tmp_path / "catalog.db-wal").exists()
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(keys(store)))
    thread.start()
    thread.join()
    assert found == ["mine"]
    other = sqlite3.connect(tmp_path / "catalog.db", timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("SELECT * FROM key")
    other.close()
    store.close()


def test_a_catalog_of_a_newer_version_is_refused_and_still_read(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa")])
    catalog.store.connection().execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    with pytest.raises(CatalogNewer, match="newer mlconsole") as caught:
        Catalog(catalog.home)
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (2, False)
    reader = Catalog(catalog.home, read_only=True)
    assert reader.runs.counts() == {"succeeded": 1}
    reader.close()


def test_a_program_that_was_open_while_a_newer_one_migrated_writes_no_more(catalog: Catalog) -> None:
    with closing(sqlite3.connect(catalog.store.path)) as db:
        db.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    with pytest.raises(CatalogNewer):
        catalog.write(add_key("old"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be one" * 50, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(content)
    with pytest.raises(CatalogDamaged, match="restore"):
        Catalog(tmp_path)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "catalog.db") as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(CatalogDamaged, match="another program"):
        Catalog(tmp_path)
    with sqlite3.connect(tmp_path / "catalog.db") as db:
        db.execute("PRAGMA user_version = 1")
    db.close()
    with pytest.raises(CatalogDamaged, match="another program"):
        Catalog(tmp_path)


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_catalog_is_not_made_anew_silently(catalog: Catalog, left: bytes | None) -> None:
    catalog.close()
    for path in catalog.home.glob("catalog.db*"):
        path.unlink()
    if left is not None:
        catalog.store.path.write_bytes(left)
    with pytest.raises(CatalogDamaged, match="restore"):
        Catalog(catalog.home)
    catalog.audit.anchor_path.unlink()
    Catalog(catalog.home).close()


def test_a_new_home_is_its_owners_alone(catalog: Catalog) -> None:
    assert stat.S_IMODE(catalog.home.stat().st_mode) == 0o700
