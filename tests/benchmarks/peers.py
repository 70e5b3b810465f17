"""The same work done by other trackers: points in, points out. Each is measured in a process of its own.

VENV/bin/python tests/benchmarks/peers.py NAME POINTS
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Measured = Iterator[tuple[str, str]]


def rate(points: int, seconds: float) -> str:
    """Points a second, as the table shows them."""
    return f"{points / seconds / 1e6:.3f} M/s"


def trackio(points: int) -> Measured:
    """trackio: rows in SQLite, one JSON text a step."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRACKIO_DIR"] = folder
        from trackio.sqlite_storage import SQLiteStorage

        rows = [{"loss": 1.0 / (i + 1)} for i in range(points)]
        began = time.perf_counter()
        SQLiteStorage.bulk_log(project="bench", run="run", metrics_list=rows, steps=list(range(points)))
        yield f"bulk_log of {points:,} points", rate(points, time.perf_counter() - began)
        began = time.perf_counter()
        SQLiteStorage.get_logs("bench", "run")
        yield f"get_logs of {points:,} points", f"{(time.perf_counter() - began) * 1e3:.1f} ms"


def tensorboardx(points: int) -> Measured:
    """tensorboardX: one protobuf record a point."""
    from tensorboardX import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        writer = SummaryWriter(folder)
        began = time.perf_counter()
        for i in range(points):
            writer.add_scalar("loss", 1.0 / (i + 1), i)
        writer.close()
        yield f"add_scalar of {points:,} points", rate(points, time.perf_counter() - began)


def mlflow(points: int) -> Measured:
    """mlflow on SQLite: one row a point, in batches of a thousand."""
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    points = min(points, 20_000)
    with tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(f"sqlite:///{Path(folder) / 'mlflow.db'}")
        run = client.create_run(client.create_experiment("bench")).info.run_id
        began = time.perf_counter()
        for start in range(0, points, 1000):
            batch = [Metric("loss", 1.0 / (i + 1), i, i) for i in range(start, min(points, start + 1000))]
            client.log_batch(run, metrics=batch)
        yield f"log_batch of {points:,} points", rate(points, time.perf_counter() - began)
        began = time.perf_counter()
        client.get_metric_history(run, "loss")
        yield f"get_metric_history of {points:,} points", f"{(time.perf_counter() - began) * 1e3:.1f} ms"


def wandb(points: int) -> Measured:
    """wandb, offline."""
    import wandb as library

    points = min(points, 20_000)
    with tempfile.TemporaryDirectory() as folder:
        run = library.init(mode="offline", dir=folder, project="bench", settings=library.Settings(silent=True))
        began = time.perf_counter()
        for i in range(points):
            run.log({"loss": 1.0 / (i + 1)})
        run.finish()
        yield f"log of {points:,} points, finished", rate(points, time.perf_counter() - began)


PEERS: dict[str, Callable[[int], Measured]] = {
    "trackio": trackio,
    "tensorboardX": tensorboardx,
    "wandb": wandb,
    "mlflow": mlflow,
}


def measured_in(venv: Path, name: str, points: int) -> Measured:
    """What a peer takes in a virtual environment that has it; one row that says so where it has it not."""
    words = [str(venv / "bin" / "python"), __file__, name, str(points)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode == 0:
        yield from (tuple(line.split("\t", 1)) for line in done.stdout.splitlines())  # type: ignore[misc]
    else:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        yield ("not installed there" if "ModuleNotFoundError" in last else f"failed: {last}"), "-"


def main() -> None:
    """Measure one peer in this process, for :func:`measured_in`."""
    with contextlib.redirect_stdout(sys.stderr):
        rows = list(PEERS[sys.argv[1]](int(sys.argv[2])))
    sys.stdout.writelines(f"{what}\t{value}\n" for what, value in rows)


if __name__ == "__main__":
    main()
