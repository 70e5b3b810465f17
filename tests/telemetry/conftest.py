from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sampler_kit import QUICK, Samplers

import mlconsole
from fakes.nvml.driver import FakeDriver, library
from mlconsole.telemetry.hangs import Hangs
from mlconsole.telemetry.sampler import Sampler, Timing


@pytest.fixture(scope="session")
def driver_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the fake driver's library, built once."""
    return library(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(driver_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A fake driver with eight GPUs, found by every process that the test starts."""
    fake = FakeDriver(driver_library, tmp_path)
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(Path(mlconsole.__file__).parent.parent))
    return fake


@pytest.fixture
def sampling() -> Iterator[Samplers]:
    """Makes started samplers, stopped after the test."""
    made: list[Sampler] = []

    def make(timing: Timing = QUICK, command: list[str] | None = None, hangs: Hangs | None = None) -> Sampler:
        made.append(Sampler("gpu-07", timing, command, hangs).start())
        return made[-1]

    yield make
    for sampler in made:
        sampler.stop()
