"""What the console costs at a real terminal: CPU, bytes and memory over catalogs of several sizes.

python tests/benchmarks/bench_console.py            # 1,000, 100,000 and 1,000,000 runs
python tests/benchmarks/bench_console.py 1000       # other sizes
python tests/benchmarks/bench_console.py --catalogs DIR 1000 100000   # kept between calls

CPU and bytes hardly move with the load of the machine; wall clock does, and stands here for the reader alone.
"""

from __future__ import annotations

import argparse
import os
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ptyterm import Cost, DeadlinePassed, PtyTerm  # noqa: E402

COLUMNS, LINES = 160, 48
MOVES = 40
FILTER = "churn-0"
SIZES = (1_000, 100_000, 1_000_000)


def opened(home: Path, env: Mapping[str, str] | None = None, *flags: str) -> PtyTerm:
    """A console on a catalog, in an environment of its own."""
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(home), *flags]
    own = {"MLCONSOLE_CONFIG": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "", **(env or {})}
    return PtyTerm(argv, COLUMNS, LINES, own)


def catalog_of(folder: Path, runs: int) -> Path:
    """A catalog with so many runs, made unless it is there."""
    from synthetic import make

    home = folder / f"c{runs}"
    if not (home / "catalog.db").exists():
        make(home, runs)
    return home


def first_frame(term: PtyTerm) -> Cost:
    """What it took until real rows were on the screen.

    Looked at before the emulator draws what has come, for which the program does not wait.
    """
    while True:
        select.select([term.fd], [], [], term.deadline_s)
        cost = Cost(0, term.cpu_s(), time.monotonic() - term.started)
        if term.pump() <= 0:
            raise DeadlinePassed(f"waited for the first rows; the screen shows:\n{term.text}")
        if "running" in term.text:
            return Cost(len(term.raw), cost.cpu_s, cost.wall_s)


def interactive(term: PtyTerm, bar: str = "▌") -> Cost:
    """What it took until a key moves the cursor, whose row begins with ``bar``."""
    term.wait_for(bar)
    before = term.text
    term.send("j")
    term.wait_until(lambda: term.text != before, "the cursor to move")
    return Cost(len(term.raw), term.cpu_s(), time.monotonic() - term.started)


def pressed(term: PtyTerm, key: str, times: int, quiet_s: float = 0.06) -> list[Cost]:
    """The cost of each of so many presses of one key, each left to settle after its first byte."""
    costs = []
    for _ in range(times):
        with term.measured() as cost:
            term.send(key)
            term.pump(0.5)
            term.settle(quiet_s)
        costs.append(cost)
    return costs


def paints(term: PtyTerm, key: str, times: int) -> list[float]:
    """Milliseconds from a press to the first byte it causes."""
    waits = []
    for _ in range(times):
        began = time.perf_counter()
        term.send(key)
        while term.pump(0.5) == 0:
            pass
        waits.append((time.perf_counter() - began) * 1000)
        term.settle(0.03)
    return sorted(waits)


def filtered(term: PtyTerm, text: str) -> list[float]:
    """Milliseconds from each keystroke of a filter to the last byte of the repaint that follows."""
    term.send("/")
    term.settle(0.3)
    waits = []
    for char in text:
        began = time.perf_counter()
        term.send(char)
        last = began
        while time.perf_counter() - last < 0.25:
            if term.pump(0.02) > 0:
                last = time.perf_counter()
        waits.append((last - began) * 1000)
    term.send("escape")
    term.settle(0.3)
    return waits


def measure(home: Path) -> list[tuple[str, str]]:
    """One column of the table that is printed."""
    with opened(home, None, "--read-only") as warm_up:
        first_frame(warm_up)
    with opened(home, None, "--read-only") as term:
        first = first_frame(term)
        ready = interactive(term)
        term.settle(1.2)
        screen = len(term.raw)
        moves = pressed(term, "j", MOVES - 8)
        waits = paints(term, "k", MOVES - 10)
        pages = pressed(term, "pagedown", 10, 0.2)
        term.send("g")
        term.settle(0.4)
        with term.measured() as typing:
            filters = filtered(term, FILTER)
        rss = term.rss_kib()
    with opened(home, None, "--read-only") as still:
        still.wait_for("▌")
        still.settle(1.0)
        with still.measured() as idle:
            still.settle(0.1)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                still.pump(0.5)
    return [
        ("first rows on screen, wall ms", f"{first.wall_s * 1000:.0f}"),
        ("first rows on screen, CPU-ms", f"{first.cpu_s * 1000:.0f}"),
        ("a key moves the cursor, wall ms", f"{ready.wall_s * 1000:.0f}"),
        ("a key moves the cursor, CPU-ms", f"{ready.cpu_s * 1000:.0f}"),
        ("first screen, bytes", f"{screen:,}"),
        ("cursor move, bytes (most)", f"{max(cost.bytes for cost in moves):,}"),
        ("cursor move, CPU-ms (median)", cpu(moves)),
        ("key to paint, ms (p50 / p99)", f"{statistics.median(waits):.1f} / {waits[-1]:.1f}"),
        ("page down, bytes (most)", f"{max(cost.bytes for cost in pages):,}"),
        ("page down, CPU-ms (median)", cpu(pages)),
        ("filter keystroke to repaint, ms (median / most)", f"{statistics.median(filters):.0f} / {max(filters):.0f}"),
        ("filter keystroke, CPU-ms (mean)", f"{typing.cpu_s * 1000 / len(FILTER):.1f}"),
        ("idle for 5 s with 5 live runs, bytes", f"{idle.bytes:,}"),
        ("idle for 5 s with 5 live runs, CPU-ms", f"{idle.cpu_s * 1000:.0f}"),
        ("resident memory, MB", f"{rss * 1024 / 1e6:.0f}"),
    ]


def cpu(costs: Sequence[Cost]) -> str:
    return f"{statistics.median(cost.cpu_s for cost in costs) * 1000:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the console.")
    parser.add_argument("sizes", nargs="*", type=int)
    parser.add_argument("--catalogs", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.catalogs or Path(temporary)
        sizes = args.sizes or SIZES
        found = [measure(catalog_of(folder, size)) for size in sizes]
    print(f"{f'console, {COLUMNS}x{LINES}, {os.cpu_count()} cores':50}" + "".join(f"{size:>14,}" for size in sizes))
    for index, (what, _) in enumerate(found[0]):
        print(f"{what:50}" + "".join(f"{column[index][1]:>14}" for column in found))


if __name__ == "__main__":
    main()
