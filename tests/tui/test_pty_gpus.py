"""The GPUs screen at a real terminal, over the tests' own driver and the real binding (F-24)."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.nvml.driver import FakeDriver, library
from mlconsole.catalog import Catalog
from ptyterm import PtyTerm

pytest.importorskip("pynvml", reason="the NVIDIA binding is not installed")

SECONDS = 6.0
BYTES_A_SECOND = 200


@pytest.fixture
def driver(tmp_path: Path) -> FakeDriver:
    return FakeDriver(library(tmp_path / "nvml"), tmp_path)


@pytest.fixture
def term(driver: FakeDriver, tmp_path: Path) -> Iterator[PtyTerm]:
    home = tmp_path / "lab"
    Catalog(home).close()
    for index in range(6):
        driver.write(f"process {index} C {os.getpid()} 900 40 -1")
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(home)]
    with PtyTerm(argv, 160, 48, {**driver.environment, "MLCONSOLE_CONFIG": "/nonexistent"}, deadline_s=60) as found:
        found.wait_for("rw")
        found.send(":gpus\r")
        found.wait_for("H200")
        yield found


def waver(driver: FakeDriver, ended: threading.Event) -> None:
    """Once a second the figures of GPUs that train waver by a few hundredths."""
    rng = random.Random(5)
    while not ended.wait(1.0):
        for figures in list(driver.figures.values())[:6]:
            figures["util"], figures["power"] = 93 + rng.randint(-2, 2), 640_000 + rng.randint(-8000, 8000)
            figures["temperature"] = 61 + rng.randint(0, 1)
        driver.write()


def test_eight_gpus_of_which_little_changes_send_little(term: PtyTerm, driver: FakeDriver) -> None:
    ended = threading.Event()
    changing = threading.Thread(target=waver, args=(driver, ended))
    changing.start()
    try:
        term.wait_until(lambda: term.text.count("BUSY") >= 6, "the GPUs at work")
        with term.measured() as cost:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                term.pump(0.2)
    finally:
        ended.set()
        changing.join()
    assert 0 < cost.bytes <= BYTES_A_SECOND * cost.wall_s


def test_keys_answer_while_a_call_of_the_driver_hangs(term: PtyTerm, driver: FakeDriver) -> None:
    driver.write("hang nvmlDeviceGetUtilizationRates 3")
    term.wait_for("hang")

    for key, row in (("down", 1), ("up", 0)):
        term.send(key)
        term.wait_until(lambda row=row: cursor_row(term) == row, f"the cursor in row {row}", 5)
    term.send(":")
    term.wait_until(lambda: term.text.endswith(":"), "the line to open", 5)
    term.send("escape")
    term.wait_until(lambda: not term.text.endswith(":"), "the line to close", 5)
    term.send("q")
    assert term.wait_exit(10) == 0


def cursor_row(term: PtyTerm) -> int:
    lines = term.text.splitlines()
    head = next(at for at, line in enumerate(lines) if "GPU / PROCESS" in line)
    return next((at for at, line in enumerate(lines[head + 1 :]) if line.startswith("▌")), -1)


def test_a_machine_without_a_driver_is_said_to_be_one(driver: FakeDriver, tmp_path: Path) -> None:
    home = tmp_path / "lab"
    Catalog(home).close()
    env = {**driver.environment, "LD_LIBRARY_PATH": str(driver.folder_without_library())}
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(home)]
    with PtyTerm(argv, 120, 24, {**env, "MLCONSOLE_CONFIG": "/nonexistent"}, deadline_s=60) as term:
        term.wait_for("rw")
        term.send(":gpus\r")
        term.wait_for("no NVIDIA driver on this host")
