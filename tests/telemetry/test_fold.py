from __future__ import annotations

import math
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot, Value, known, missing
from mlconsole.domain.gpu_history import Bucket, Stat
from mlconsole.telemetry.rollups import Fold

AT = datetime(2026, 3, 1, tzinfo=UTC)
LOAD = "utilization_percent"


def snapshot(number: int, load: Value[float], energy_j: Value[float] | None = None, age_s: float = 0.0) -> GpuSnapshot:
    energy = energy_j or missing("not supported")
    reading = GpuReading("h", 0, "GPU-1", "H100", AT, age_s=age_s, utilization_percent=load, energy_j=energy)
    return GpuSnapshot("h", DriverState.OK, gpus=(reading,), number=number)


def test_a_bucket_is_given_out_once_its_ten_seconds_are_over() -> None:
    fold = Fold()

    for second in range(10):
        assert fold.add(snapshot(second, known(float(second))), 100.0 + second) == []
    (bucket,) = fold.add(snapshot(10, known(50.0)), 110.0)

    assert (bucket.start_s, bucket.width_s, bucket.gpu.uuid) == (100, 10, "GPU-1")
    assert bucket.stats[LOAD] == Stat(10, 45.0, 0.0, 9.0)
    assert bucket.stats["power_w"] == Stat()
    assert bucket.energy_j is None


def test_old_readings_and_repeated_snapshots_add_nothing() -> None:
    fold = Fold()

    fold.add(snapshot(1, known(5.0)), 100.0)
    fold.add(snapshot(1, known(5.0)), 101.0)
    fold.add(snapshot(2, known(5.0), age_s=30.0), 102.0)

    assert fold.close()[0].stats[LOAD].count == 1


def test_energy_is_what_the_counter_grew_by_also_over_the_end_of_a_bucket() -> None:
    fold = Fold()
    counter = [1000.0, 1600.0, 2300.0, 40.0, 140.0]
    closed: list[Bucket] = []

    for second, joules in enumerate(counter):
        closed += fold.add(snapshot(second, known(1.0), known(joules)), 105.0 + 3 * second)
    closed += fold.close()

    assert [(each.start_s, each.energy_j) for each in closed] == [(100, 600.0), (110, 800.0)]


def test_closing_gives_out_what_is_open_once() -> None:
    fold = Fold()
    fold.add(snapshot(1, known(5.0)), 100.0)

    assert len(fold.close()) == 1
    assert fold.close() == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(0, 50))
def test_stats_of_parts_join_to_the_stats_of_the_whole(values: list[float], cut: int) -> None:
    def of(part: list[float]) -> Stat:
        stat = Stat()
        for value in part:
            stat = stat.with_value(value)
        return stat

    joined, whole = of(values[:cut]).joined(of(values[cut:])), of(values)

    assert (joined.count, joined.least, joined.most) == (whole.count, min(values), max(values))
    assert math.isclose(joined.total, whole.total, rel_tol=1e-9, abs_tol=1e-6)
