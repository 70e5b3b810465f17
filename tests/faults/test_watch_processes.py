"""``mlconsole watch`` as processes: one leads, a kill or a stop hands over within fifteen seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from program import Program, wait_until

TAKES_OVER_S = 15.0


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
    from mlconsole.catalog import Catalog

    if not (program.home / "catalog.db").exists():
        return 0
    catalog = Catalog(program.home, read_only=True)
    try:
        lease = catalog.lease.standing()
        return lease.holder.pid if lease and not lease.is_released else 0
    finally:
        catalog.close()


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


def test_a_stopped_watcher_loses_its_lease_and_does_not_take_it_back(cli: Program) -> None:
    cli("run", "list")
    with watching(cli) as first:
        leads(cli, first)
        with watching(cli) as second:
            os.kill(first.pid, signal.SIGSTOP)
            began = time.monotonic()
            leads(cli, second)
            assert time.monotonic() - began < TAKES_OVER_S
            os.kill(first.pid, signal.SIGCONT)
            first.send_signal(signal.SIGTERM)
            assert first.wait(10) == 0
            assert leader(cli) == second.pid


def test_a_watcher_that_is_told_to_end_lets_go_within_two_seconds(cli: Program) -> None:
    cli("run", "list")
    with watching(cli) as process:
        leads(cli, process)
        process.send_signal(signal.SIGTERM)

        assert process.wait(2) == 0
    assert leader(cli) == 0
