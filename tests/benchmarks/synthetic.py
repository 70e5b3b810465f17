"""Makes catalogs of any size for benchmarks: real tables filled by bulk SQL, 100,000 runs in seconds.

The runs are made up: values follow from a run's number by multiplication, so that two catalogs of one size are equal.

Usage: python tests/benchmarks/synthetic.py DIRECTORY [RUNS] [--histories N]
"""

from __future__ import annotations

import argparse
import math
import sqlite3
import time
from array import array
from pathlib import Path

from mlconsole.catalog import Catalog
from mlconsole.catalog.chunks import Points
from mlconsole.catalog.metrics import append

PARAMS = ("lr", "batch_size", "hidden", "seed", "optimizer")
METRICS = ("train/loss", "val/loss", "val/acc", "grad_norm", "epoch", "tokens_per_s", "lr_now", "gpu_util")
RARE = "bleu"
"""A metric that one run in a thousand has."""
LIVE = 5
"""So many of the newest runs are running."""

INSERT_RUNS = """
WITH RECURSIVE counted(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < :runs)
INSERT INTO run (id, name, experiment, state, outcome, exit_code, host, user, command, cwd, gpus, created_us,
                 started_us, ended_us, commit_id)
SELECT printf('%012x', (i * 2654435761) % 281474976710656),
       printf('%s-%05x', CASE i % 3 WHEN 0 THEN 'churn' WHEN 1 THEN 'ranker' ELSE 'vision' END, (i * 40503) % 1048573),
       1 + i % 3,
       CASE WHEN i > :runs - :live THEN 'running' ELSE 'ended' END,
       CASE WHEN i > :runs - :live THEN NULL WHEN (i * 7919) % 100 < 80 THEN 'succeeded'
            WHEN (i * 7919) % 100 < 95 THEN 'failed' ELSE 'cancelled' END,
       CASE WHEN i > :runs - :live THEN NULL WHEN (i * 7919) % 100 < 80 THEN 0 ELSE 1 END,
       'gpu-' || (i * 31 % 8), 'user' || (i * 17 % 20), '["python","train.py","--lr","0.1","--epochs","40"]',
       '/home/lab/project', i % 3, :start + i * 60000000, :start + i * 60000000 + 900000,
       CASE WHEN i > :runs - :live THEN NULL ELSE :start + i * 60000000 + (i * 7919 % 7200) * 1000000 END,
       printf('%040x', i * 2654435761)
FROM counted
"""
INSERT_NUMBER_PARAM = """
INSERT INTO param (run, key, value, text, num)
SELECT n, :key, v, v, CAST(v AS REAL)
FROM (SELECT n, CAST((n * :factor) % :modulus + 1 AS TEXT) AS v FROM run)
"""
INSERT_TEXT_PARAM = """
INSERT INTO param (run, key, value, text)
SELECT n, :key, '"' || v || '"', v
FROM (SELECT n, CASE n % 3 WHEN 0 THEN 'adam' WHEN 1 THEN 'sgd' ELSE 'adamw' END AS v FROM run)
"""
INSERT_METRICS = """
INSERT INTO metric (run, key, last, min, max, step, count, gaps, rank, last_us)
SELECT run.n, key.n,
       CASE WHEN mixed(run.n, key.n) % 101 = 0 THEN NULL ELSE mixed(run.n, key.n) / 1048576.0 END,
       mixed(run.n, key.n) / 1048576.0 * 0.9, mixed(run.n, key.n) / 1048576.0 * 1.5, 999, 1000, 0, 0, 0
FROM run CROSS JOIN key
WHERE key.name IN (SELECT value FROM json_each(:names)) OR (key.name = :rare AND run.n % 1000 = 0)
ORDER BY run.n, key.n
"""
INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
START_US = 1_700_000_000_000_000


def make(home: Path, runs: int, *, histories: int = 4) -> None:
    """Fill a new catalog.

    Args:
        home: the directory to make it in; must not hold one.
        runs: how many runs.
        histories: so many of the newest runs get 20,000 points of two metrics, for charts.
    """
    catalog = Catalog(home)
    try:
        fill(catalog.store.connection(), runs)
        for number in range(max(1, runs - histories + 1), runs + 1):
            catalog.write(lambda db, number=number: _add_history(db, number))
        catalog.store.checkpoint()
    finally:
        catalog.close()


def fill(db: sqlite3.Connection, runs: int) -> None:
    """Add the rows, indexes after the tables."""
    db.create_function("mixed", 2, _mixed, deterministic=True)
    db.execute("PRAGMA synchronous = OFF")
    indexes = db.execute(INDEXES).fetchall()
    db.execute("BEGIN IMMEDIATE")
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    names = [("vision",), ("nlp",), ("churn",)]
    db.executemany("INSERT INTO experiment (name, created_us) VALUES (?, 0)", names)
    db.execute(INSERT_RUNS, {"runs": runs, "live": min(LIVE, runs), "start": START_US})
    db.executemany("INSERT INTO key (name) VALUES (?)", [(name,) for name in (*PARAMS, *METRICS, RARE, "baseline")])
    for key, modulus in enumerate((1000, 8, 12, 100_000), 1):
        db.execute(INSERT_NUMBER_PARAM, {"key": key, "factor": 48271, "modulus": modulus})
    db.execute(INSERT_TEXT_PARAM, {"key": len(PARAMS)})
    db.execute(INSERT_METRICS, {"names": '["' + '","'.join(METRICS) + '"]', "rare": RARE})
    db.execute("INSERT INTO tag (run, key, value) SELECT n, (SELECT max(n) FROM key), '' FROM run WHERE n % 50 = 0")
    for _, sql in indexes:
        db.execute(sql)
    db.execute("COMMIT")
    db.execute("PRAGMA synchronous = NORMAL")


def _mixed(run: int, key: int) -> int:
    """Twenty bits that look random (the mixing step of splitmix64: Steele, Lea and Flood, 2014)."""
    z = (run * 0x9E3779B97F4A7C15 + key * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 31)) & 0xFFFFF


def _add_history(db: sqlite3.Connection, run: int) -> None:
    count = 20_000
    db.execute("INSERT INTO writer (run, name) VALUES (?, '0-1-0.mlog')", (run,))
    writer = db.execute("SELECT max(n) FROM writer").fetchone()[0]
    db.execute("DELETE FROM metric WHERE run = ? AND key IN (6, 8)", (run,))
    times = array("d", [START_US / 1e6 + run * 60 + i * 0.1 for i in range(count)])
    for key, curve in ((6, lambda i: math.exp(-i / 4000)), (8, lambda i: 1 - math.exp(-i / 6000))):
        values = array("d", [curve(i) + 0.02 * math.sin(i * (1.1 + run % 7)) for i in range(count)])
        append(db, run, key, writer, 0, Points(array("q", range(count)), times, values))


def main() -> None:
    """Make one catalog."""
    parser = argparse.ArgumentParser(description="Make a catalog of made-up runs for benchmarks.")
    parser.add_argument("directory", type=Path, help="where to make it; must not hold one")
    parser.add_argument("runs", type=int, nargs="?", default=100_000, help="how many runs (%(default)s)")
    parser.add_argument("--histories", type=int, default=4, help="so many of the newest have points (%(default)s)")
    words = parser.parse_args()
    if (words.directory / "catalog.db").exists():
        parser.error(f'There is a catalog in "{words.directory}" already.')
    began = time.perf_counter()
    make(words.directory, words.runs, histories=words.histories)
    print(f"{words.runs:,} runs in {words.directory} after {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
