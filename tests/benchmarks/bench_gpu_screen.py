"""What the GPUs screen sends to a terminal, and whether a driver that hangs holds its frames up.

    python tests/benchmarks/bench_gpu_screen.py [--seconds N] [--where]

Eight GPUs of the tests' own driver library, read through the real binding, at 160x48. "Little changes": loads, powers
and temperatures waver by a few hundredths, as those of GPUs that train do. ``--where`` tells which parts of the screen
the bytes went to. Keys are timed without the time that the console's own thread and this program stand in line for a
processor: how long other work on the machine holds them up is no figure of ours.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from fakes.nvml.driver import FakeDriver, library
from mlconsole.catalog import Catalog
from ptyterm import PtyTerm

COLUMNS, LINES = 160, 48
SETTLE_S = 70.0
"""Until the line of the last minute is full."""
MOVE = re.compile(rb"\x1b\[(\d+)(?:;(\d+))?H")
HANG = "hang nvmlDeviceGetUtilizationRates 3"
GPUS = 8


class Trainings(threading.Thread):
    """Lets the driver's figures waver once a second."""

    def __init__(self, driver: FakeDriver, waver: int) -> None:
        super().__init__(daemon=True)
        self.driver, self.waver, self.ended = driver, waver, threading.Event()
        self._rng = random.Random(5)

    def run(self) -> None:
        """Until it is ended."""
        while not self.ended.wait(1.0):
            for index, figures in self.driver.figures.items():
                is_idle = index >= GPUS - 2
                figures["util"] = 0 if is_idle else min(100, 93 + self._rng.randint(-self.waver, self.waver))
                watts = 62 if is_idle else 640 + self._rng.randint(-4 * self.waver, 4 * self.waver)
                figures["power"] = watts * 1000 + self._rng.randint(0, 999)
                figures["temperature"] = (34 if is_idle else 61) + self._rng.randint(0, 1)
            self.driver.write()


@contextmanager
def screen(folder: Path, driver: FakeDriver) -> Iterator[PtyTerm]:
    """The console on its GPUs screen."""
    home = folder / "home"
    Catalog(home).close()
    environment = {**driver.environment, "MLCONSOLE_CONFIG": str(folder / "none.toml")}
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(home)]
    with PtyTerm(argv, COLUMNS, LINES, environment, deadline_s=60) as term:
        term.wait_for("rw")
        term.send(":gpus\r")
        term.wait_for("GPU / PROCESS")
        term.wait_for("H200")
        yield term


def watch(term: PtyTerm, seconds: float) -> bytes:
    """What it sends in that time."""
    size, end = len(term.raw), time.monotonic() + seconds
    while time.monotonic() < end:
        term.pump(0.1)
    return bytes(term.raw[size:])


def where(sent: bytes) -> list[tuple[str, int]]:
    """How many bytes went to which row and column that the cursor was put to."""
    counts: Counter[str] = Counter()
    at = [*MOVE.finditer(sent)]
    for here, after in zip(at, [*at[1:], None], strict=True):
        row, column = int(here[1]), int(here[2] or 1)
        name = f"column {column:3}" if 4 <= row < 4 + 3 * GPUS else f"row {row}"
        counts[name] += (after.start() if after else len(sent)) - here.start()
    return counts.most_common(25)


def first_in_line(pid: int) -> None:
    """Let a process' main thread go before others, where that is allowed."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -20)


def in_line_s(*pids: int) -> float:
    """How long the main threads of processes have stood in line for a processor (proc(5), schedstat)."""
    return sum(int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9 for pid in pids)


def answers_s(term: PtyTerm, seconds: float) -> list[float]:
    """How long each key takes to its first byte, sorted, without the time in line for a processor."""
    took, end, rng = [], time.monotonic() + seconds, random.Random(1)
    both = (term.pid, os.getpid())
    while time.monotonic() < end:
        watch(term, rng.uniform(0.02, 0.25))
        size, waited, began = len(term.raw), in_line_s(*both), time.perf_counter()
        term.send("up" if len(took) % 2 else "down")
        while len(term.raw) == size and time.perf_counter() - began < 5:
            term.pump(0.5)
        took.append(time.perf_counter() - began - (in_line_s(*both) - waited))
    return sorted(took)


def row(what: str, figure: str, target: str) -> None:
    """One row of the table."""
    print(f"| {what} | {figure} | {target} |")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--where", action="store_true", help="tell which parts of the screen the bytes went to")
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load "
        f"{os.getloadavg()[0]:.0f}"
    )
    print("| what | measured | to reach |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        driver = FakeDriver(library(folder / "lib"), folder)
        for index in range(GPUS - 2):
            driver.write(f"process {index} C {os.getpid()} 900 40 -1")
        trainings = Trainings(driver, 2)
        trainings.start()
        with screen(folder, driver) as term:
            watch(term, SETTLE_S)
            sent = watch(term, options.seconds)
            row("GPUs screen, 8 GPUs, little changes", f"{len(sent) / options.seconds:,.0f} B/s", "200 B/s")
            if options.where:
                print(*(f"{count / options.seconds:7.1f} B/s {place}" for place, count in where(sent)), sep="\n")
            for pid in (0, term.pid):
                first_in_line(pid)
            before = answers_s(term, options.seconds / 3)
            driver.write(HANG)
            term.wait_for("hang")
            hung = answers_s(term, options.seconds / 3)
            for what, took in (("answers", before), ("hangs", hung)):
                middle, late, most = (1000 * took[int(part * (len(took) - 1))] for part in (0.5, 0.95, 1))
                figures = f"{middle:.1f} / {late:.1f} / {most:.1f} ms of {len(took)}"
                row(f"key to paint while the driver {what}, median / p95 / most", figures, "50 ms")
        trainings.ended.set()


if __name__ == "__main__":
    main()
