"""The fake driver as a test holds it: builds the library, writes what it answers, reads how often it was called."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")
LIBRARY = "libnvidia-ml.so.1"
SLOT = struct.Struct("56sQ")

#: Eight GPUs of several kinds; the numbers are in the units of nvml.h (MiB, mW, mJ, degrees, MHz).
KINDS = (
    ("NVIDIA H100 80GB HBM3", 81559, 700_000),
    ("NVIDIA H100 80GB HBM3", 81559, 700_000),
    ("NVIDIA A100-SXM4-40GB", 40960, 400_000),
    ("NVIDIA A100-SXM4-40GB", 40960, 400_000),
    ("NVIDIA L4", 23034, 72_000),
    ("NVIDIA GeForce RTX 4090", 24564, 450_000),
    ("Tesla T4", 15360, 70_000),
    ("NVIDIA H200", 143771, 700_000),
)
FIGURES = {
    "util": 93,
    "mem_used": 420,
    "mem_reserved": 500,
    "power": 301_500,
    "energy": 5_000_000,
    "temperature": 61,
    "mem_temperature": 70,
    "sm_clock": 1755,
    "mem_clock": 2619,
    "throttle": 0x4,
    "pcie_tx": 1_000_000,
    "nvlink_tx": 1_000,
}


def uuid(index: int) -> str:
    """The uuid of the fake GPU of that index."""
    return f"GPU-00000000-0000-0000-0000-{index:012d}"


def library(folder: Path) -> Path:
    """The folder of the built library; skips the test where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the fake NVIDIA driver library cannot be built")
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run([compiler, *flags, "-o", str(folder / LIBRARY), str(SOURCE)], check=True, timeout=60)
    return folder


class FakeDriver:
    """A host with this library in the place of NVIDIA's.

    Args:
        folder: holds the built library.
        state: a folder for what it answers and counts.
        gpus: how many GPUs it has.
    """

    def __init__(self, folder: Path, state: Path, gpus: int = 8) -> None:
        self._state, self._counts = state / "nvml.txt", state / "counts"
        self.environment = {
            "LD_LIBRARY_PATH": str(folder),
            "FAKE_NVML": str(self._state),
            "FAKE_NVML_COUNTS": str(self._counts),
        }
        self.gpus = gpus
        self.init = 0
        self.driver = "580.65.06"
        self.missing: set[int] = set()
        self.names: dict[int, str] = {}
        self.figures: dict[int, dict[str, int]] = {index: dict(FIGURES) for index in range(gpus)}
        self.lines: list[str] = []
        self.write()

    def write(self, *lines: str) -> None:
        """Let it answer as its attributes say from its next call on; ``lines`` are added for good."""
        self.lines += lines
        text = [f"driver {self.driver}", f"init {self.init}"]
        for index in set(range(self.gpus)) - self.missing:
            name, total, limit = KINDS[index % len(KINDS)]
            text.append(f"gpu {index} {uuid(index)} {self.names.get(index, name)}")
            figures = {"mem_total": total, "power_limit": limit, **self.figures[index]}
            text += [f"set {index} {key} {value}" for key, value in figures.items()]
        _replace(self._state, "\n".join([*text, *self.lines]) + "\n")

    def only(self, *lines: str) -> None:
        """Take back every line that was added, and add these."""
        self.lines = []
        self.write(*lines)

    def folder_without_library(self) -> Path:
        """A folder for the library path whose library cannot be loaded, whatever this machine has."""
        folder = self._state.parent / "broken"
        folder.mkdir()
        (folder / LIBRARY).write_bytes(b"")
        return folder

    def calls(self) -> dict[str, int]:
        """How often each function of the library was called, over all processes."""
        try:
            data = self._counts.read_bytes()
        except FileNotFoundError:
            return {}
        slots = ((name.rstrip(b"\0").decode(), calls) for name, calls in SLOT.iter_unpack(data))
        return {name: calls for name, calls in slots if name}

    def process(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run Python code in a process that finds this driver."""
        return subprocess.run(
            [sys.executable, "-P", "-c", code],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )


def _replace(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8", errors="surrogateescape")
    beside.replace(path)


def total(calls: dict[str, int], names: Iterable[str] | None = None) -> int:
    """All the calls, or those of some functions."""
    return sum(calls.values()) if names is None else sum(calls.get(name, 0) for name in names)
