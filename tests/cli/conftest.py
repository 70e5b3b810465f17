from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import Program, end_processes_of

LAB = """
import math
import mlconsole

params = {"lr": 0.1, "opt": "sgd", "deep": {"a": [1, None]}}
with mlconsole.start_run("vision", "alpha", params, {"team": "nlp"}) as run:
    for step in range(5):
        run.log({"loss": 1 / (step + 1), "acc": step / 5}, step=step)
    run.log_dataset(__file__, name="lab")
    run.log_artifact(__file__, name="script.py")

with mlconsole.start_run("vision", "beta", {"lr": 0.2, "opt": "adam"}, {"debug": ""}) as run:
    for value in (0.5, math.nan, math.inf, -math.inf):
        run.log({"loss": value})

try:
    with mlconsole.start_run("speech", "gamma", {"lr": 0.3}) as run:
        run.log({"loss": 9.0})
        raise ValueError("the data is not there")
except ValueError:
    pass

for _ in range(2):
    with mlconsole.start_run("speech", "twin"):
        pass
"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A catalog with five ended runs, shared by every test that only reads."""
    work = tmp_path_factory.mktemp("lab")
    program = Program(work / "home", work)
    done = program.record(LAB)
    assert done.returncode == 0, done.stderr
    assert len(program.json("run", "list")["items"]) == 5
    yield program
    end_processes_of(program.home)


@pytest.fixture
def own_lab(lab: Program, home: Path, cli: Program) -> Program:
    """A copy of the lab's catalog for a test that changes it."""
    shutil.copytree(lab.home, home)
    return cli
