"""The demo's training on every engine that is up, and on this machine: only the backend's name differs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from engines.looking import reaching
from jobkit import until
from mlconsole.actions.context import Context
from mlconsole.config import load
from mlconsole.demo import digits
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location
from program import Program
from tui.robot import Robot

TRAIN = (sys.executable, str(Path(digits.__file__)), "--epochs", "100000", "--pause", "0.05", "--minutes", "5")


async def both_are_on_the_jobs_screen(cli: Program, backend: str) -> None:
    context = Context(load(cli.environment()))
    async with Console(context, Location("jobs")).run_test(size=(120, 40)) as pilot:
        user = Robot(pilot)
        for name in ("local", backend):
            await user.waits(lambda name=name: shows(user, name, "answers"), f"{name} with an answer")  # type: ignore[misc]
            await user.waits(lambda name=name: shows(user, name, "● running"), f"the run on {name}")  # type: ignore[misc]


def shows(user: Robot, name: str, state: str) -> bool:
    return any(name in line.split()[:2] and state in line for line in user.lines)


@pytest.mark.parametrize("backend", ["ssh", "slurm", "ray"])
def test_the_same_training_is_live_stopped_and_torn_down(backend: str, cli: Program) -> None:
    cli = reaching(cli)
    runs = [cli.json("launch", "-b", name, "--name", name, "--", *TRAIN)["id"] for name in ("local", backend)]

    def points(run: str) -> int:
        shown = cli.json("run", "show", run)
        assert shown["state"] != "ended", shown
        return max((int(each["count"]) for each in shown["metrics"].values()), default=0)

    for run in runs:
        first = until(lambda run=run: points(run), 60)  # type: ignore[misc]
        assert until(lambda run=run, first=first: points(run) > first, 60)  # type: ignore[misc]

    def metrics() -> list[set[str]]:
        return [set(cli.json("run", "show", run)["metrics"]) for run in runs]

    until(lambda: (both := metrics())[0] == both[1], 60)
    shown = [cli.json("run", "show", run) for run in runs]
    assert [each["backend"] for each in shown] == ["local", backend]
    assert shown[0]["params"] == shown[1]["params"]
    asyncio.run(both_are_on_the_jobs_screen(cli, backend))
    for run in runs:
        assert cli("run", "stop", run, "--grace", "5s", "--yes").code == 0
        assert cli.json("run", "show", run)["outcome"] == "cancelled"
        assert cli("teardown", run, "--yes").code == 0
