"""What watching data costs: processor time and memory of whole commands, from a cold start.

    python tests/benchmarks/bench_drift.py [--evidently PYTHON]

A profile of 100,000 rows and 50 columns is saved once, as a monitor's baseline; what is measured is judging new data
against it, and judging a thousand stored windows anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
from drift_columns import table

TIMES = 3
ROWS = 100_000
WINDOWS = 1_000
BETWEEN = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, used = os.wait4(pid, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def write(path: Path, seed: int, rows: int) -> Path:
    """A table of fifty columns as CSV or Parquet, written a hundred thousand rows at a time."""
    if path.suffix == ".parquet":
        plain = path.with_suffix(".csv")
        if not plain.exists():
            write(plain, seed, rows)
        pl.scan_csv(plain).sink_parquet(path, row_group_size=ROWS)
        return path
    with open(path, "wb") as file:
        for part in range(max(1, rows // ROWS)):
            pl.DataFrame(table(seed + part, min(ROWS, rows))).write_csv(file, include_header=part == 0)
    return path


def command(home: Path, *words: str) -> tuple[float, float, int]:
    """CPU-seconds and MB of one command, and how it ended.

    A small process stands between: the kernel counts what this one holds as the largest that its child ever held.
    """
    argv = [sys.executable, "-m", "mlconsole", "--catalog", str(home), *words]
    told = subprocess.run([sys.executable, "-S", "-E", "-c", BETWEEN, *argv], stdout=subprocess.PIPE, check=True).stdout
    seconds, size, code = told.split()[-3:]
    return float(seconds), float(size) / 1024, int(code)


def judged(folder: Path, baseline: Path, live: Path, window: str) -> str:
    """Judging one window against a saved profile, cold: the median of some."""
    seen = []
    for turn in range(TIMES):
        home = folder / f"{live.name}-{window}-{turn}"
        command(home, "monitor", "add", "m", "--baseline", str(baseline), "--live", str(live), "--window", window)
        seconds, size, code = command(home, "monitor", "check", "m")
        assert code == 0, code
        seen.append((seconds, size))
    return f"{statistics.median(s for s, _ in seen):.2f} CPU-s, {max(size for _, size in seen):.0f} MB"


def replayed(folder: Path, baseline: Path, live: Path) -> str:
    """Judging stored windows anew."""
    home = folder / "replay"
    window = f"rows:{ROWS // WINDOWS}"
    command(home, "monitor", "add", "m", "--baseline", str(baseline), "--live", str(live), "--window", window)
    first = command(home, "monitor", "check", "m")[0]
    seen = [command(home, "monitor", "replay", "m")[0] for _ in range(TIMES)]
    return f"{statistics.median(seen):.2f} CPU-s ({first:.1f} to judge and keep them first)"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--evidently", default="", help="a Python that has Evidently, to measure beside")
    parser.add_argument("--million", action="store_true", help="a million rows too")
    given = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench-drift-") as name:
        folder = Path(name)
        baseline = write(folder / "baseline.parquet", 1, ROWS)
        sizes = [(ROWS, "100k")] + ([(1_000_000, "1 M")] if given.million else [])
        for rows, word in sizes:
            for suffix in (".csv", ".parquet"):
                live = write(folder / f"live{rows}{suffix}", 100, rows)
                print(f"{word} x 50, {suffix[1:]}: {judged(folder, baseline, live, f'rows:{rows}')}", flush=True)
        live = folder / f"live{ROWS}.parquet"
        print(f"{WINDOWS:,} windows replayed, whole command: {replayed(folder, baseline, live)}", flush=True)
        if given.evidently:
            peer = Path(__file__).with_name("drift_evidently.py")
            for rows, _ in sizes:
                live = folder / f"live{rows}.parquet"
                subprocess.run([given.evidently, str(peer), "cost", str(baseline), str(live)], check=False)
    print(f"this program itself: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
