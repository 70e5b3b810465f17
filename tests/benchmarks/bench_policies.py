"""How soon a policy acts: from an event, and from the end of a run that nobody looks at, to the action's start.

A real watcher in a process of its own, real runs on this machine.

Run: python tests/benchmarks/bench_policies.py
"""

from __future__ import annotations

import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from mlconsole.catalog import Catalog
from mlconsole.catalog.event_stream import emit

EVENTS, RUNS = 30, 15
SEED = 6
POLICIES = """
[policy.from_event]
when = "dataset.added"
do = "launch"
with = { command = ["true"], cwd = "/", experiment = "first" }
allow = true
in_flight = 1000
per_day = 1000

[policy.from_run]
when = "run.ended"
if = "experiment:second"
do = "launch"
with = { command = ["true"], cwd = "/", experiment = "third" }
allow = true
in_flight = 1000
per_day = 1000
"""


def program(home: Path, *words: str) -> list[str]:
    """The command line of the console on a catalog."""
    return [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(home), *words]


def measure(home: Path) -> dict[str, list[float]]:
    """Milliseconds from what happened to the start of the action, by policy."""
    file = home.with_name("policies.toml")
    file.write_text(POLICIES, encoding="utf-8")
    subprocess.run(program(home, "policy", "apply", str(file)), check=True, stdout=subprocess.DEVNULL)
    watcher = subprocess.Popen(program(home, "watch"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rng = random.Random(SEED)
    try:
        time.sleep(3.0)
        with closing(Catalog(home)) as catalog:
            for number in range(EVENTS):
                catalog.write(lambda db, number=number: _tell(db, number))  # type: ignore[misc]
                time.sleep(rng.uniform(0.3, 1.2))
        for _ in range(RUNS):
            launch = program(home, "launch", "--experiment", "second", "--", "sleep", f"{rng.uniform(0.2, 1.0):.2f}")
            subprocess.run(launch, check=True, stdout=subprocess.DEVNULL)
        return _figures(home)
    finally:
        watcher.terminate()
        watcher.wait()


def _tell(db: sqlite3.Connection, number: int) -> None:
    emit(db, "dataset.added", f"dataset:d@{number}", {"label": f"d@{number}"}, datetime.now(UTC))


def _figures(home: Path) -> dict[str, list[float]]:
    with closing(Catalog(home, read_only=True)) as catalog:
        ends = time.monotonic() + 30
        wanted = {"from_event": EVENTS, "from_run": RUNS}
        while time.monotonic() < ends:
            found = {name: catalog.firings.of_policy(name, 1000) for name in wanted}
            if all(sum(each.started_at is not None for each in found[name]) == count for name, count in wanted.items()):
                break
            time.sleep(0.2)
        out: dict[str, list[float]] = {}
        for name, firings in found.items():
            for each in firings:
                event = catalog.events.get(each.event) if each.event else None
                assert event is not None and each.started_at is not None
                out.setdefault(name, []).append((each.started_at - event.at).total_seconds() * 1000)
        return out


def main() -> None:
    """Print the table."""
    load = os.getloadavg()[0]
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder, "home"))
    rows = {
        "from_event": "an event to the start of its action",
        "from_run": "the end of a run to the start of its action",
    }
    print(f"{'':46}{'median':>10}{'p95':>10}{'most':>10}")
    for name, words in rows.items():
        values = sorted(found[name])
        p95 = values[max(0, round(0.95 * len(values)) - 1)]
        print(f"{words:46}{statistics.median(values):7.0f} ms{p95:7.0f} ms{values[-1]:7.0f} ms")


if __name__ == "__main__":
    main()
