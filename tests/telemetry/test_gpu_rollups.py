from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from jobkit import until
from mlconsole.catalog.gpu_rollups import FILE_NAME, GpuHistory
from mlconsole.domain.gpu import Source
from mlconsole.domain.gpu_history import KEPT_FIGURES, Bucket, PastGpu, Stat
from mlconsole.errors import CatalogDamaged, CatalogError, CatalogNewer, CatalogReadOnly

GPU = PastGpu("gpu-07", "GPU-1", "NVIDIA H100", Source.NVML)
POWER = "power_w"
NOON = 1_772_452_800
DAY = 86_400


def bucket(start_s: int, *watts: float, energy_j: float | None = None, gpu: PastGpu = GPU) -> Bucket:
    stat = Stat()
    for each in watts:
        stat = stat.with_value(each)
    return Bucket(gpu, start_s, 10, {POWER: stat}, energy_j)


@pytest.fixture
def history(tmp_path: Path) -> GpuHistory:
    return GpuHistory(tmp_path / "home")


def test_what_is_recorded_is_read_back_in_every_width(history: GpuHistory) -> None:
    history.record([bucket(NOON + 10 * n, 100.0 + n, 300.0) for n in range(60)])

    narrow = history.points(GPU, POWER, NOON, NOON + DAY)
    wide = history.points(GPU, POWER, NOON, NOON + DAY, 300)
    widest = history.points(GPU, POWER, NOON, NOON + DAY, 3600)

    assert (len(narrow), len(wide), len(widest)) == (60, 2, 1)
    assert (narrow[3].start_s, narrow[3].mean, narrow[3].least, narrow[3].most) == (NOON + 30, 201.5, 103.0, 300.0)
    assert (widest[0].least, widest[0].most, widest[0].count) == (100.0, 300.0, 120)
    assert widest[0].mean == pytest.approx(sum(100 + n + 300 for n in range(60)) / 120)


def test_what_was_not_known_leaves_a_gap_and_no_zero(history: GpuHistory) -> None:
    history.record([bucket(NOON, 100.0), bucket(NOON + 10), bucket(NOON + 20, 120.0)])

    assert [point.start_s for point in history.points(GPU, POWER, NOON, NOON + DAY)] == [NOON, NOON + 20]
    assert history.points(GPU, "temperature_c", NOON, NOON + DAY) == []
    (wide,) = history.points(GPU, POWER, NOON, NOON + DAY, 300)
    assert (wide.least, wide.mean) == (100.0, 110.0)


def test_a_gpu_that_is_read_again_joins_the_bucket_that_is_there(history: GpuHistory) -> None:
    history.record([bucket(NOON, 100.0, energy_j=5.0)])
    history.record([bucket(NOON, 400.0, energy_j=7.0)])

    (point,) = history.points(GPU, POWER, NOON, NOON + DAY)
    assert (point.count, point.least, point.most) == (2, 100.0, 400.0)
    assert history.energy_j(GPU, NOON, NOON + DAY) == 12.0


def test_energy_that_was_never_known_is_none(history: GpuHistory) -> None:
    history.record([bucket(NOON, 100.0)])
    assert history.energy_j(GPU, NOON, NOON + DAY) is None

    history.record([bucket(NOON + 10, 100.0, energy_j=7.0)])
    assert history.energy_j(GPU, NOON, NOON + DAY, 3600) == 7.0


def test_a_simulated_gpu_s_past_is_its_own(history: GpuHistory) -> None:
    replayed = PastGpu(GPU.host, GPU.uuid, GPU.name, Source.REPLAY)

    history.record([bucket(NOON, 100.0), bucket(NOON, 700.0, gpu=replayed)])

    assert [each.most for each in history.points(GPU, POWER, NOON, NOON + DAY)] == [100.0]
    assert [each.most for each in history.points(replayed, POWER, NOON, NOON + DAY)] == [700.0]
    assert sorted(each.source for each in history.gpus()) == [Source.NVML, Source.REPLAY]


def test_the_least_power_is_what_a_gpu_draws_when_it_does_nothing(history: GpuHistory) -> None:
    history.record([bucket(NOON, 650.0), bucket(NOON + 600, 71.0, 640.0)])

    assert history.least_power_w(GPU, NOON) == 71.0
    assert history.least_power_w(GPU, NOON + DAY) is None


def test_narrow_buckets_go_after_a_day_and_wide_ones_stay(history: GpuHistory) -> None:
    history.record([bucket(NOON, 100.0)])

    history.record([bucket(NOON + DAY + 20, 200.0)])

    assert [p.start_s for p in history.points(GPU, POWER, 0, NOON + 9 * DAY)] == [NOON + DAY + 20]
    assert len(history.points(GPU, POWER, 0, NOON + 9 * DAY, 300)) == 2


def test_a_file_that_has_grown_too_large_forgets_its_oldest_buckets_first(tmp_path: Path) -> None:
    history = GpuHistory(tmp_path, most_bytes=100_000)
    for hour in range(150):
        history.record([bucket(NOON + 3600 * hour + 300 * n, 100.0) for n in range(12)])

    points = history.points(GPU, POWER, 0, NOON + 999 * DAY, 300)

    assert history.path.stat().st_size < 200_000
    assert points[-1].start_s == NOON + 3600 * 149 + 3300
    assert 100 < len(points) < 150 * 12
    assert points[0].start_s > NOON


def test_one_process_records_at_a_time_and_the_next_may_after_it(tmp_path: Path) -> None:
    one, other = GpuHistory(tmp_path), GpuHistory(tmp_path)

    assert (one.may_record(), one.may_record(), other.may_record()) == (True, True, False)

    one.close()
    assert other.may_record()


def test_a_reader_sees_what_another_process_records(tmp_path: Path) -> None:
    writer, reader = GpuHistory(tmp_path), GpuHistory(tmp_path, read_only=True)

    writer.record([bucket(NOON, 100.0)])

    assert until(lambda: reader.points(GPU, POWER, NOON, NOON + DAY), 2)


def test_reading_without_a_file_is_empty_and_makes_none(tmp_path: Path) -> None:
    history = GpuHistory(tmp_path, read_only=True)

    assert (history.gpus(), history.points(GPU, POWER, 0, NOON), history.may_record()) == ([], [], False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CatalogReadOnly):
        history.record([bucket(NOON, 1.0)])


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    GpuHistory(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()

    with pytest.raises(CatalogNewer):
        GpuHistory(tmp_path)


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 200, None])
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / FILE_NAME
    if content is None:
        with sqlite3.connect(path) as file:
            file.execute("CREATE TABLE theirs (x)")
        file.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()

    with pytest.raises(CatalogDamaged):
        GpuHistory(tmp_path)

    assert path.read_bytes() == before


def test_a_figure_without_a_past_is_refused_by_name(history: GpuHistory) -> None:
    with pytest.raises(CatalogError, match="sm_clock_mhz"):
        history.points(GPU, "sm_clock_mhz", 0, 1)


def test_a_failed_write_keeps_nothing_of_it(history: GpuHistory) -> None:
    broken = Bucket(GPU, NOON + 10, 10, {KEPT_FIGURES[0]: Stat(1, "much", 0.0, 0.0)})  # type: ignore[arg-type]

    with pytest.raises(CatalogError):
        history.record([bucket(NOON, 100.0), broken])

    assert history.points(GPU, POWER, NOON, NOON + DAY) == []
    history.record([bucket(NOON, 100.0)])
