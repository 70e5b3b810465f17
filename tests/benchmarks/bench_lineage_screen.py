"""The lineage screen with ten thousand things on it: the layout of the lanes, and what a frame of scrolling costs.

    python tests/benchmarks/bench_lineage_screen.py [--things N]

The layout is that of a random graph of two sources a node. The screen shows a commit that so many runs were made from,
all of them unfolded, at a real terminal of 160x48. Processor time, because the machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from bench_console import opened, pressed

from mlconsole.catalog import Catalog
from mlconsole.catalog.lineage import put_edge, put_node
from mlconsole.domain.lanes import in_order, lanes
from mlconsole.domain.lineage import NodeKind
from ptyterm import PtyTerm

ROUNDS = 20


def layout(things: int) -> None:
    """Print what it takes to order the nodes and to draw their lanes."""
    dice = random.Random(3)
    above = {n: sorted({max(1, n - int(dice.expovariate(1 / 30)) - 1) for _ in range(2)}) for n in range(2, things + 1)}
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        lanes(in_order(range(things, 0, -1), above), above)
        took.append((time.process_time() - began) * 1e3)
    print(f"layout of {things:,} nodes, up to 60 lanes: median {statistics.median(took):.1f} CPU-ms")


def fill(home: Path, things: int) -> None:
    """A commit, and so many runs of it."""

    def put(db: sqlite3.Connection) -> None:
        code = put_node(db, NodeKind.CODE, "git:" + "c0de" * 10, "commit c0dec0dec0de", 1)
        for number in range(things):
            run = put_node(db, NodeKind.RUN, f"run:{number}", f"run number {number}", number)
            put_edge(db, run, code, "code")

    catalog = Catalog(home)
    catalog.write(put)
    catalog.close()


def unfold(term: PtyTerm) -> None:
    """Show all that a commit led to: each time ten times as much of it."""
    term.send("G")
    for _ in range(3):
        term.wait_for("more made from it")
        term.send("k", "enter")
        term.settle(1.0)
        term.send("G")
    term.wait_gone("more made from it")


def scrolling(home: Path, things: int) -> None:
    """Print what a page of scrolling costs at a real terminal, all unfolded."""
    with opened(home, None, "--read-only") as term:
        interactive_on(term, ":lineage c0dec0de")
        with term.measured() as cost:
            unfold(term)
        print(f"unfolding all of it in three steps: {cost.cpu_s * 1e3:.0f} CPU-ms")
        term.send("g", "j", "j")
        term.settle(0.5)
        for what, key in (("page", "pagedown"), ("cursor", "j")):
            took = sorted(one.cpu_s * 1e3 for one in pressed(term, key, ROUNDS, 0.2))
            worst = took[int(len(took) * 0.95)]
            print(f"{what:6} of {things:,} lines: median {statistics.median(took):.1f}, 95th {worst:.1f} CPU-ms")


def interactive_on(term: PtyTerm, line: str) -> None:
    """Wait for the console, and go somewhere."""
    term.wait_for("Runs")
    term.settle(1.0)
    term.send(*line, "enter")
    term.wait_for("commit c0dec0dec0de")
    term.settle(0.5)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--things", type=int, default=10_000)
    things = parser.parse_args().things
    layout(things)
    with tempfile.TemporaryDirectory() as made:
        fill(Path(made), things)
        scrolling(Path(made), things)


if __name__ == "__main__":
    main()
