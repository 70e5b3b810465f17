"""A real training crashes, its child holds a GPU, and whatever is killed on the way it is given back once (F-36).

The GPUs are those of the tests' driver library, read through the real binding; it lists the child while that lives.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import pytest

from fakes.nvml.driver import FakeDriver, library
from mlconsole_local import shim
from program import Program, wait_until
from ptyterm import PtyTerm

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("pynvml", reason="the NVIDIA binding is not installed")
FLAGGED_S = 60.0
MOST_TRIES = 6
#: The worker holds a part of the model, as one that copied it to the GPU would, and does not see its parent die.
CRASH = """
import os, signal, time
import torch
from torch import multiprocessing

def work(model):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    while kept:
        time.sleep(60)

model = torch.nn.Linear(64, 2)
optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
worker = multiprocessing.get_context("fork").Process(target=work, args=(model,))
worker.start()
print(worker.pid, flush=True)
for step in range(3):
    loss = model(torch.randn(4, 64)).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
os.abort()  # As the driver's library does after an illegal memory access.
"""


@dataclass
class Lab:
    """A machine with two GPUs at $36 an hour, and those who look at it."""

    program: Program
    driver: FakeDriver
    folder: Path
    watchers: list[Popen[bytes]] = field(default_factory=list)
    consoles: list[PtyTerm] = field(default_factory=list)

    def watch(self) -> None:
        self.watchers.append(self.program.start("watch"))

    def look(self) -> PtyTerm:
        argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(self.program.home)]
        self.consoles.append(PtyTerm(argv, 140, 30, self.program.env, deadline_s=90))
        self.consoles[-1].wait_for("rw")
        self.consoles[-1].send(":gpus\r")
        return self.consoles[-1]

    def kill_all_who_look(self) -> None:
        for watcher in self.watchers:
            watcher.kill()
            watcher.communicate()
        for console in self.consoles:
            console.close()

    def teardowns(self) -> list[tuple[str, str]]:
        """(state, message) of each."""
        with closing(sqlite3.connect(f"file:{self.program.home}/catalog.db?mode=ro", uri=True)) as db:
            return list(db.execute("SELECT state, message FROM teardown ORDER BY n"))

    def alerts(self) -> list[str]:
        """What fires, in words."""
        return [alert["title"] for alert in self.program.json("alert", "list")["items"]]

    def audit(self) -> list[str]:
        rows = self.program.json("audit", "list", "--limit", "1000")["items"]
        return [row["result"] for row in rows if row["action"] == "teardown"]


@pytest.fixture
def lab(cli: Program, tmp_path: Path) -> Iterator[Lab]:
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        pytest.skip("in a container the driver's pids are not this one's")
    (tmp_path / "state").mkdir()
    driver = FakeDriver(library(tmp_path / "nvml"), tmp_path / "state", 2)
    settings = cli.cwd / "settings.toml"
    settings.write_text("[machine]\nusd_per_h = 36\n")
    env = {**cli.env, **driver.environment, "MLCONSOLE_CONFIG": str(settings)}
    found = Lab(Program(cli.home, cli.cwd, env), driver, tmp_path)
    yield found
    found.kill_all_who_look()


def crashed(lab: Lab) -> tuple[str, shim.Process]:
    """A training that has crashed, and its worker, which holds 4 GB of GPU 0."""
    torn = f"sh -c 'echo $MLCONSOLE_RUN_OUTCOME >> {lab.folder}/torn'"
    words = ("launch", "--gpus", "1", "--name", "vision", "--teardown", torn, "--", sys.executable, "-c", CRASH)
    run = lab.program.json(*words)["id"]
    wait_until(lambda: lab.program("run", "logs", run).out.split(), "the training's worker", 60)
    worker = shim.process(int(lab.program("run", "logs", run).out.split()[0]))
    assert worker is not None
    lab.driver.figures[0] |= {"util": 0, "power": 60_000}
    lab.driver.write(f"holds 0 {worker.pid} 4000")
    ended = lab.program.ended(run, 60)
    assert (ended["outcome"], ended["gpus"]) == ("failed", 1)
    return run, worker


def asked_for_under_fire(lab: Lab, rng: random.Random) -> None:
    """A teardown whose command is killed at some moment, until one has been asked for."""
    for _ in range(MOST_TRIES):
        process = lab.program.start("teardown", "gpu:0", "--grace", "0", "--yes")
        time.sleep(rng.uniform(0.2, 1.5))
        process.kill()
        process.communicate()
        if lab.teardowns():
            return
    lab.program("teardown", "gpu:0", "--grace", "0", "--yes")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_crashed_training_whose_child_holds_a_gpu_is_flagged_torn_down_and_confirmed_whatever_is_killed(
    lab: Lab,
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    lab.program("run", "list")
    lab.watch()
    run, worker = crashed(lab)
    screen = lab.look()

    wait_until(lambda: any("GPU 0" in title and "is ZOMBIE by vision, $18.00/h" in title for title in lab.alerts()),
               "the watcher's alert", FLAGGED_S)  # fmt: skip
    screen.wait_for("ZOMBIE")
    screen.wait_for("wasted $18.00/h")
    assert lab.program("launch", "--now", "--gpus", "2", "--", "true").code == 1

    lab.kill_all_who_look()
    asked_for_under_fire(lab, random.Random(seed))
    lab.watch()

    wait_until(lambda: [state for state, _ in lab.teardowns()] == ["done"], "the teardown to be seen done", 60)
    assert not shim.is_alive(worker.pid, worker.start)
    assert lab.program.json("gpu", "list")["items"][0]["processes"] == []
    assert (lab.folder / "torn").read_text() == "failed\n"
    given_back = [text for text in lab.audit() if "seen gone" in text and "$18.00/h of machine time given back" in text]
    assert given_back, lab.audit()
    assert lab.program("audit", "verify").code == 0
    assert lab.program("launch", "--now", "--gpus", "2", "--", "true").code == 0
    assert f"({run})" not in lab.program("run", "list").err
