"""``mlconsole watch`` as processes: one leads, a kill or a stop hands over within fifteen seconds."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from catalogkit import MadeRun, put_runs
from mlconsole.catalog import Catalog
from mlconsole.catalog.event_stream import emit
from mlconsole.domain.policies import FiringState
from program import Program, wait_until
from ptyterm import PtyTerm

TAKES_OVER_S = 15.0
COUNT = 150 if os.environ.get("MLCONSOLE_FAULTS") == "full" else 10


@contextmanager
def watching(program: Program) -> Iterator[subprocess.Popen[bytes]]:
    process = program.start("watch", "--json")
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def leader(program: Program) -> int:
    """The pid of who holds the lease; 0 for nobody."""
    if not (program.home / "catalog.db").exists():
        return 0
    with closing(Catalog(program.home, read_only=True)) as catalog:
        lease = catalog.lease.standing()
        return lease.holder.pid if lease and not lease.is_released else 0


def leads(program: Program, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: leader(program) == process.pid, f"process {process.pid} to lead")


def test_a_watcher_ends_runs_that_nobody_looks_at_and_tells_of_it(cli: Program) -> None:
    cli("run", "list")
    with watching(cli) as process:
        leads(cli, process)
        run = cli.launch("false")
        assert process.stdout is not None
        line = process.stdout.readline()

    assert b'"run.ended"' in line and run.encode() in line


def test_a_killed_watcher_is_followed_by_the_next(cli: Program) -> None:
    cli("run", "list")
    with watching(cli) as first:
        leads(cli, first)
        with watching(cli) as second:
            first.kill()
            began = time.monotonic()
            leads(cli, second)

    assert time.monotonic() - began < TAKES_OVER_S


POLICY = """
[policy.tag]
when = "dataset.added"
do = "run tag"
with = { run = "aaaa", tags = ["{label}"] }
allow = true
in_flight = 1000
per_day = 1000
"""


def add_datasets(program: Program, first: int, count: int) -> None:
    """Tell of so many new datasets."""

    def emit_all(db: sqlite3.Connection) -> None:
        for number in range(first, first + count):
            emit(db, "dataset.added", f"dataset:d@{number}", {"label": f"d@{number}"}, datetime.now(UTC))

    with closing(Catalog(program.home)) as catalog:
        catalog.write(emit_all)


def threads_stopped(pid: int) -> bool:
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(") ")[2].startswith("T") for stat in stats)


def stop_between_transactions(program: Program, process: subprocess.Popen[bytes]) -> None:
    """Stop a process while it holds no lock: inside a transaction it would hold up every writer until it goes on."""

    def is_stopped() -> bool:
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: threads_stopped(process.pid), "every thread to stop")
        with closing(sqlite3.connect(program.home / "catalog.db", timeout=0.2)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(process.pid, signal.SIGCONT)
                return False
            return True

    wait_until(is_stopped, "the watcher to be between two transactions")


def done_firings(program: Program) -> int:
    with closing(Catalog(program.home, read_only=True)) as catalog:
        return sum(each.state is FiringState.DONE for each in catalog.firings.of_policy("tag", 10_000))


def test_a_stopped_watcher_loses_its_lease_and_what_it_had_begun_is_done_once(cli: Program) -> None:
    with closing(Catalog(cli.home)) as catalog:
        put_runs(catalog, [MadeRun("aaaa")])
    (cli.cwd / "policies.toml").write_text(POLICY)
    cli.json("policy", "apply")
    with watching(cli) as first:
        leads(cli, first)
        add_datasets(cli, 0, COUNT)
        wait_until(lambda: done_firings(cli) > 0, "the first to act")
        with watching(cli) as second:
            stop_between_transactions(cli, first)
            began = time.monotonic()
            add_datasets(cli, COUNT, COUNT)
            leads(cli, second)
            assert time.monotonic() - began < TAKES_OVER_S
            os.kill(first.pid, signal.SIGCONT)
            wait_until(lambda: done_firings(cli) == 2 * COUNT, "everything to be done", 60.0)
            first.send_signal(signal.SIGTERM)
            assert first.wait(10) == 0
            assert leader(cli) == second.pid

    with closing(Catalog(cli.home, read_only=True)) as catalog:
        rows = [row for row in catalog.audit.newest(10_000) if (row.action, row.phase) == ("run tag", "begin")]
        states = Counter(each.state.value for each in catalog.firings.of_policy("tag", 10_000))
    assert Counter(row.params["tags"][0] for row in rows) == Counter(f"d@{number}" for number in range(2 * COUNT))  # type: ignore[index]
    assert states == Counter(done=2 * COUNT)


def test_an_open_console_says_who_watches_and_takes_over_from_a_watcher_that_is_killed(cli: Program) -> None:
    cli("run", "list")
    with watching(cli) as process:
        leads(cli, process)
        with PtyTerm(cli.argv(), 100, 24, cli.environment()) as term:
            term.wait_for("● watcher")
            process.kill()
            process.wait()
            began = time.monotonic()
            wait_until(lambda: leader(cli) == term.pid, "the console to watch")
            assert time.monotonic() - began < TAKES_OVER_S
            term.send("q")
            term.wait_until(lambda: leader(cli) == 0, "it to let go")


def test_a_watcher_that_is_told_to_end_lets_go_within_two_seconds(cli: Program) -> None:
    cli("run", "list")
    with watching(cli) as process:
        leads(cli, process)
        process.send_signal(signal.SIGTERM)

        assert process.wait(2) == 0
    assert leader(cli) == 0
