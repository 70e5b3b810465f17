"""Commands on a machine whose NVIDIA driver is the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.nvml.driver import FakeDriver, library, uuid
from program import Program

PRINT = ("sh", "-c", 'echo "devices=$CUDA_VISIBLE_DEVICES"; exec sleep 600')
__all__ = ["PRINT", "FakeDriver", "devices", "on_gpus", "uuid"]


def on_gpus(program: Program, folder: Path, gpus: int) -> tuple[Program, FakeDriver]:
    """The program on a machine with so many fake GPUs; skips where the fake cannot be built."""
    pytest.importorskip("pynvml", reason="the NVIDIA binding is not installed")
    built = library(folder / "nvml")
    state = folder / "nvml-state"
    state.mkdir()
    driver = FakeDriver(built, state, gpus)
    return Program(program.home, program.cwd, {**program.env, **driver.environment}), driver


def devices(program: Program, run: str) -> str:
    """What a run's program was given in CUDA_VISIBLE_DEVICES."""
    output = program("run", "logs", run).out
    assert output.startswith("devices="), output
    return output.splitlines()[0].removeprefix("devices=")
