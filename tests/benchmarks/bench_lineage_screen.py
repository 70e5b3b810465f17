"""The lineage screen with ten thousand things on it: the layout of the lanes, and what a frame of scrolling costs.

    python tests/benchmarks/bench_lineage_screen.py [--things N]

The layout is that of a random graph of two sources a node. The screen shows a commit that so many runs were made from,
all of them unfolded. Processor time, because the machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from textual.pilot import Pilot

from mlconsole import config
from mlconsole.actions.context import Context
from mlconsole.catalog import Catalog
from mlconsole.catalog.lineage import put_edge, put_node
from mlconsole.domain.lanes import in_order, lanes
from mlconsole.domain.lineage import NodeKind, Way
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location

SIZE = (160, 48)
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


async def idle(pilot: Pilot[None]) -> None:
    """Wait until the reader has nothing to do."""
    await pilot.pause(0.2)
    while pilot.app.reads.waiting_s:  # type: ignore[attr-defined]
        await pilot.pause(0.05)
    await pilot.pause()


async def screen(home: Path, things: int) -> None:
    """Print what a page of scrolling costs, all unfolded."""
    app = Console(
        Context(config.load({"TERM": "xterm-256color", "MLCONSOLE_READ_ONLY": "1"}, catalog=str(home))),
        Location("lineage", "c0dec0de"),
    )
    async with app.run_test(size=SIZE) as pilot:
        await idle(pilot)
        shown = app.screen
        shown._explorer.limits[(shown._view.start.number, Way.DOWN)] = things  # type: ignore[attr-defined]
        began = time.process_time()
        shown.look_again()  # type: ignore[attr-defined]
        await idle(pilot)
        print(f"reading and drawing all of it: {(time.process_time() - began) * 1e3:.0f} CPU-ms")
        await pilot.press("g", "j", "j")
        took = []
        for key in ("pagedown", "j") * ROUNDS:
            began = time.process_time()
            await pilot.press(key)
            took.append((time.process_time() - began) * 1e3)
        count = len(shown._view.rows)  # type: ignore[attr-defined]
    for key, first in (("page", 0), ("cursor", 1)):
        some = sorted(took[first::2])
        worst = some[int(len(some) * 0.95)]
        print(f"{key:6} of {count:,} lines: median {statistics.median(some):.1f}, 95th {worst:.1f} CPU-ms")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--things", type=int, default=10_000)
    things = parser.parse_args().things
    layout(things)
    with tempfile.TemporaryDirectory() as made:
        fill(Path(made), things)
        asyncio.run(screen(Path(made), things))


if __name__ == "__main__":
    main()
