"""How fast the catalog is: taking run logs in, reading histories, finding runs, and one headless command.

Usage: python tests/benchmarks/bench_catalog.py [--runs 100000] [--home DIRECTORY] [--quick] [--peers VENV]

Prints one table. "cpu" is the processor time of this process (or of the command), which other load on the machine moves
little; "wall" is the clock. Other trackers are measured in the same run where a virtual environment has them.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT / "console"), str(ROOT / "plugins")]

import peers  # noqa: E402
import synthetic  # noqa: E402

from catalogkit import WrittenLog  # noqa: E402
from mlconsole.catalog import Catalog  # noqa: E402
from mlconsole.domain.query import parse  # noqa: E402

QUERIES = (
    ("newest first", ""),
    ("selective filter (0.01 %), sort", "train/loss<0.0001 sort:-val/acc"),
    ("selective filter (1 %), sort", "train/loss<0.01 sort:-val/acc"),
    ("medium filter (5 %), sort", "train/loss<0.05 sort:-val/acc"),
    ("unselective filter (50 %), sort", "train/loss<0.5 sort:-val/acc"),
    ("two filters, sort", "train/loss<0.5 val/loss<0.05 sort:-val/acc"),
    ("filter, sparse sort key (0.1 %)", "train/loss<0.9 sort:-bleu"),
    ("param, state, sort by metric", "optimizer=adam state:failed sort:val/loss"),
    ("word in a name that none has", "zzzz"),
    ("word in a name", "churn sort:-val/acc"),
    ("sort by a minimum", "sort:min(val/loss)"),
    ("sort by duration", "sort:-duration"),
)

OTHER_COMMANDS = ("monitor list", "model list", "alert list", "cost show", "job list", "release list", "env list")

STARTER = """
import os, sys, time
began = time.perf_counter()
silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=silence)
_, status, usage = os.wait4(pid, 0)
assert status == 0
print(usage.ru_utime + usage.ru_stime, time.perf_counter() - began, usage.ru_maxrss)
"""


class Table:
    """Rows of what was measured, printed as they come."""

    def __init__(self) -> None:
        print(f"{'what':52} {'cpu':>12} {'wall':>12}   {'to reach':24}")

    def row(self, what: str, cpu: str, wall: str, target: str = "") -> None:
        print(f"{what:52} {cpu:>12} {wall:>12}   {target:24}", flush=True)

    def timed(self, what: str, work: Callable[[], object], target: str = "", times: int = 9) -> None:
        """The medians of some calls."""
        cpu, wall = [], []
        for _ in range(times):
            began, started = time.process_time(), time.perf_counter()
            work()
            cpu.append(time.process_time() - began)
            wall.append(time.perf_counter() - started)
        self.row(what, f"{statistics.median(cpu) * 1e3:.2f} ms", f"{statistics.median(wall) * 1e3:.2f} ms", target)


def write_log(home: Path, run: str, metrics: int, rows: int) -> None:
    """A run log of random values."""
    log, values = WrittenLog(home, run).begin(), random.Random(run)
    for start in range(0, rows, 50_000):
        count = min(50_000, rows - start)
        log.rows({f"m{i}": [values.random() for _ in range(count)] for i in range(metrics)}, first_step=start)
    log.end()


def bench_ingest(table: Table, quick: bool) -> None:
    """Points a second from run logs into the catalog, SQLite included."""
    points = 200_000 if quick else 1_000_000
    shapes = [
        (f"ingest, 1 metric, {points:,} points", [(1, points)]),
        (f"ingest, 10 metrics, {points:,} points", [(10, points // 10)]),
        ("ingest, 1,000 runs of 3 x 100 points", [(3, 100)] * (100 if quick else 1000)),
        ("ingest, 100 runs of 3 x 3,300 points", [(3, 3_300)] * (10 if quick else 100)),
    ]
    for what, runs in shapes:
        rates = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder))) as catalog:
                for number, (metrics, rows) in enumerate(runs):
                    write_log(Path(folder), f"run{number:09d}", metrics, rows)
                began, started = time.process_time(), time.perf_counter()
                catalog.ingest.run(datetime.now(UTC))
                total = sum(metrics * rows for metrics, rows in runs)
                rates.append((total / (time.process_time() - began), total / (time.perf_counter() - started)))
        cpu, wall = (statistics.median(column) for column in zip(*rates, strict=True))
        table.row(what, f"{cpu / 1e6:.2f} M/s", f"{wall / 1e6:.2f} M/s", ">= 1 M points/s")


def bench_reading(table: Table, quick: bool) -> None:
    """One metric of a million points."""
    points = 200_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder, closing(Catalog(Path(folder))) as catalog:
        write_log(Path(folder), "run000000001", 1, points)
        catalog.ingest.run(datetime.now(UTC))
        table.timed(f"read {points:,} points", lambda: catalog.metrics.history(1, "run", "m0"), "<= 50 ms")
        table.timed(f"a chart's worth of {points:,} points", lambda: catalog.metrics.buckets(1, "run", "m0"), "<= 5 ms")


def bench_search(table: Table, home: Path) -> None:
    """First page, last page, count and rank of listings."""
    now = datetime.now(UTC)
    with closing(Catalog(home)) as catalog:
        search = catalog.search
        for what, text in QUERIES:
            query = parse(text)
            found = search.page(query, now)
            table.timed(f"page: {what}", lambda query=query: search.page(query, now), "<= 20 ms")  # type: ignore[misc]
            table.timed("  end of the list", lambda query=query: search.page(query, now, backward=True), times=3)  # type: ignore[misc]
            table.timed("  count", lambda query=query: search.count(query, now), times=3)  # type: ignore[misc]
            if found.numbers:
                last = found.numbers[-1]
                table.timed("  rank", lambda query=query, last=last: search.rank(query, now, last), times=3)  # type: ignore[misc]
        numbers = search.page(parse(""), now).numbers
        table.timed("load a page of 50 runs", lambda: catalog.runs.load(numbers))
        table.timed("experiments", catalog.runs.experiments, times=3)
        table.timed("counts by state", catalog.runs.counts, times=3)


def bench_command(table: Table, home: Path) -> None:
    """One headless command as a whole process, beside an interpreter that does nothing."""
    script = Path(sys.executable).with_name("mlconsole")
    own = [str(script)] if script.exists() else [sys.executable, "-m", "mlconsole"]
    paths = os.pathsep.join([str(ROOT / "console"), str(ROOT / "plugins")])
    env = {**os.environ, "PYTHONPATH": paths, "MLCONSOLE_HOME": str(home), "PYTHONDONTWRITEBYTECODE": ""}
    for what, argv, target in (
        ("python -c pass", [sys.executable, "-c", "pass"], ""),
        ("python -I -c pass", [sys.executable, "-I", "-c", "pass"], ""),
        ("mlconsole run list", [*own, "run", "list"], "<= 60 CPU-ms, <= 25 MB"),
        ("mlconsole run list --json", [*own, "run", "list", "--json"], ""),
        (
            "mlconsole run list 'train/loss<0.1 sort:-val/acc'",
            [*own, "run", "list", "train/loss<0.1 sort:-val/acc"],
            "",
        ),
        *((f"mlconsole {words}", [*own, *words.split()], "<= 60 CPU-ms") for words in OTHER_COMMANDS),
    ):
        measured = [_process(argv, env) for _ in range(15)]
        cpu, wall, memory = (statistics.median(column) for column in zip(*measured, strict=True))
        table.row(what, f"{cpu * 1e3:.1f} ms", f"{wall * 1e3:.1f} ms", f"{target}   {memory / 1024:.1f} MB")


def _process(argv: list[str], env: dict[str, str]) -> tuple[float, float, float]:
    """Processor seconds, wall seconds and peak KiB of one process."""
    # Started by a small process: the peak of a child counts the memory of whoever forked it.
    words = [sys.executable, "-I", "-S", "-c", STARTER, *argv]
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, check=True, text=True)
    cpu, wall, peak = (float(word) for word in done.stdout.split())
    return cpu, wall, peak


def bench_peers(table: Table, quick: bool, venv: Path | None) -> None:
    """What others take for a comparable thing."""
    if venv is None:
        print("others are left out: name a virtual environment that has them with --peers")
        return
    for name in peers.PEERS:
        for what, value in peers.measured_in(venv, name, 20_000 if quick else 200_000):
            table.row(f"{name}: {what}", "", value)


def main() -> None:
    """Measure everything."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=100_000)
    options.add_argument("--home", type=Path, help="where the made-up catalog is kept for the next time")
    options.add_argument("--quick", action="store_true", help="a fifth of the points")
    options.add_argument("--peers", type=Path, metavar="VENV", help="a virtual environment that has other trackers")
    chosen = options.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {machine}")
    table = Table()
    bench_ingest(table, chosen.quick)
    bench_reading(table, chosen.quick)
    home = chosen.home or Path(tempfile.mkdtemp())
    try:
        if not (home / "catalog.db").exists():
            synthetic.make(home, chosen.runs)
        bench_search(table, home)
        bench_command(table, home)
    finally:
        if chosen.home is None:
            shutil.rmtree(home)
    bench_peers(table, chosen.quick, chosen.peers)


if __name__ == "__main__":
    main()
