"""Metric histories read back as they were logged, however they arrived."""

from __future__ import annotations

import itertools
import math
import struct
from array import array

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogkit import MadeRun, points, put_runs
from mlconsole.catalog import Catalog
from mlconsole.catalog.chunks import BUCKET, CHUNK, Points, pack, steps_of, stride_of, unpack
from mlconsole.catalog.metrics import append
from mlconsole.catalog.names import key_numbers
from mlconsole.errors import NotFound

steps64 = st.integers(-(1 << 63), (1 << 63) - 1)
step_lists = st.one_of(
    st.lists(steps64, min_size=1, max_size=20),
    st.builds(
        lambda first, stride, count: [first + stride * i for i in range(count)],
        st.integers(-(1 << 40), 1 << 40),
        st.integers(-1000, 1000),
        st.integers(1, 20),
    ),
)


def bits(values: array[float]) -> list[int]:
    return [word for (word,) in struct.iter_unpack("<Q", values.tobytes())]


def add(catalog: Catalog, batches: list[list[float]]) -> None:
    """Log batches one after the other as the metric "m" of run 1."""
    (run,) = put_runs(catalog, [MadeRun("aaa")])
    catalog.write(lambda db: db.execute("INSERT INTO writer (run, name) VALUES (?, 'w')", (run,)))
    step = 0
    for batch in batches:
        new = points(batch, step)
        catalog.write(lambda db, new=new: append(db, run, key_numbers(db, ["m"])["m"], 1, 0, new))  # type: ignore[misc]
        step += len(batch)


def chunk_sizes(catalog: Catalog) -> list[int]:
    return [row[0] for row in catalog.store.read("SELECT count FROM chunk ORDER BY seq")]


@settings(deadline=None, max_examples=300)
@given(step_lists, st.data())
def test_packed_points_are_the_points(steps: list[int], data: st.DataObject) -> None:
    floats = st.lists(st.floats(), min_size=len(steps), max_size=len(steps))
    made = Points(array("q", steps), array("d", data.draw(floats)), array("d", data.draw(floats)))
    out = Points.none()
    for chunk in pack(made):
        columns = [chunk[name] for name in ("count", "step_first", "stride", "vals", "times", "steps")]
        out.extend(unpack(*columns))  # type: ignore[arg-type]
    assert out.steps == made.steps
    assert bits(out.times) == bits(made.times)
    assert bits(out.values) == bits(made.values)


@settings(deadline=None, max_examples=200)
@given(st.lists(step_lists, max_size=6), st.booleans())
def test_steps_of_several_chunks_are_their_steps_in_order(parts: list[list[int]], go_on: bool) -> None:
    if go_on:
        parts = [list(range(7 * i, 7 * i + 7)) for i in range(len(parts))] + parts
    rows = []
    for steps in parts:
        made = Points(array("q", steps), array("d", [0.0] * len(steps)), array("d", [0.0] * len(steps)))
        rows += [(c["count"], c["step_first"], c["stride"], b"", b"", c["steps"]) for c in pack(made)]
    assert list(steps_of(rows)) == [step for steps in parts for step in steps]


def test_even_steps_take_no_space() -> None:
    assert stride_of(array("q", range(0, 1000, 10))) == 10
    assert stride_of(array("q", [5] * 9)) == 0
    assert stride_of(array("q", range(9, 0, -1))) == -1
    assert stride_of(array("q", [0, 1, 3])) is None
    assert stride_of(array("q", [-(1 << 63), (1 << 63) - 1])) is None


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 3 * CHUNK), max_size=12))
def test_points_that_come_in_batches_are_one_history(catalog: Catalog, sizes: list[int]) -> None:
    catalog.write(lambda db: db.execute("DELETE FROM run"))
    flat = [math.sin(i) for i in range(sum(sizes))]
    edges = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    (run,) = put_runs(catalog, [MadeRun("aaa")])
    writer = catalog.write(lambda db: db.execute("INSERT INTO writer (run, name) VALUES (?, 'w')", (run,)).lastrowid)
    assert writer is not None
    for start, end in itertools.pairwise(edges):
        new = points(flat[start:end], start)
        catalog.write(lambda db, new=new: append(db, run, key_numbers(db, ["m"])["m"], writer, 0, new))  # type: ignore[misc]
    if flat:
        history = catalog.metrics.history(run, "aaa", "m")
        assert (list(history.values), list(history.steps)) == (flat, list(range(len(flat))))
        assert catalog.runs.get("aaa").metrics["m"].count == len(flat)
        assert all(size <= CHUNK for size in chunk_sizes(catalog))


def test_a_run_followed_point_by_point_ends_in_few_chunks(catalog: Catalog) -> None:
    add(catalog, [[float(i)] for i in range(1500)])
    assert len(chunk_sizes(catalog)) <= 8
    assert list(catalog.metrics.history(1, "aaa", "m").values) == [float(i) for i in range(1500)]


def test_appending_rewrites_little(catalog: Catalog) -> None:
    add(catalog, [[1.0] * CHUNK, [2.0] * CHUNK])
    before = catalog.store.read("SELECT n FROM chunk ORDER BY seq")
    catalog.write(lambda db: append(db, 1, key_numbers(db, ["m"])["m"], 1, 0, points([3.0], 2 * CHUNK)))
    assert catalog.store.read("SELECT n FROM chunk ORDER BY seq")[:2] == before


def test_buckets_hold_every_extreme_and_count_the_gaps(catalog: Catalog) -> None:
    values = [1.0] * 1000
    values[137], values[500], values[700], values[701] = 9.0, -5.0, math.nan, math.inf
    add(catalog, [values])
    buckets = catalog.metrics.buckets(1, "aaa", "m")
    assert (max(buckets.highs), min(buckets.lows), sum(buckets.gaps), buckets.count) == (9.0, -5.0, 2, 1000)
    assert buckets.steps == list(range(0, 1000, BUCKET))
    assert buckets.highs[137 // BUCKET] == 9.0


def test_a_bucket_without_a_finite_point_says_so(catalog: Catalog) -> None:
    add(catalog, [[math.nan] * BUCKET + [math.inf]])
    buckets = catalog.metrics.buckets(1, "aaa", "m")
    assert all(math.isnan(low) for low in buckets.lows)
    assert buckets.lasts[1] == math.inf
    summary = catalog.runs.get("aaa").metrics["m"]
    assert (summary.last, summary.min, summary.max, summary.count) == (math.inf, None, None, BUCKET + 1)


def test_a_metric_that_a_run_does_not_have_is_not_found(catalog: Catalog) -> None:
    add(catalog, [[1.0]])
    with pytest.raises(NotFound, match='has no metric "nosuch"'):
        catalog.metrics.history(1, "aaa", "nosuch")
    with pytest.raises(NotFound, match="No rank 7"):
        catalog.metrics.history(1, "aaa", "m", rank=7)
