"""Hashing of datasets, and lineage in a catalog of a million artifacts.

    python tests/benchmarks/bench_content.py [--artifacts N] [--megabytes N] [--folder DIR]

The generated graph is that of a team that trains: each run has a commit and uses a few datasets, most of them among the
newest, and makes checkpoints and artifacts; models are registered, released together, and deployed. Processor time
is beside wall time, because the machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from mlconsole.catalog import Catalog
from mlconsole.catalog.live_lineage import keep_ancestors
from mlconsole.content.hashing import Hasher
from mlconsole.content.tree import find, measure, source_of
from mlconsole.domain.lineage import Node, Way
from mlconsole.domain.times import from_us

RUNS_EACH = 14
PARTS_EACH = 10
ROUNDS = 200
INSERT_NODE = "INSERT INTO node (n, kind, key, label, at_us) VALUES (?, ?, ?, ?, ?)"
INSERT_ENVIRONMENT = """
INSERT INTO environment (name, target, settings, host, allowed, is_production, gates, bake_us, created_us, created_by)
VALUES (?, '', '', '', '', 0, '', 0, 1, 'bench')
"""
INSERT_EDGE = "INSERT OR IGNORE INTO edge (below, above, role) VALUES (?, ?, ?)"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(wall, processor) seconds of a call."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - busy


def hashing(folder: Path, megabytes: int) -> None:
    """Print the rate of hashing a file that lies in memory, and of looking at many that were not touched."""
    block = os.urandom(1 << 20)
    with (folder / "large").open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
    rounds = [timed(lambda: Hasher().digest(str(folder / "large"))) for _ in range(5)]
    for what, seconds in (("wall", min(w for w, _ in rounds)), ("processor", min(b for _, b in rounds))):
        print(f"hash one file of {megabytes} MiB, one thread, {what:9} {megabytes / 1024 / seconds:8.2f} GiB/s")
    (folder / "large").unlink()
    many = folder / "many"
    for number in range(10_000):
        path = many / f"{number // 100:03}" / f"{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "little") * 64)
    first = Hasher(now_ns=lambda: time.time_ns() + 10**10)
    print(f"hash 10,000 small files                       {timed(lambda: look(many, first))[0]:8.2f} s")
    print(f"look at them again, none touched              {timed(lambda: look(many, Hasher(first.learned)))[0]:8.2f} s")


def look(folder: Path, hasher: Hasher) -> None:
    """Make the manifest of a folder."""
    measure(find(source_of(str(folder), "/")), hasher)


def edges(artifacts: int, dice: random.Random) -> Iterator[tuple[int, int, str]]:
    """Edges, (below, above, role), ten a node; numbers grow with time.

    Of every hundred nodes the first ten are commits and datasets, the next twenty runs, the rest what came of them.
    """
    for number in range(1, artifacts + 1):
        place = number % 100
        if place < 10 or number < 100:
            continue
        block = number - place
        if place < 30:
            sources = {max(1, block - 100 * int(dice.expovariate(0.5)) + dice.randrange(10)) for _ in range(4)}
            yield from ((number, above, "used") for above in sources)
        else:
            yield from ((number, block + 10 + run, "made") for run in dice.sample(range(20), RUNS_EACH))


def fill(catalog: Catalog, artifacts: int) -> int:
    """Put the graph into the catalog; returns the number of edges."""
    dice = random.Random(7)

    def put(db: sqlite3.Connection) -> None:
        rows = ((n, "artifact", f"sha256:{n:064x}", f"artifact {n}", n) for n in range(1, artifacts + 1))
        db.executemany(INSERT_NODE, rows)
        db.executemany(INSERT_EDGE, edges(artifacts, dice))
        for number in range(1, 101):
            at = artifacts + number
            db.execute(INSERT_NODE, (at, "deployment", f"deployment:e{number}:1", f"e{number} #1", at))
            db.execute(INSERT_ENVIRONMENT, (f"e{number}",))
            db.execute("UPDATE environment SET generation = 1 WHERE name = ?", (f"e{number}",))
            parts = [artifacts - dice.randrange(artifacts // 2) for _ in range(PARTS_EACH)]
            db.executemany(INSERT_EDGE, [(at, part, "serves") for part in parts])

    catalog.write(put)
    return int(catalog.store.read("SELECT count(*) FROM edge")[0][0])


def lineage(folder: Path, artifacts: int) -> None:
    """Print how long the ancestry of a deployment takes, and what lies under a dataset."""
    catalog = Catalog(folder)
    wall, _ = timed(lambda: fill(catalog, artifacts))
    count = catalog.store.read("SELECT count(*) FROM edge")[0][0]
    print(f"{artifacts:,} artifacts, {count:,} edges in {(folder / 'catalog.db').stat().st_size / 1e6:,.0f} MB,"
          f" written in {wall:.0f} s")  # fmt: skip
    dice = random.Random(11)
    deployments = [artifacts + dice.randrange(100) + 1 for _ in range(ROUNDS)]
    datasets = [dice.randrange(artifacts // 100) * 100 + dice.randrange(1, 10) for _ in range(ROUNDS)]
    for what, numbers, way in (("up from a deployment", deployments, Way.UP), ("down from data", datasets, Way.DOWN)):
        walk(catalog, what, numbers, way)
    blast(catalog, [artifacts - dice.randrange(artifacts // 2) for _ in range(ROUNDS)])
    catalog.close()


def blast(catalog: Catalog, numbers: list[int]) -> None:
    """Print how long it takes to say what is live of these nodes, after what is live was looked at once."""
    live = catalog.live_lineage

    def learn() -> None:
        for node in live.unknown():
            found, is_cut = live.ancestors(node.number, lambda: False)
            catalog.write(partial(keep_ancestors, deployment=node.number, numbers=found, is_cut=is_cut))

    wall, busy = timed(learn)
    kept = catalog.store.read("SELECT count(*) FROM deployed_from")[0][0]
    print(f"what 100 live deployments came from, looked at once: {kept:,} rows, {wall:.2f} s, {busy:.2f} CPU-s")
    report("live deployments of it", numbers, lambda n: len(live.unknown()) + len(live.cut()) + len(live.came_of(n)))


def walk(catalog: Catalog, what: str, numbers: list[int], way: Way) -> None:
    """Print the times of closures from these nodes."""

    def size(number: int) -> int:
        return len(catalog.lineage.closure(Node(number, "", "", "", from_us(0)), way).nodes)

    report(what, numbers, size)


def report(what: str, numbers: list[int], work: Callable[[int], int]) -> None:
    """Print the median and the 95th percentile of the time that each takes."""
    sizes: list[int] = []
    times = [timed(lambda number=number: sizes.append(work(number))) for number in numbers]
    walls, busies = (sorted(1e3 * one[side] for one in times) for side in (0, 1))
    place = int(len(times) * 0.95)
    print(f"{what:24} {statistics.median(sizes):6,.0f} found", end="")
    for kind, found in (("wall", walls), ("CPU", busies)):
        print(f"   {kind}: median {statistics.median(found):6.2f}, 95th {found[place]:6.2f} ms", end="")
    print()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=int, default=1_000_000)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--folder", help="where to work, by default a temporary folder")
    words = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} processors"
    print(f"{machine}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory(dir=words.folder) as made:
        hashing(Path(made), words.megabytes)
        lineage(Path(made) / "home", words.artifacts)


if __name__ == "__main__":
    main()
