"""Measures the local queue: ``python tests/benchmarks/bench_queue.py``.

Prints a table: launches that wait, by the clock until they are durable; a sweep of 1,000 put in line in one change; who
starts next of 5,000.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

from mlconsole.actions import sweeps, turns
from mlconsole.actions.context import Context
from mlconsole.actions.launch import run
from mlconsole.actions.launch_order import LaunchParams
from mlconsole.config import load

SUBMITS, WAITING, TIMES = 400, 5000, 15


def main() -> None:
    """Fill a queue of a machine that is drained, and measure it."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        measure(Context(load({"MLCONSOLE_HOME": f"{folder}/home", "MLCONSOLE_CPU_SLOTS": "4", "PATH": os.defpath})))


def measure(ctx: Context) -> None:
    """Print what each thing takes."""
    from mlconsole.catalog.queue import set_drained

    os.chdir(tempfile.gettempdir())
    ctx.catalog.write(lambda db: set_drained(db, ctx.settings.host, "a benchmark"))
    rng = random.Random(7)
    name, load_1 = os.uname(), os.getloadavg()[0]
    print(f"{name.sysname} {name.release} {name.machine}, {os.cpu_count()} CPUs, load {load_1:.1f}")
    waits = [waits_of(lambda: run(ctx, LaunchParams(command=("true",)))) for _ in range(SUBMITS)]
    clock, cpu = [each[0] for each in waits], [each[1] for each in waits]
    p95 = statistics.quantiles(clock, n=20)[-1]
    print(f"launch that waits, durable: median {statistics.median(clock):.1f} ms, p95 {p95:.1f} ms by the clock, "
          f"{statistics.median(cpu):.1f} CPU-ms; {1000 / statistics.mean(clock):.0f} a second")  # fmt: skip
    began = time.perf_counter()
    sweeps.launch_sweep(ctx, LaunchParams(command=("true",), grid=("seed=" + ",".join(map(str, range(1000))),)))
    took = time.perf_counter() - began
    print(f"a sweep of 1,000 runs put in line: {took:.2f} s, {1000 / took:.0f} runs a second")
    left = WAITING - SUBMITS - 1000
    sweeps.launch_sweep(ctx, LaunchParams(command=("true",), grid=("seed=" + ",".join(map(str, range(left))),)))
    ctx.catalog.write(lambda db: set_drained(db, ctx.settings.host, ""))
    ctx.catalog.write(
        lambda db: db.executemany(
            "UPDATE job SET priority = ?, user = ?, cpus = ? WHERE run = ?",
            [(rng.randrange(3), f"user{rng.randrange(9)}", rng.randrange(1, 4), n) for n in range(1, WAITING + 1)],
        )
    )
    db = ctx.catalog.store.connection()
    for words, reasons in (("who starts next", False), ("the same, and why each of the others waits", True)):
        found = [waits_of(lambda r=reasons: turns.decide(ctx, db, None, with_reasons=r)) for _ in range(TIMES)]  # type: ignore[misc]
        print(f"{words}, of {WAITING}: median {statistics.median(each[0] for each in found):.1f} ms by the clock, "
              f"{statistics.median(each[1] for each in found):.1f} CPU-ms")  # fmt: skip


def waits_of(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of a call, by the clock and of this process's CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    call()
    return (time.perf_counter() - clock) * 1000, (time.process_time() - cpu) * 1000


if __name__ == "__main__":
    main()
