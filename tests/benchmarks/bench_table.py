"""What the virtual table costs through a pseudo-terminal of 160x48, at a thousand rows and at a million.

    python tests/benchmarks/bench_table.py [ROWS ...]

Bytes and CPU time hardly depend on what else the machine does; wall-clock times do.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ptyterm import Cost, PtyTerm  # noqa: E402

APP = str(HERE / "table_app.py")
COLUMNS, LINES = 160, 48
MOVES = 40


def pressed(term: PtyTerm, key: str, times: int) -> list[Cost]:
    """The cost of each of so many presses of one key, each left to settle after its first byte."""
    costs = []
    for _ in range(times):
        with term.measured() as cost:
            term.send(key)
            term.pump(0.5)
            term.settle(0.06)
        costs.append(cost)
    return costs


def painted(term: PtyTerm, key: str, times: int) -> list[float]:
    """Milliseconds from a press to the first byte it causes."""
    waits = []
    for _ in range(times):
        start = time.perf_counter()
        term.send(key)
        while term.pump(0.5) == 0:
            pass
        waits.append((time.perf_counter() - start) * 1000)
        term.settle(0.03)
    return waits


def measure(rows: int) -> list[tuple[str, str]]:
    """One column of the table that is printed."""
    with PtyTerm([sys.executable, APP, str(rows)], COLUMNS, LINES) as term:
        term.wait_for("-v10-")
        wall = time.monotonic() - term.started
        term.settle(0.3)
        first_bytes, first_cpu = len(term.raw), term.cpu_s()
        moves = pressed(term, "j", MOVES)
        waits = painted(term, "k", MOVES - 5)
        pages = pressed(term, "pagedown", 10)
        term.send("g")
        term.settle()
        pressed(term, "j", LINES - 2)
        scrolls = pressed(term, "j", 20)
        ends = [pressed(term, key, 1)[0] for key in ("G", "g")]
        rereads = pressed(term, "r", 5)
        with term.measured() as idle:
            term.settle(2.0)
        return [
            ("first rows on screen, wall ms", f"{wall * 1000:.0f}"),
            ("interactive, CPU-ms", f"{first_cpu * 1000:.0f}"),
            ("first screen, bytes", f"{first_bytes:,}"),
            ("cursor move, bytes (most)", f"{max(cost.bytes for cost in moves):,}"),
            ("cursor move, CPU-ms (median)", cpu(moves)),
            ("key to paint, ms (p50 / p99)", f"{statistics.median(waits):.1f} / {max(waits):.1f}"),
            ("page down, bytes (most)", f"{max(cost.bytes for cost in pages):,}"),
            ("page down, CPU-ms (median)", cpu(pages)),
            ("scroll by one at the edge, bytes (most)", f"{max(cost.bytes for cost in scrolls):,}"),
            ("scroll by one at the edge, CPU-ms (median)", cpu(scrolls)),
            ("to the last row and back, CPU-ms", cpu(ends)),
            ("reread without change, bytes", f"{sum(cost.bytes for cost in rereads):,}"),
            ("idle for 2 s, bytes", f"{idle.bytes:,}"),
            ("resident memory, MB", f"{term.rss_kib() * 1024 / 1e6:.0f}"),
        ]


def cpu(costs: Sequence[Cost]) -> str:
    return f"{statistics.median(cost.cpu_s for cost in costs) * 1000:.1f}"


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or [1_000, 1_000_000]
    found = [measure(size) for size in sizes]
    print(f"{'virtual table, 160x48':44}" + "".join(f"{size:>14,}" for size in sizes))
    for index, (what, _) in enumerate(found[0]):
        print(f"{what:44}" + "".join(f"{column[index][1]:>14}" for column in found))


if __name__ == "__main__":
    main()
