"""Measures the ledger on a month of 10,000 runs: ``python tests/benchmarks/bench_ledger.py``.

Prints a table: the sums by every axis, the settling of one run's end, and the look that every refresh pays.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mlconsole.catalog import Catalog
from mlconsole.catalog.due import due
from mlconsole.catalog.leases import Tenant, insert_leases
from mlconsole.catalog.ledger import settle
from mlconsole.catalog.machines import MachineRow, ensure_machine, machine_of, put_rate
from mlconsole.catalog.run_changes import NewRun, insert_run, set_columns, set_tags
from mlconsole.domain.costs import Axis
from mlconsole.domain.gpu import GpuReading
from mlconsole.domain.prices import Rate, Tenure
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.times import from_us, to_us
from mlconsole.domain.uptime import Uptime

RUNS, GPUS, TIMES = 10_000, 8, 9
START = datetime(2025, 6, 1, tzinfo=UTC)
MONTH_US = 30 * 86_400_000_000
HOST = "gpu-1"


def uptime(now_us: int) -> Uptime:
    """A machine that has been up all the month."""
    return Uptime("boot", now_us - to_us(START) + 1)


def fill(db: sqlite3.Connection, runs: int) -> None:
    """A month of runs, one after the other on each GPU, the ledger settled whenever one ends."""
    rng = random.Random(7)
    begin = to_us(START)
    machine = ensure_machine(db, HOST, GPUS, begin, uptime(begin))
    put_rate(db, machine, Rate(32_772_600, Tenure.ON_DEMAND, GPUS, "a list"), begin)
    length = MONTH_US * GPUS // runs
    spans = [(begin + (i // GPUS) * length, i) for i in range(runs)]
    starts = [(at, 1, i) for at, i in spans]
    ends = [(at + rng.randrange(length // 2, length), 0, i) for at, i in spans]
    numbers: dict[int, int] = {}
    for at, is_start, i in sorted(starts + ends):
        if is_start:
            numbers[i] = _begin(db, i, at)
            continue
        set_columns(db, numbers.pop(i), state=State.ENDED.value, outcome=Outcome.SUCCEEDED.value, ended_us=at)
        settle(db, the_machine(db), at, uptime(at))


def _begin(db: sqlite3.Connection, i: int, start: int) -> int:
    run_id, user, experiment = f"r{i:011}", f"user{i % 7}", f"exp{i % 40}"
    new = NewRun(id=run_id, name=f"train-{i}", experiment=experiment, created_at=from_us(start), state=State.RUNNING)
    number = insert_run(db, new, "made by a benchmark")
    set_tags(db, number, {"team": f"t{i % 5}", "sweep": str(i // 100)})
    machine, gpu = the_machine(db), i % GPUS
    reading = GpuReading(HOST, gpu, f"GPU-{gpu:08}", "H100", from_us(start))
    insert_leases(db, machine, Tenant(number, run_id, f"train-{i}", experiment, user), [reading], from_us(start))
    return number


def the_machine(db: sqlite3.Connection) -> MachineRow:
    found = machine_of(db, HOST)
    assert found is not None
    return found


def median_ms(work: Callable[[], object]) -> float:
    """The median of several goes, in CPU milliseconds, the first one left out."""
    took = []
    for _ in range(TIMES + 1):
        before = time.process_time()
        work()
        took.append((time.process_time() - before) * 1000)
    return statistics.median(took[1:])


def main(runs: int = RUNS) -> None:
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder, "home"))
        before = time.process_time()
        catalog.write(lambda db: fill(db, runs))
        filled = time.process_time() - before
        now = from_us(to_us(START) + MONTH_US)
        tail = catalog.ledger.tail(now, HOST, uptime(to_us(now)))
        db = catalog.store.connection()
        rows = db.execute("SELECT count(*) FROM ledger").fetchone()[0]
        print(
            f"{runs:,} runs in a month, {rows:,} ledger rows, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores"
        )
        print(f"{'what':34}{'CPU ms':>10}")
        print(f"{'settle one run':34}{filled * 1000 / runs:10.2f}")
        for axis in Axis:
            print(f"{'sum by ' + axis:34}{median_ms(lambda axis=axis: catalog.ledger.sums(axis, None, tail)):10.1f}")
        half = from_us(to_us(START) + MONTH_US // 2)
        print(
            f"{'sum by user, half the month':34}{median_ms(lambda: catalog.ledger.sums(Axis.USER, half, tail)):10.1f}"
        )
        print(f"{'IDLE and total':34}{median_ms(lambda: catalog.ledger.totals(None, tail)):10.1f}")
        print(
            f"{'is anything due':34}{median_ms(lambda: due(catalog.store, now, HOST, 'user0', is_priced=True)):10.2f}"
        )
        assert not catalog.ledger.unbalanced()
        catalog.close()


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
