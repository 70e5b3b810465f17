"""What recording costs, beside a bare write and beside other trackers where they are installed.

    python tests/benchmarks/bench_recorder.py [--calls N] [--peers VENV]

Medians over single calls, each timed in the process that makes them. "In the kernel" means that a value survives
``kill -9`` as soon as the call has returned. Others are measured in the same run, where a virtual environment of their
own has them: python -m venv VENV && VENV/bin/pip install trackio tensorboardX wandb mlflow
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlconsole.recorder import active
from mlconsole.recorder.format import MAGIC, Reader, encode_event, encode_row

ONE = {"loss": 0.5}
TEN = {f"metric{i}": i / 7 for i in range(10)}
Call = Callable[[dict[str, float], int], object]


def median_us(call: Call, metrics: dict[str, float], calls: int) -> float:
    """The median of single calls, in microseconds."""
    clock = time.perf_counter_ns
    samples = []
    for step in range(calls):
        begun = clock()
        call(metrics, step)
        samples.append(clock() - begun)
    return statistics.median(samples) / 1000


def bare_write(folder: Path, calls: int) -> tuple[float, float]:
    """One append of as many bytes as a row has."""
    fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    rows = {len(metrics): encode_row(1, 0, 0.0, list(metrics.values())) for metrics in (ONE, TEN)}

    def call(metrics: dict[str, float], step: int) -> int:
        return os.write(fd, rows[len(metrics)])

    result = median_us(call, ONE, calls), median_us(call, TEN, calls)
    os.close(fd)
    return result


def ours(folder: Path, calls: int) -> tuple[float, float]:
    """``mlconsole.log``: in the kernel."""
    os.environ["MLCONSOLE_HOME"] = str(folder)
    with active.start_run(capture=False):
        return median_us(active.log, ONE, calls), median_us(active.log, TEN, calls)


def tensorboardx(folder: Path, calls: int) -> tuple[float, float]:
    """Queued in memory, written by a thread."""
    import tensorboardX

    with tensorboardX.SummaryWriter(str(folder)) as writer:

        def call(metrics: dict[str, float], step: int) -> None:
            for key, value in metrics.items():
                writer.add_scalar(key, value, step)

        return median_us(call, ONE, calls), median_us(call, TEN, calls // 10)


def trackio(folder: Path, calls: int) -> tuple[float, float]:
    """Queued in memory."""
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio as library

    library.init(project="bench")

    def call(metrics: dict[str, float], step: int) -> None:
        library.log(metrics, step=step)

    result = median_us(call, ONE, calls // 10), median_us(call, TEN, calls // 10)
    library.finish()
    return result


def wandb(folder: Path, calls: int) -> tuple[float, float]:
    """Offline: handed to another process."""
    import wandb as library

    with library.init(mode="offline", dir=str(folder), settings=library.Settings(silent=True)) as run:
        return median_us(lambda m, _: run.log(m), ONE, calls // 10), median_us(
            lambda m, _: run.log(m), TEN, calls // 10
        )


def mlflow(folder: Path, calls: int) -> tuple[float, float]:
    """In an SQLite database."""
    import mlflow as library

    library.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    with library.start_run():

        def call(metrics: dict[str, float], step: int) -> None:
            library.log_metrics(metrics, step=step)

        return median_us(call, ONE, calls // 100), median_us(call, TEN, calls // 100)


PEERS = {"trackio": trackio, "tensorboardX": tensorboardx, "wandb": wandb, "mlflow": mlflow}


def log_table(calls: int, peers: Path | None) -> None:
    """The cost of one call, ours and others'."""
    print(f"{'log() of':<28}{'one metric':>14}{'ten metrics':>14}")
    for name, measure in {"bare write": bare_write, "mlconsole": ours}.items():
        with tempfile.TemporaryDirectory() as folder:
            print_row(name, *measure(Path(folder), calls))
    if peers is None:
        print("others are left out: name a virtual environment that has them with --peers")
        return
    for name in PEERS:
        found = measured_there(name, calls, peers / "bin" / "python")
        if isinstance(found, str):
            print(f"{name:<28}{found}")
        else:
            print_row(name, *found)


def print_row(name: str, one: float, ten: float) -> None:
    print(f"{name:<28}{one:>11.2f} µs{ten:>11.2f} µs", flush=True)


def measured_there(name: str, calls: int, python: Path) -> tuple[float, float] | str:
    """What a peer takes in its own environment, or why that cannot be told."""
    words = [str(python), __file__, "--calls", str(calls), "--peer", name]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "console")}
    done = subprocess.run(words, env=environ, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return "not installed there" if "ModuleNotFoundError" in last else f"failed: {last}"
    one, ten = done.stdout.split()[-2:]
    return float(one), float(ten)


def peer_alone(name: str, calls: int) -> None:
    """Measure one peer in this process, for :func:`measured_there`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        one, ten = PEERS[name](Path(folder), calls)
    sys.stdout.write(f"\n{one} {ten}\n")


def import_table() -> None:
    """Processor time of a process that imports, above one that does not."""
    programs = {
        "import mlconsole": "import mlconsole",
        "... and start_run()": "import mlconsole; mlconsole.start_run(capture=False)",
        "... with capture": "import mlconsole; mlconsole.start_run()",
    }
    bare = cpu_ms("pass")
    print(f"\n{'processor time over bare':<28}{bare:>11.1f} ms for python itself")
    for name, program in programs.items():
        print(f"{name:<28}{cpu_ms(program) - bare:>11.1f} ms")


def cpu_ms(program: str, tries: int = 9) -> float:
    """The least processor time of several processes running a program."""
    least = float("inf")
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "MLCONSOLE_HOME": home}
        for _ in range(tries):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", program], env=environ, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            least = min(least, used * 1000)
    return least


def decode_table() -> None:
    """How fast logs are read back, without numpy."""
    shapes: dict[str, tuple[list[int], Callable[[int], int], int]] = {
        "one metric": ([1], lambda n: 0, 500_000),
        "ten metrics": ([10], lambda n: 0, 100_000),
        "two schemas, alternating": ([1, 1], lambda n: n % 2, 300_000),
        "one and ten, alternating": ([1, 10], lambda n: n % 2, 100_000),
        "one in a hundred differs": ([1, 10], lambda n: n % 100 == 0, 300_000),
    }
    print(f"\n{'read back':<28}{'points/s':>14}{'bytes/s':>14}")
    for name, (widths, choose, rows) in shapes.items():
        data, points = a_log(widths, choose, rows)
        best = min(read_s(data) for _ in range(4))
        print(f"{name:<28}{points / best / 1e6:>12.1f} M{len(data) / best / 1e6:>11.0f} MB")


def a_log(widths: list[int], choose: Callable[[int], int], rows: int) -> tuple[bytes, int]:
    parts = [MAGIC]
    for number, width in enumerate(widths, 1):
        keys = [f"schema{number}/metric{i}" for i in range(width)]
        parts.append(encode_event({"e": "keys", "t": 0.0, "schema": number, "keys": keys}))
    chosen = [choose(n) for n in range(rows)]
    parts += [encode_row(which + 1, n, 1e9 + n, [n / 3] * widths[which]) for n, which in enumerate(chosen)]
    return b"".join(parts), sum(widths[which] for which in chosen)


def read_s(data: bytes) -> float:
    begun = time.process_time()
    batch = Reader().read(data, 0, final=True)
    used = time.process_time() - begun
    assert batch.consumed == len(data)
    assert not batch.damage
    return used


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000, help="calls to take the median of")
    parser.add_argument("--peers", type=Path, metavar="VENV", help="a virtual environment that has other trackers")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer_alone(options.peer, options.calls)
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}\n")
    log_table(options.calls, options.peers)
    import_table()
    decode_table()


if __name__ == "__main__":
    main()
