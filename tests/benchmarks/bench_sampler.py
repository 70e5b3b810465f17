"""What watching eight GPUs costs: the sampler's child, the console's side of it, and the driver calls.

    python tests/benchmarks/bench_sampler.py [--seconds N] [--real]

Without ``--real`` the driver is the project's own stand-in, eight GPUs with two processes each: its calls cost next to
nothing, so the figures are those of our own code. With ``--real`` this machine's driver is read.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from fakes.nvml.driver import FakeDriver, library, total
from mlconsole.telemetry.rollups import Fold
from mlconsole.telemetry.sampler import Sampler
from telemetry.sampler_kit import children

TICK_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """The CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK_S


def rss_mib(pid: int, key: str = "VmHWM") -> float:
    """The most memory that a process has held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def latest_us(sampler: Sampler, calls: int = 2000) -> float:
    """The slowest of many looks, in microseconds, while the child goes on."""
    slowest = 0.0
    for _ in range(calls):
        began = time.perf_counter()
        sampler.latest()
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.0005)
    return slowest * 1e6


def watch(sampler: Sampler, seconds: float) -> float:
    """Look once a second as a screen does; returns this process's CPU seconds."""
    fold = Fold()
    began = time.process_time()
    for _ in range(int(seconds)):
        fold.add(sampler.latest(), time.time())
        time.sleep(1.0)
    return time.process_time() - began


def command_cpu_s(folder: Path, times: int = 5) -> list[float]:
    """The CPU seconds of ``gpu list --json`` with its sampler's, sorted."""
    words = [sys.executable, "-P", "-m", "mlconsole", "gpu", "list", "--json", "--catalog", str(folder / "home")]
    took = []
    for _ in range(times):
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        took.append(used.ru_utime + used.ru_stime)
    return sorted(took)


def row(what: str, figure: str, target: str) -> None:
    """One row of the table."""
    print(f"| {what} | {figure} | {target} |")


def measure(seconds: float, driver: FakeDriver | None) -> None:
    """Print the table."""
    began = time.perf_counter()
    start_s = time.process_time()
    sampler = Sampler("bench").start()
    snapshot = sampler.wait(60)
    first_s = time.perf_counter() - began
    start_s = time.process_time() - start_s
    if not snapshot.gpus:
        sampler.stop()
        sys.exit(f"nothing to measure: {snapshot.words}")
    (child,) = children()
    start_cpu_s = cpu_s(child)
    time.sleep(1.5)
    before_cpu_s, before_s = cpu_s(child), time.monotonic()
    before_calls = driver.calls() if driver else {}
    parent_s = watch(sampler, seconds)
    passed_s = time.monotonic() - before_s
    child_part = (cpu_s(child) - before_cpu_s) / passed_s
    print("| what | measured | to reach |\n| --- | --- | --- |")
    row("GPUs", str(len(snapshot.gpus)), "8")
    row("child: part of a core at 1 Hz", f"{100 * child_part:.2f} %", "< 1 %")
    row("child: memory", f"{rss_mib(child):.1f} MB", "< 30 MB")
    row("child: start and first look", f"{start_cpu_s:.2f} CPU-s, {first_s:.2f} s", "")
    row("parent: start", f"{start_s:.3f} CPU-s", "")
    row("parent: part of a core at 1 Hz, with sparklines and buckets", f"{100 * parent_s / passed_s:.2f} %", "< 1 %")
    row("parent: slowest of 2,000 looks", f"{latest_us(sampler):.0f} µs", "< 50,000 µs")
    row("driver calls of the last turn, by our count", str(sampler.latest().calls), "<= 40 (fast)")
    if driver is not None:
        after = driver.calls()
        turns = (after["nvmlDeviceGetUtilizationRates"] - before_calls["nvmlDeviceGetUtilizationRates"]) / 8
        mean = (total(after) - total(before_calls)) / turns
        row("driver calls a turn, counted by the driver, slower figures included", f"{mean:.1f}", "")
    sampler.stop()
    with tempfile.TemporaryDirectory() as folder:
        took = command_cpu_s(Path(folder))
    row("gpu list --json, least / median", f"{took[0]:.2f} / {took[len(took) // 2]:.2f} CPU-s", "0.25 CPU-s")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--real", action="store_true", help="read this machine's own driver")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    if options.real:
        measure(options.seconds, None)
        return
    with tempfile.TemporaryDirectory() as folder:
        driver = FakeDriver(library(Path(folder, "lib")), Path(folder))
        for index in range(8):
            driver.write(f"process {index} C {os.getpid()} 900 40 -1", f"process {index} C 4194999 900 40 -1")
        os.environ.update(driver.environment)
        measure(options.seconds, driver)


if __name__ == "__main__":
    main()
