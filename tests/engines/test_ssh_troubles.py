"""A training on a real SSH host through cut links and killed sshds: nothing wrongly ended, no metric lost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engines.daemons import run
from engines.fleet import Fleet
from engines.looking import mended, reaching
from jobkit import until
from program import Program

pytestmark = pytest.mark.engine("ssh")
#: How long a link stays cut: beyond what ssh itself notices (two of its questions, five seconds apart), or minutes.
CUT_S = 180 if os.environ.get("MLCONSOLE_FAULTS") == "full" else 14
TRAIN = """
import pathlib, sys, time, mlconsole
ends = pathlib.Path(sys.argv[1])
with mlconsole.start_run() as run:
    step = 0
    while not ends.exists():
        run.log({"loss": 1 / (step + 1), "step_seen": step}, step=step)
        step += 1
        time.sleep(0.05)
    run.log({"all": step}, step=step)
"""


@pytest.fixture
def fleet(engine: Fleet) -> Iterator[Fleet]:
    with mended(engine) as found:
        yield found


class Training:
    """A run on h2 that logs until it is told to end."""

    def __init__(self, cli: Program) -> None:
        self.cli = reaching(cli)
        (cli.cwd / "train.py").write_text(TRAIN)
        command = ("launch", "-b", "ssh", "-o", "host=h2", "--", "python3", "train.py", str(cli.cwd / "ends"))
        self.id = self.cli.json(*command)["id"]

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cli.json("run", "show", self.id)
        return found

    def count(self) -> int:
        return int(self.shown()["metrics"].get("loss", {}).get("count", 0))

    def grows(self) -> int:
        """Wait for points that are new."""
        first = self.count()
        return until(lambda: now if (now := self.count()) > first else 0, 60)

    def is_whole_in_the_end(self) -> None:
        """See that it succeeded, and that every point that it logged is in the catalog once."""
        (self.cli.cwd / "ends").touch()
        ended = self.cli.ended(self.id, 60)
        assert (ended["outcome"], ended["exit_code"]) == ("succeeded", 0)
        steps = self.cli.json("metric", "show", self.id, "step_seen")
        assert steps["values"] == list(range(int(ended["metrics"]["all"]["last"])))


@pytest.mark.timeout(CUT_S + 300)
def test_no_metric_is_lost_while_a_link_is_cut(cli: Program, fleet: Fleet) -> None:
    training = Training(cli)
    before = training.grows()
    fleet.cut("h2")
    ends_at, seen = time.monotonic() + CUT_S, []
    while time.monotonic() < ends_at:
        seen.append(training.shown())
    assert {(each["state"], each["outcome"]) for each in seen} == {("running", None)}
    assert seen[-1]["reach"] == "unreachable"
    fleet.mend("h2")
    until(lambda: training.shown()["reach"] == "ok", 60)
    assert training.grows() > before
    training.is_whole_in_the_end()


def test_no_metric_is_lost_when_sshd_is_killed_with_its_connections(cli: Program, fleet: Fleet) -> None:
    training = Training(cli)
    for _ in range(2):
        training.grows()
        fleet.kill("h2")
        assert training.shown()["state"] == "running"
        fleet.serve("h2")
        until(lambda: training.shown()["reach"] == "ok", 60)
    training.is_whole_in_the_end()


def test_a_full_disk_there_ends_no_run_and_costs_no_point_of_before_or_after(cli: Program, fleet: Fleet) -> None:
    far = fleet.folder.parent / "far" / "home"
    far.mkdir(parents=True, exist_ok=True)
    there = ("nsenter", "-m", "-t", fleet.main("h2"), "--")
    run(*there, "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", far)
    try:
        training = Training(cli)
        before = training.grows()
        run(*there, "dd", "if=/dev/zero", f"of={far / 'fill'}", "bs=1k", check=False)
        full = until(lambda: stands(training), 60)
        assert full >= before and training.shown()["state"] == "running"
        run(*there, "rm", far / "fill")
        training.grows()
        (training.cli.cwd / "ends").touch()
        ended = training.cli.ended(training.id, 60)
        steps = training.cli.json("metric", "show", training.id, "step_seen")["values"]
        assert ended["outcome"] == "succeeded"
        assert steps[:full] == list(range(full)) and steps == sorted(set(steps)) and steps[-1] > full
    finally:
        run(*there, "umount", "-l", far, check=False)


def stands(training: Training) -> int:
    """How many points there are, once no more come."""
    first = training.count()
    time.sleep(1.0)
    return first if training.count() == first else 0
