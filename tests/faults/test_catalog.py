"""Faults of the catalog: writers in each other's way, kill -9, full disks, idle readers, strange values, wrong clocks.

Durations are short by default; MLCONSOLE_FAULTS=full runs the whole of what is promised (a minute of eight writers,
300 kills, ten minutes of an idle console). MLCONSOLE_SEED repeats a random test.

What needs no luck to be found stands in tests/catalog: network file systems, exchanged files and missing rights
(test_store), first-time processes and versions that meet (test_migrations), backups and smashed pages (test_backups),
the audit log (test_audit_chain), the library's bug and a second SQLite (test_store, test_doctor).
"""

from __future__ import annotations

import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalogkit import NOW, MadeRun, WrittenLog, put_runs
from catalogworkers import answers, start
from mlconsole.catalog import Catalog
from mlconsole.catalog.wal import has_wal_reset_bug
from mlconsole.domain.runs import Outcome, State
from program import Program, wait_until

FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"
WRITING_S = 60.0 if FULL else 3.0
KILLS = 300 if FULL else 18
IDLE_S = 600.0 if FULL else 4.0

pytestmark = pytest.mark.timeout(1200 if FULL else 120)


@pytest.fixture
def rng() -> random.Random:
    """Randomness that can be repeated."""
    seed = int(os.environ.get("MLCONSOLE_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}: repeat with MLCONSOLE_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def home(home: Path) -> Path:
    """A directory that holds an empty catalog."""
    Catalog(home).close()
    return home


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Workers that are gone after the test, however it ends."""
    workers: list[subprocess.Popen[str]] = []
    yield workers
    for worker in workers:
        worker.kill()
        worker.communicate()


def acknowledged(worker: subprocess.Popen[str]) -> list[int]:
    """What a worker was told before it was killed, as it told us; a line that was cut says nothing."""
    assert worker.stdout is not None
    worker.send_signal(signal.SIGKILL)
    # Not communicate(), which forgets what an earlier readline() has left in the buffer.
    lines = worker.stdout.read().splitlines(keepends=True)
    assert worker.wait(30) == -signal.SIGKILL
    return [int(line) for line in lines if line.endswith("\n")]


def is_sound(home: Path) -> bool:
    with closing(sqlite3.connect(home / "catalog.db")) as db:
        return db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_eight_processes_that_read_modify_and_write_lose_no_count_and_see_no_lock(home: Path) -> None:
    with closing(Catalog(home)) as catalog:
        put_runs(catalog, [MadeRun("aaa", experiment="counter")])
        catalog.write(lambda db: db.execute("UPDATE experiment SET created_us = 0"))
    workers = [start("count_up", home, WRITING_S, 50) for _ in range(8)]
    counted = [answers(worker, WRITING_S + 90) for worker in workers]
    total = sum(number for (number,) in counted)  # type: ignore[misc]
    with closing(Catalog(home)) as catalog:
        assert catalog.store.read("SELECT created_us FROM experiment") == [(total,)]
    assert is_sound(home)


def test_killed_writers_leave_every_acknowledged_row_once_and_nothing_half(
    home: Path, rng: random.Random, started: list[subprocess.Popen[str]]
) -> None:
    told: dict[str, int] = {}
    for number in range(KILLS):
        names = [f"writer{number}.{i}" for i in range(2)]
        workers = [start("insert_and_tell", home, name) for name in names]
        started += workers
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        time.sleep(rng.random() * 0.1)
        # The line that was read above is row 0.
        told |= {name: 1 + len(acknowledged(worker)) for name, worker in zip(names, workers, strict=True)}
    with closing(Catalog(home)) as catalog:
        for name, count in told.items():
            rows = [row[0] for row in catalog.store.read("SELECT name FROM key WHERE name LIKE :a", {"a": f"{name}-%"})]
            expected = [f"{name}-{i}" for i in range(count)]
            assert sorted(rows[:count]) == sorted(expected), "every acknowledged row is there"
            assert len(rows) - count in (0, 1), "at most the one that was on its way"
    assert is_sound(home)


def test_killed_trainings_and_killed_ingesters_lose_no_accepted_value_and_repeat_none(
    home: Path, rng: random.Random, started: list[subprocess.Popen[str]]
) -> None:
    told: dict[str, int] = {}
    for number in range(KILLS):
        run = f"train{number:07d}"
        training, ingester = start("log_and_tell", home, run), start("ingest", home, 1 << 30)
        started += [training, ingester]
        assert training.stdout is not None
        training.stdout.readline()
        time.sleep(rng.random() * 0.1)
        doomed = [training, ingester]
        rng.shuffle(doomed)
        for worker in doomed:
            lines = acknowledged(worker)
            if worker is training:
                told[run] = 1 + len(lines)
    with closing(Catalog(home)) as catalog:
        catalog.ingest.run(datetime.now(UTC))
        assert catalog.ingest.run(datetime.now(UTC)) == 0
        for run, count in told.items():
            found = catalog.runs.get(catalog.store.read("SELECT id FROM run WHERE name = :name", {"name": run})[0][0])
            values = list(catalog.metrics.history(found.number, found.id, "value").values)
            assert values == [float(i) for i in range(len(values))], "in order, none twice"
            assert len(values) >= count
            assert found.metrics["value"].count == len(values)
            assert (found.state, found.outcome) == (State.ENDED, Outcome.UNKNOWN), "nobody saw how it ended"
    assert is_sound(home)


def test_ingesters_that_are_killed_over_one_log_take_it_in_once(
    home: Path, rng: random.Random, started: list[subprocess.Popen[str]]
) -> None:
    log = WrittenLog(home, "aaa").begin()
    written = 0
    for _ in range(KILLS):
        workers = [start("ingest", home, 1 << 30) for _ in range(2)]
        started += workers
        for _ in range(20):
            more = rng.randrange(1, 2000)
            log.rows({"loss": [float(i) for i in range(written, written + more)]}, first_step=written)
            written += more
            time.sleep(rng.random() * 0.01)
        for worker in workers:
            worker.kill()
            worker.communicate()
    with closing(Catalog(home)) as catalog:
        catalog.ingest.run(NOW)
        history = catalog.metrics.history(catalog.runs.find("aaa"), "aaa", "loss")
        assert list(history.values) == [float(i) for i in range(written)]
        assert catalog.runs.get("aaa").metrics["loss"].count == written
    assert is_sound(home)


def test_beside_an_idle_console_the_write_ahead_log_stays_short(
    home: Path, started: list[subprocess.Popen[str]]
) -> None:
    idle = start("hold_open", home)
    started.append(idle)
    assert idle.stdout is not None
    idle.stdout.readline()
    longest, number = 0, 0
    # What twenty writes a second are in ten minutes, in as little time as it takes; more than the limit in any case.
    with closing(Catalog(home)) as catalog:
        end = time.monotonic() + IDLE_S
        while number < 12_000 and (time.monotonic() < end or number * 4_000 <= 16 << 20):
            number += 1
            row = (f"{number}" + "x" * 4_000,)
            catalog.write(lambda db, row=row: db.execute("INSERT INTO key (name) VALUES (?)", row))  # type: ignore[misc]
            longest = max(longest, catalog.store.checkpoints.wal_bytes())
    assert longest < 16 << 20


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """An empty file system of 4 MiB in the place of the catalog."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system needs the right to mount")
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no byte free."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_on_a_full_disk_all_is_still_shown_and_an_ending_recorded(small_disk: Path, cli: Program) -> None:
    run = cli.launch("sleep", "60")
    filler = fill(small_disk)

    shown = cli("run", "list")
    assert (shown.code, run in shown.out) == (0, True)
    read = cli("--read-only", "run", "show", run)
    assert (read.code, read.err) == (0, "")
    stopped = cli("run", "stop", run, "--yes")
    assert (stopped.code, stopped.err) == (0, "")
    assert cli.json("run", "show", run)["outcome"] == "cancelled"

    filler.unlink()
    assert cli("run", "delete", run, "--yes").code == 0
    assert is_sound(small_disk)


def write_until_full(home: Path, limit: int) -> list[str]:
    """Add rows in a process whose files may not grow beyond a limit; what it said of each."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from mlconsole.catalog import Catalog
from mlconsole.errors import MlconsoleError
catalog = Catalog(Path({str(home)!r}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
for i in range(400):
    def change(db):
        for part in range(3):
            db.execute("INSERT INTO key (name) VALUES (?)", (f"{{i}}.{{part}}" + "x" * 3000,))
    try:
        catalog.write(change, durable=i % 2 == 0)
        print("ok", i, flush=True)
    except MlconsoleError as error:
        print(error.slug, "|".join(str(error).splitlines()), flush=True)
        break
"""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root / "console"), str(root / "plugins")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_disk_that_is_full_at_any_write_leaves_whole_changes_and_says_one_line(
    home: Path, rng: random.Random
) -> None:
    with closing(Catalog(home)) as catalog:
        size = catalog.store.path.stat().st_size
    for _ in range(40 if FULL else 6):
        said = write_until_full(home, size + rng.randrange(200_000))
        assert said[-1].startswith("disk_full No space left"), said[-1]
        assert len([line for line in said if not line.startswith("ok ")]) == 1
        with closing(Catalog(home)) as catalog:
            rows = [row[0].rstrip("x") for row in catalog.store.read("SELECT name FROM key ORDER BY n")]
            acknowledged = [f"{line.split()[1]}.{part}" for line in said[:-1] for part in range(3)]
            assert rows[: len(acknowledged)] == acknowledged
            assert len(rows) % 3 == 0, "no change is there in part"
            catalog.write(lambda db: db.execute("DELETE FROM key"))
            catalog.store.checkpoint()
            size = catalog.store.path.stat().st_size
        assert is_sound(home)


STRANGE = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "huge": 1e308,
    "tiny": 5e-324,
}


def test_strange_values_are_kept_and_shown_as_what_they_are(cli: Program, home: Path) -> None:
    log = WrittenLog(home, "aaa").begin(name="bad \udcff bytes", command=["train", "x" * 1000])
    log.event(
        "params", params={"big": 10**40, "long": "y" * 1_000_000, "nan": math.nan, "broken": "\ud800", "nul": "a\0b"}
    )
    log.rows({name: [value] for name, value in STRANGE.items()}).end()
    with closing(Catalog(home)) as catalog:
        catalog.ingest.run(NOW)
        catalog.write(lambda db: db.execute("UPDATE run SET host = CAST(x'67ff70' AS TEXT)"))
    run = cli.json("run", "show", "aaa")
    assert run["params"]["big"] == 10**40
    assert len(run["params"]["long"]) == 1_000_000
    assert (run["params"]["nan"], run["params"]["nul"]) == ("NaN", "a\0b")
    assert {name: run["metrics"][name]["last"] for name in STRANGE} == {
        "nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "huge": 1e308, "tiny": 5e-324,
    }  # fmt: skip
    assert run["metrics"]["nan"]["min"] is None
    assert run["host"] == "g\\xffp"
    assert cli.json("metric", "show", "aaa", "inf")["values"] == ["Infinity"]
    listed = cli("run", "list", "sort:nan", "cols:nan,inf,big,long")
    assert listed.code == 0
    row = listed.out.splitlines()[1]
    assert "NaN" in row
    assert "inf" in row
    assert max(map(len, listed.out.splitlines())) < 500
    shown = cli("run", "show", "aaa")
    assert "10000000000000000000000000000000000000000" in shown.out or "1e+40" in shown.out
    assert "\\udcff" in shown.out
    assert "\0" not in shown.out


def test_one_row_that_cannot_be_read_hides_no_other(cli: Program, home: Path) -> None:
    with closing(Catalog(home)) as catalog:
        put_runs(catalog, [MadeRun("aaa"), MadeRun("bbb", params={"p": 1})])
        values = "command = '{', state = 'odd', outcome = 'odd', created_us = 1 << 62, name = CAST(x'ff' AS TEXT)"
        catalog.write(lambda db: db.execute(f"UPDATE run SET {values} WHERE id = 'aaa'"))
        catalog.write(lambda db: db.execute("UPDATE param SET value = '{broken'"))
    for words in (("run", "list"), ("run", "list", "sort:-created"), ("run", "show", "bbb"), ("run", "show", "aaa")):
        assert cli(*words).code == 0, words
        cli.json(*words)
    assert {run["id"] for run in cli.json("run", "list")["items"]} == {"aaa", "bbb"}


def test_a_clock_that_jumps_gives_no_negative_durations_and_loses_nothing(home: Path, cli: Program) -> None:
    base = 1.7e9
    log = WrittenLog(home, "back").begin(t=base)
    log.rows({"loss": [1.0]}, t=base).rows({"loss": [2.0]}, first_step=1, t=base - 3600)
    log.rows({"loss": [3.0]}, first_step=2, t=base + 86_400).end(t=base - 3600)
    WrittenLog(home, "ahead").begin(t=base + 10 * 365 * 86_400)
    run = cli.json("run", "show", "back")
    assert (run["state"], run["duration_s"]) == ("ended", 0.0)
    assert cli.json("metric", "show", "back", "loss")["values"] == [1.0, 2.0, 3.0]
    assert cli.json("run", "show", "ahead")["duration_s"] == 0.0
    assert [item["id"] for item in cli.json("run", "list", "duration<0 or age<0")["items"]] == []
    assert len(cli.json("run", "list", "duration=0")["items"]) == 2
    assert cli("run", "list").code == 0


@pytest.mark.parametrize("change", ["2026-03-29T00:30", "2026-10-25T00:30"])
def test_a_change_of_summer_time_changes_nothing_that_is_stored(home: Path, cli: Program, change: str) -> None:
    before = datetime.fromisoformat(change).replace(tzinfo=UTC)
    start_s = before.timestamp()
    WrittenLog(home, "aaa").begin(t=start_s).end(t=start_s + 3600)
    with closing(Catalog(home)) as catalog:
        catalog.ingest.run(before + timedelta(hours=2))
    for zone in ("Europe/Berlin", "UTC"):
        run = cli("run", "show", "aaa", "--json", TZ=zone).document
        assert (run["duration_s"], run["created_at"][:16]) == (3600.0, change)


def test_on_a_library_with_the_bug_one_process_at_a_time_checkpoints(home: Path) -> None:
    if not has_wal_reset_bug():
        pytest.skip(f"SQLite {sqlite3.sqlite_version} is free of the WAL-reset bug")
    import fcntl

    with closing(Catalog(home)) as catalog, open(home / "checkpoint.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for i in range(20):
            row = (f"{i}" + "x" * 300_000,)
            catalog.write(lambda db, row=row: db.execute("INSERT INTO key (name) VALUES (?)", row))  # type: ignore[misc]
        held = catalog.store.checkpoints.wal_bytes()
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert held > 4 << 20, "somebody else holds the right to checkpoint"
        wait_until(lambda: catalog.store.checkpoint(), "the checkpoint")
        assert catalog.store.checkpoints.wal_bytes() == 0
