"""SIGKILL to consoles, watchers, supervisors and jobs at random points: the history afterwards has no run twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from program import Program, wait_until

FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"
KILLS = 300 if FULL else 12
KILLER = """
import os, signal, sys
left = int(sys.argv[1])
sys.argv[1:] = sys.argv[2:]
def step(event, arguments):
    global left
    if event in {"open", "os.mkdir", "os.rename", "os.remove", "os.link", "os.posix_spawn", "sqlite3.connect"}:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
from mlconsole.__main__ import main
sys.exit(main())
"""
JOB = 'echo x >> "$0/starts"; until [ -e "$0/gate" ]; do sleep 0.05; done; echo x >> "$0/ends"'


class History:
    """What was launched, what was killed, and what each program wrote of itself."""

    def __init__(self, program: Program, folder: Path, chosen: random.Random) -> None:
        self.program, self.folder, self.chosen = program, folder, chosen
        self.shot: dict[str, str] = {}

    def launch(self, name: str, step: int = 0) -> None:
        """Launch a run that waits for its gate, from a console that is killed at a step; 0: at none."""
        place = self.folder / name
        place.mkdir()
        words = ("launch", "-n", name, "--", "sh", "-c", JOB, str(place))
        self.console(step, *words)

    def console(self, step: int, *words: str) -> None:
        argv = [sys.executable, "-P", "-c", KILLER, str(step), *words]
        where = {"cwd": self.program.cwd, "env": self.program.environment()}
        done = subprocess.run(argv, **where, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)  # type: ignore[call-overload]
        assert done.returncode in (0, -signal.SIGKILL), done.stderr

    def shoot(self, name: str, whom: str) -> None:
        """Kill the supervisor or the program of a run, if it has started."""
        run = next((each for each in self.runs() if each["name"] == name), None)
        start = self.program.home / "runs" / (run["id"] if run else "") / "job" / "start.json"
        if run is not None and start.exists():
            self.shot[name] = whom
            with suppress(ProcessLookupError):
                os.kill(json.loads(start.read_bytes())[whom]["pid"], signal.SIGKILL)

    def runs(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.program.json("run", "list", "--limit", "1000")["items"]
        return found

    def count(self, name: object, what: str) -> int:
        path = self.folder / str(name) / what
        return path.read_text().count("x") if path.exists() else 0

    def is_over(self) -> bool:
        self.program("job", "start")
        return all(run["state"] == "ended" for run in self.runs())

    def faults(self) -> list[str]:
        """What the history shows that must not be."""
        found = []
        for run in self.runs():
            name, outcome, whom = str(run["name"]), run["outcome"], self.shot.get(str(run["name"]))
            starts, ends = self.count(name, "starts"), self.count(name, "ends")
            if starts > 1 or ends > starts:
                found.append(f"{name} was started {starts} times and ended {ends} times")
            if (outcome == "never_started") != (starts == 0):
                found.append(f"{name} is said to be {outcome}, and started {starts} times")
            if whom is None and starts and outcome != "succeeded":
                found.append(f"{name}, which nobody killed, is said to be {outcome}: {run['reason']}")
            if whom == "child" and not ends and outcome == "succeeded":
                found.append(f"{name}, whose program was killed, is said to have succeeded")
        listed = {str(run["name"]) for run in self.runs()}
        found += [f"{each.name} runs and is not listed" for each in self.folder.iterdir()
                  if (each / "starts").exists() and each.name not in listed]  # fmt: skip
        return found


@pytest.mark.timeout(3600 if FULL else 300)
def test_whatever_is_killed_no_run_starts_twice_ends_wrongly_or_is_lost(cli: Program, tmp_path: Path) -> None:
    seed = int(os.environ.get("MLCONSOLE_SEED", random.randrange(1 << 30)))
    print("seed", seed)
    chosen = random.Random(seed)
    folder = tmp_path / "jobs"
    folder.mkdir()
    program = replace(cli, env={**cli.env, "MLCONSOLE_CPU_SLOTS": "2"})
    history = History(program, folder, chosen)
    program.json("run", "list")
    for number in range(KILLS):
        name = f"r{number:03}"
        victim = chosen.choice(("launch", "start", "shim", "child"))
        history.launch(name, chosen.randrange(5, 260) if victim == "launch" else 0)
        if victim == "start":
            history.console(chosen.randrange(5, 200), "job", "start")
        elif victim != "launch":
            history.shoot(f"r{chosen.randrange(number + 1):03}", victim)
        (folder / f"r{chosen.randrange(number + 1):03}" / "gate").touch()
    for each in folder.iterdir():
        (each / "gate").touch()

    wait_until(history.is_over, "all runs to end", 60 + KILLS)

    assert history.faults() == []
    assert len(history.runs()) > 0
