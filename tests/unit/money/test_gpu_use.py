"""What a run's GPUs did is kept with the run after their own history has forgotten it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlconsole.actions.context import Context
from mlconsole.actions.gpu_use import FILE, MOST_POINTS, keep_uses, use_of
from mlconsole.catalog.gpu_rollups import FILE_NAME, GpuHistory
from mlconsole.catalog.leases import Tenant, insert_leases
from mlconsole.catalog.machines import ensure_machine
from mlconsole.catalog.run_changes import NewRun, insert_run, set_columns
from mlconsole.config import Settings
from mlconsole.domain.gpu import GpuReading, Source
from mlconsole.domain.gpu_history import Bucket, PastGpu, Stat
from mlconsole.domain.runs import State
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime

NOW = datetime(2025, 6, 18, 12, tzinfo=UTC)
HOST, BEGIN_S = "gpu-1", int(NOW.timestamp())
GPU = PastGpu(HOST, "GPU-0", "H100", Source.NVML)


def ended_run(folder: Path, lasted: timedelta) -> tuple[Context, Path]:
    """A run that held a GPU from NOW on and has ended; the session is an hour later."""
    ctx = Context(Settings(folder, "ann", HOST), clock=lambda: NOW + lasted + timedelta(hours=1))
    new = NewRun(id="aaaa", name="train", experiment="e", created_at=NOW, state=State.RUNNING)
    number = ctx.catalog.write(lambda db: insert_run(db, new, "made by a test"))
    machine = ctx.catalog.write(lambda db: ensure_machine(db, HOST, 1, to_us(NOW), Uptime("boot", 10**9)))
    reading = GpuReading(HOST, 0, GPU.uuid, GPU.name, NOW)
    tenant = Tenant(number, "aaaa", "train", "e", "ann")
    ctx.catalog.write(lambda db: insert_leases(db, machine, tenant, [reading], NOW))
    ctx.catalog.write(
        lambda db: set_columns(db, number, state="ended", outcome="succeeded", ended_us=to_us(NOW + lasted))
    )
    (folder / "runs" / "aaaa").mkdir(parents=True, exist_ok=True)
    return ctx, folder / "runs" / "aaaa"


def past_of(folder: Path, lasted: timedelta) -> GpuHistory:
    past = GpuHistory(folder)
    assert past.may_record()
    buckets = range(0, int(lasted.total_seconds()), 10)
    past.record(
        [Bucket(GPU, BEGIN_S + at, 10, {"power_w": Stat(10, 10.0 * (at % 20), at % 20, at % 20)}) for at in buckets]
    )
    return past


def test_a_run_keeps_what_its_gpus_did_when_their_history_is_gone(tmp_path: Path) -> None:
    lasted = timedelta(minutes=10)
    ctx, folder = ended_run(tmp_path, lasted)
    past = past_of(tmp_path, lasted)

    keep_uses(ctx, past)
    past.close()
    os.unlink(tmp_path / FILE_NAME)
    use = use_of(folder)
    ctx.close()

    assert use is not None
    assert use.gpus() == [GPU]
    points = use.points(GPU, "power_w", BEGIN_S, BEGIN_S + 600)
    assert [(point.start_s, point.mean) for point in points[:3]] == [
        (BEGIN_S, 0),
        (BEGIN_S + 10, 10),
        (BEGIN_S + 20, 0),
    ]
    assert (len(points), use.width_s) == (60, 10)


def test_a_long_run_keeps_as_many_points_as_a_chart_needs_with_their_extremes(tmp_path: Path) -> None:
    lasted = timedelta(hours=5)
    ctx, folder = ended_run(tmp_path, lasted)
    past = past_of(tmp_path, lasted)

    keep_uses(ctx, past)
    use = use_of(folder)
    past.close()
    ctx.close()

    assert use is not None
    points = use.points(GPU, "power_w", BEGIN_S, BEGIN_S + 5 * 3600)
    assert MOST_POINTS / 2 <= len(points) <= MOST_POINTS
    assert {(point.mean, point.least, point.most) for point in points[:-1]} <= {(5.0, 0.0, 10.0)}


def test_it_is_written_once_and_again_after_another_end(tmp_path: Path) -> None:
    ctx, folder = ended_run(tmp_path, timedelta(minutes=1))
    past = past_of(tmp_path, timedelta(minutes=1))
    keep_uses(ctx, past)
    (folder / FILE).write_text("{}")
    keep_uses(ctx, past)
    once = (folder / FILE).read_text()

    os.utime(folder / FILE, (BEGIN_S, BEGIN_S))
    keep_uses(ctx, past)
    past.close()
    ctx.close()

    assert once == "{}"
    assert use_of(folder) is not None


def test_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"width_s": 10, "gpus": [{"uuid": 3}]}')

    assert use_of(tmp_path) is None
    assert use_of(tmp_path / "gone") is None
