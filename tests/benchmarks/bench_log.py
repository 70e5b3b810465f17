"""What the log view costs: a log of a gigabyte, and one that grows by 50,000 lines a second.

    python tests/benchmarks/bench_log.py [GIGABYTES] [SECONDS]

The large log is made in the directory for temporary files and removed again. Medians; CPU times are those of the
reading thread, or through a pseudo-terminal of 160x48 those of the whole program.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from mlconsole.tui.logs.pager import Pager  # noqa: E402
from ptyterm import PtyTerm  # noqa: E402

APP = str(HERE.parent / "tui" / "log_app.py")
COLUMNS, LINES = 160, 48
RATE = 50_000
TRIES = 5
EVERY_LETTER = "WARNING The Quick Brown Fox Jumped Over X Lazy Dogs; KEPT BY MZ, VCH UPSTREAM SIGNALS"
WRITER = f"""
import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
start, number, total = time.monotonic(), 0, int({RATE} * float(sys.argv[2]))
while number < total:
    due = min(total, int((time.monotonic() - start) * {RATE}))
    os.write(fd, b"".join(b"step %d loss 0.2173 acc 0.9312 lr 3e-04\\n" % at for at in range(number, due)))
    number = due
    time.sleep(0.005)
os.write(fd, b"that was all\\n")
"""


@contextmanager
def large_log(gigabytes: float) -> Iterator[Path]:
    """A log like that of a training, with every letter in every block of it, and one failure in its last line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output.log"
        lines = (
            f"2026-08-01 12:{at // 60 % 60:02}:{at % 60:02} INFO step {at} loss {at * 7919 % 9973 / 9973:.6f} lr 3e-4\n"
            if at % 50
            else f"2026-08-01 12:{at // 60 % 60:02}:{at % 60:02} {EVERY_LETTER}\n"
            for at in range(400_000)
        )
        block = "".join(lines).encode()
        with open(path, "wb") as file:
            while file.tell() < gigabytes * (1 << 30):
                file.write(block)
            file.write(b"RuntimeError: Zebra stripes do not match\n")
        yield path


class Desk:
    """A pager whose work is timed."""

    def __init__(self, path: Path) -> None:
        self.pager = Pager(path)
        self.pager.resize(COLUMNS, LINES)
        self.pager.look()

    def answer(self, command: Callable[[Pager], None]) -> None:
        command(self.pager)
        self.pager.answer(time.monotonic() + 600)

    def learn(self) -> None:
        while self.pager.work(time.monotonic() + 1):
            pass


def timed(task: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that pass, and of CPU time."""
    wall, cpu = time.perf_counter(), time.thread_time()
    task()
    return (time.perf_counter() - wall) * 1000, (time.thread_time() - cpu) * 1000


def median(tries: list[tuple[float, float]]) -> str:
    walls, cpus = zip(*tries, strict=True)
    return f"{statistics.median(walls):,.1f} ms wall   {statistics.median(cpus):,.1f} ms CPU"


def searched(desk: Desk, text: str) -> str:
    """From the first line on, nothing known of the text before."""
    tries = []
    for _ in range(TRIES):
        desk.answer(lambda pager: pager.search(""))
        desk.answer(Pager.top)
        tries.append(timed(lambda: desk.answer(lambda pager: pager.search(text))))
    return median(tries)


def grepped(path: Path, how: str) -> str:
    """The same search by the program that is made for it."""
    grep = shutil.which("grep")
    if grep is None:
        return "not here"
    argv = [grep, how, "-m1", "-c", "Zebra stripes", str(path)]
    tries = [timed(lambda: subprocess.run(argv, stdout=subprocess.DEVNULL, check=True))[0] for _ in range(TRIES)]
    return f"{statistics.median(tries):,.0f} ms wall"


def on_large(path: Path) -> Iterator[tuple[str, str]]:
    """The pager alone."""

    def opened() -> Desk:
        desk = Desk(path)
        desk.answer(lambda pager: None)
        return desk

    yield "last screen after opening", median([timed(opened) for _ in range(TRIES)])
    yield "all lines counted", median([timed(opened().learn) for _ in range(3)])
    desk = opened()
    desk.learn()
    yield "first hit at the very end, case counts", searched(desk, "Zebra stripes")
    yield "first hit at the very end, any case", searched(desk, "zebra stripes")
    yield "no hit, three letters, case counts", searched(desk, "Zqx")
    yield "no hit, a character that the log lacks", searched(desk, "what?")
    yield "the same by grep -F / grep -iF", f"{grepped(path, '-F')}   {grepped(path, '-iF')}"
    yield "first error, at the very end", median([timed(lambda: desk.answer(Pager.first_error))])
    desk.answer(lambda pager: pager.search(""))
    yield "filter: first page (rare text)", median([timed(lambda: desk.answer(lambda pager: pager.filter("399999 ")))])
    yield "filter: every line looked at (rare text)", median([timed(desk.learn)])
    desk.answer(lambda pager: pager.filter("loss"))
    yield "filter: every line looked at (all match)", median([timed(desk.learn)])


def on_terminal(path: Path) -> Iterator[tuple[str, str]]:
    """The same through a terminal."""
    with PtyTerm([sys.executable, APP, str(path)], COLUMNS, LINES) as term:
        term.wait_for("Zebra stripes")
        yield (
            "terminal: start of the program to last screen",
            f"{(time.monotonic() - term.started) * 1000:,.0f} ms wall",
        )
        term.wait_for("of ", 60)
        term.settle(0.5)
        with term.measured() as idle:
            term.settle(5.0)
        yield "terminal: 5 s without a change", f"{idle.bytes} bytes   {idle.cpu_s * 1000:.1f} ms CPU"
        with term.measured() as move:
            for _ in range(20):
                term.send("k")
                term.settle(0.05)
        yield "terminal: scroll by a line", f"{move.bytes / 20:,.0f} bytes   {move.cpu_s * 50:.1f} ms CPU"
        with term.measured() as move:
            for _ in range(10):
                term.send("pageup")
                term.settle(0.05)
        yield "terminal: a page up", f"{move.bytes / 10:,.0f} bytes   {move.cpu_s * 100:.1f} ms CPU"
        for keys in ("g", "/", "Zebra"):
            term.send(keys)
            term.settle()
        start = time.perf_counter()
        term.send("enter")
        term.wait_for('"Zebra" 1 of 1')
        yield "terminal: Enter to the first hit at the very end", f"{(time.perf_counter() - start) * 1000:,.0f} ms wall"
        yield "terminal: resident memory", f"{term.rss_kib() / 1024:,.0f} MB"


def followed(seconds: float) -> Iterator[tuple[str, str]]:
    """A log that grows fast, followed through a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output.log"
        path.touch()
        with PtyTerm([sys.executable, APP, str(path)], COLUMNS, LINES) as term:
            term.wait_for("Nothing printed yet.")
            writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(seconds)])
            with term.measured() as cost:
                term.wait_for("that was all", seconds + 60)
            late = time.time() - os.stat(path).st_mtime
            writer.wait()
            shown = term.text.splitlines()[-1].rpartition(" of ")[2]
            yield "follow: lines written / shown", f"{RATE * seconds + 1:,.0f} / {shown}"
            yield "follow: CPU", f"{cost.cpu_s / cost.wall_s:.1%} of a core"
            yield "follow: output", f"{cost.bytes / cost.wall_s / 1024:,.0f} KiB/s"
            yield "follow: last line written to seen", f"{late * 1000:,.0f} ms wall"


def main() -> None:
    """Print the table."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    with large_log(gigabytes) as path:
        print(f"a log of {path.stat().st_size / (1 << 30):.2f} GiB; Python {sys.version.split()[0]}\n")
        told(on_large(path))
        told(on_terminal(path))
    told(followed(seconds))


def told(rows: Iterator[tuple[str, str]]) -> None:
    for what, value in rows:
        print(f"{what:50} {value}", flush=True)


if __name__ == "__main__":
    main()
