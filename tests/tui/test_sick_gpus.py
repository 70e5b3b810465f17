"""GPUs that cannot be read: each has its line, its page and its word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlconsole.actions.context import Context
from mlconsole.config import load
from mlconsole.domain.gpu import DriverState, GpuHealth, GpuReading, GpuSnapshot
from mlconsole.telemetry.replay import Recording
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location
from tui.robot import Robot

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def reading(index: int, health: GpuHealth) -> GpuReading:
    return GpuReading("gpu-07", index, "", "", NOW, health=health)


async def test_gpus_that_never_told_their_uuid_have_each_a_line_and_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = tuple(reading(index, health) for index, health in enumerate((GpuHealth.LOST, GpuHealth.HUNG)))
    with Recording(tmp_path / "gpus.jsonl") as file:
        for number in (1, 2):
            at = NOW + timedelta(days=number)
            file.add(GpuSnapshot("gpu-07", DriverState.OK, "", "580", gpus, number), at)
    monkeypatch.setenv("MLCONSOLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLCONSOLE_GPUS", str(tmp_path / "gpus.jsonl"))

    async with Console(Context(load()), Location("gpus")).run_test(size=(160, 24)) as pilot:
        user = Robot(pilot)
        await user.sees("LOST", "GPU lost", "HUNG", "the driver does not")

        await user.presses("j", "enter")
        await user.sees("› GPU 1", "HUNG", "the driver does not answer for this GPU")
