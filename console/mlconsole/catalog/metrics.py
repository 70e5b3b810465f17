"""Metric histories in chunks, and one summary row for each metric of a run."""

from __future__ import annotations

import math
import sqlite3
from array import array

from mlconsole.catalog.chunks import CHUNK, Points, extremes, floats_of, pack, steps_of, unpack
from mlconsole.catalog.store import Store, Values, storable
from mlconsole.domain.histories import MetricBuckets, MetricHistory
from mlconsole.errors import NotFound

MERGE_RATIO = 4
SELECT_KEY = "SELECT n FROM key WHERE name = :name"
SELECT_WRITERS = """
SELECT writer.n, writer.rank
FROM writer
WHERE writer.run = :run
  AND EXISTS (SELECT 1 FROM chunk WHERE chunk.run = :run AND chunk.key = :key AND chunk.writer = writer.n)
ORDER BY writer.rank, writer.n
"""
SELECT_POINTS = """
SELECT count, step_first, stride, vals, times, steps
FROM chunk
WHERE run = :run AND key = :key AND writer = :writer AND seq >= :seq
ORDER BY seq
"""
SELECT_BUCKETS = """
SELECT count, buckets
FROM chunk
WHERE run = :run AND key = :key AND writer = :writer
ORDER BY seq
"""
SELECT_TAILS = """
SELECT seq, count
FROM chunk
WHERE run = :run AND key = :key AND writer = :writer
ORDER BY seq DESC
LIMIT 16
"""
DELETE_TAILS = "DELETE FROM chunk WHERE run = :run AND key = :key AND writer = :writer AND seq >= :seq"
INSERT_CHUNK = """
INSERT INTO chunk (run, key, writer, seq, count, step_first, stride, buckets, vals, times, steps)
VALUES (:run, :key, :writer, :seq, :count, :step_first, :stride, :buckets, :vals, :times, :steps)
"""
PUT_SUMMARY = """
INSERT INTO metric (run, key, last, min, max, step, count, gaps, rank, last_us)
VALUES (:run, :key, :last, :min, :max, :step, :count, :gaps, :rank, :last_us)
ON CONFLICT (run, key) DO UPDATE SET
    last = CASE WHEN excluded.rank <= rank THEN excluded.last ELSE last END,
    step = CASE WHEN excluded.rank <= rank THEN excluded.step ELSE step END,
    last_us = CASE WHEN excluded.rank <= rank THEN excluded.last_us ELSE last_us END,
    rank = min(rank, excluded.rank),
    min = min(coalesce(min, excluded.min), coalesce(excluded.min, min)),
    max = max(coalesce(max, excluded.max), coalesce(excluded.max, max)),
    count = count + excluded.count,
    gaps = gaps + excluded.gaps
"""


class Metrics:
    """Metric histories of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def history(self, run: int, run_id: str, key: str, rank: int | None = None) -> MetricHistory:
        """Every point of a metric, from the lowest rank that logged it unless another is asked for.

        Raises:
            NotFound: the run has no such metric.
        """
        rows = [
            row
            for writer in self._writers(run, run_id, key, rank)
            for row in self._store.read(SELECT_POINTS, {**writer, "seq": 0})
        ]
        times, values = (floats_of([row[column] for row in rows]) for column in (4, 3))
        return MetricHistory(run_id, key, steps_of(rows), times, values)

    def buckets(self, run: int, run_id: str, key: str, rank: int | None = None) -> MetricBuckets:
        """A metric thinned to buckets of 128 points or less, for charts of any length.

        Raises:
            NotFound: the run has no such metric.
        """
        flat: array[float] = array("d")
        total = 0
        for writer in self._writers(run, run_id, key, rank):
            for count, blob in self._store.read(SELECT_BUCKETS, writer):
                total += count
                flat.frombytes(blob)
        steps, times, lows, highs, lasts, gaps = (flat[i::6].tolist() for i in range(6))
        return MetricBuckets(
            run_id, key, [int(s) for s in steps], times, lows, highs, lasts, [int(g) for g in gaps], total
        )

    def _writers(self, run: int, run_id: str, key: str, rank: int | None) -> list[Values]:
        numbers = self._store.read(SELECT_KEY, {"name": storable(key)})
        found = self._store.read(SELECT_WRITERS, {"run": run, "key": numbers[0][0]}) if numbers else []
        if not found:
            raise NotFound(f'Run "{run_id}" has no metric "{key}".', f"See which it has: mlconsole run show {run_id}")
        wanted = found[0][1] if rank is None else rank
        kept = [row[0] for row in found if row[1] == wanted]
        if not kept:
            raise NotFound(f'No rank {rank} of run "{run_id}" logged "{key}".', "Leave the rank out.")
        return [{"run": run, "key": numbers[0][0], "writer": writer} for writer in kept]


def append(
    db: sqlite3.Connection, run: int, key: int, writer: int, rank: int, new: Points, *, is_first: bool = False
) -> None:
    """Add points to a metric's chunks and summary; for use inside a write transaction.

    Chunks that are not full and at most four times as long as what comes behind them are packed anew with it: a
    run that is followed point by point is rewritten a few times in all, not at every look. With ``is_first`` the
    writer is known to have no chunks yet.
    """
    if not new.values:
        return
    _summarise(db, run, key, rank, new)
    at: Values = {"run": run, "key": key, "writer": writer}
    merged, following = len(new.values), 0
    start: int | None = None
    for seq, count in () if is_first else db.execute(SELECT_TAILS, at).fetchall():
        following = max(following, seq + 1)
        if count >= CHUNK or count > MERGE_RATIO * merged:
            break
        merged, start = merged + count, seq
    points = new
    if start is not None:
        points = Points.none()
        for row in db.execute(SELECT_POINTS, {**at, "seq": start}).fetchall():
            points.extend(unpack(*row))
        points.extend(new)
        db.execute(DELETE_TAILS, {**at, "seq": start})
        following = start
    db.executemany(INSERT_CHUNK, [{**at, "seq": following + i, **chunk} for i, chunk in enumerate(pack(points))])


def _summarise(db: sqlite3.Connection, run: int, key: int, rank: int, new: Points) -> None:
    low, high, gaps = extremes(new.values)
    row = {
        "run": run,
        "key": key,
        "last": new.values[-1],
        "min": low,
        "max": high,
        "step": new.steps[-1],
        "count": len(new.values),
        "gaps": gaps,
        "rank": rank,
        "last_us": _microseconds(new.times[-1]),
    }
    db.execute(PUT_SUMMARY, row)


def _microseconds(time_s: float) -> int:
    return int(time_s * 1e6) if math.isfinite(time_s) and abs(time_s) < 9e12 else 0
