"""How long a launch takes until its intent is durable, and until its program runs: bench_launch.py [LAUNCHES]

The clock starts where the action does, and in the last row where a shell would start ``mlconsole launch``. The program
opens a pipe, and the moment it does is the moment it runs.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mlconsole.actions.context import Context
from mlconsole.actions.launch import run
from mlconsole.actions.launch_order import LaunchParams
from mlconsole.config import load

COMMANDS = 15
Launch = Callable[[tuple[str, ...]], object]


class Moments:
    """When a launch did what, in milliseconds from its start."""

    def __init__(self, folder: Path, ctx: Context) -> None:
        self._folder = folder
        self._write = ctx.catalog.write
        self.durable: list[float] = []
        self.begun: list[float] = []
        self.back: list[float] = []

    def note(self, ctx: Context, launch: Launch) -> None:
        """Launch once."""
        pipe = self._folder / f"pipe{len(self.back)}"
        os.mkfifo(pipe)
        opened: list[float] = []
        waiting = threading.Thread(target=lambda: opened.append(opened_at(pipe)))
        waiting.start()
        committed: list[float] = []

        def write(change: object, **how: object) -> object:
            result = self._write(change, **how)  # type: ignore[arg-type]
            committed.append(time.perf_counter())
            return result

        ctx.catalog.write = write  # type: ignore[assignment, method-assign]
        start = time.perf_counter()
        launch(("sh", "-c", f": > {pipe}"))
        self.back.append((time.perf_counter() - start) * 1e3)
        waiting.join()
        self.begun.append((opened[0] - start) * 1e3)
        if committed:
            self.durable.append((committed[0] - start) * 1e3)


def opened_at(pipe: Path) -> float:
    """When the other side opened a pipe."""
    os.close(os.open(pipe, os.O_RDONLY))
    return time.perf_counter()


def bare_ms() -> float:
    """What starting an interpreter takes on this machine, just now."""
    start = time.perf_counter()
    subprocess.run(["setsid", sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return (time.perf_counter() - start) * 1e3


def shown(what: str, found: list[float], target: str) -> None:
    p95 = statistics.quantiles(found, n=20)[-1]
    print(f"{what:46}{statistics.median(found):8.1f} ms{p95:8.1f} ms   {target}", flush=True)


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    load_1 = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load_1:.1f}")
    print(f"{'launch, by the clock':46}{'median':>11}{'p95':>11}   to reach")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        ctx = Context(load({"MLCONSOLE_HOME": f"{name}/home", "MLCONSOLE_CPU_SLOTS": "1000", "PATH": os.defpath}))
        moments = Moments(folder, ctx)
        for _ in range(count):
            moments.note(ctx, lambda command: run(ctx, LaunchParams(command=command)))
        shown("the intent is durable", moments.durable[1:], "25 ms")
        shown("the program runs", moments.begun[1:], "100 ms")
        shown("the launch is back", moments.back[1:], "")
        whole = Moments(Path(tempfile.mkdtemp(dir=name)), ctx)
        own = [sys.executable, "-P", "-m", "mlconsole", "--catalog", f"{name}/home", "launch", "--"]
        for _ in range(COMMANDS):
            whole.note(ctx, lambda command: subprocess.run([*own, *command], stdout=subprocess.DEVNULL, check=True))
        shown("mlconsole launch: the program runs", whole.begun, "")
        shown("for comparison: python -I -S -c pass", [bare_ms() for _ in range(COMMANDS)], "")
        ctx.close()


if __name__ == "__main__":
    main()
