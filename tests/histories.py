"""SIGKILL to consoles, watchers, supervisors and programs at random points, and what the history then must show."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from mlconsole.actions.context import Context, utc_now
from mlconsole.actions.sync import refresh
from mlconsole.config import load
from program import Indoors, Program, wait_until

FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"
#: Kills itself at its n-th step on the way to the outside; without n it says at its end how many steps there were.
KILLER = """
import atexit, os, signal, sys
left = int(sys.argv[1])
sys.argv[1:] = sys.argv[2:]
def step(event, arguments):
    global left
    if event in {"open", "os.mkdir", "os.rename", "os.remove", "os.link", "os.posix_spawn", "sqlite3.connect",
                 "subprocess.Popen", "socket.connect"}:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
atexit.register(lambda: print("steps", -left, file=sys.stderr))
from mlconsole.__main__ import main
sys.exit(main())
"""
JOB = 'echo x >> "$0/starts"; until [ -e "$0/gate" ]; do sleep 0.05; done; echo x >> "$0/ends"'
#: How many programs wait for their gates at most.
OPEN = 5
#: How long to wait for some program to be there.
WITHIN_S = 10.0
#: Where the full length is not asked for, an intent without an answer is given up sooner than after its minute.
SOONER = timedelta(seconds=0 if FULL else 50)


class History:
    """What was launched, what was killed, and what each program wrote of itself.

    Args:
        program: the console, with settings that lead to the backend.
        folder: for what the programs write.
        backend: where they run.
        victims: what may be killed: ``launch``, ``look``, ``start``, ``stop``, ``watch``, ``shim``, ``child``.
    """

    def __init__(self, program: Program, folder: Path, backend: str, victims: Sequence[str]) -> None:
        self.seed = int(os.environ.get("MLCONSOLE_SEED", random.randrange(1 << 30)))
        print("seed", self.seed)
        self.program, self.folder, self.backend, self.victims = program, folder, backend, victims
        self.chosen = random.Random(self.seed)
        self.inside = Indoors(program.home, program.cwd, program.env)
        self.hit: dict[str, set[str]] = defaultdict(set)
        self.kills: Counter[str] = Counter()
        self.closed: list[str] = []
        self.wrong: list[str] = []
        self.steps: dict[str, int] = {}
        self.number = 0
        folder.mkdir()

    def goes_on_until(self, kills: int, rounds: int) -> None:
        """Launch and kill until so many were killed, or it was tried so often; then let everything come to its end."""
        self.launch()  # Once undisturbed: it tells how many steps there are.
        self.console("look", 0, "run", "list")
        while sum(self.kills.values()) < kills and self.number < rounds:
            getattr(self, f"kill_{self.chosen.choice(self.victims)}")()
            while len(self.closed) > OPEN:
                self.open(self.chosen.choice(self.closed))
            self.look_around()
        while self.closed:
            self.open(self.closed[0])
        wait_until(self.is_over, "all runs to end", 120 + 2 * kills)
        print("killed:", ", ".join(f"{what} {count}" for what, count in sorted(self.kills.items())), "of", self.number)

    def kill_launch(self) -> None:
        self.launch(self.chosen.randrange(5, self.steps["launch"] + 20))

    def kill_look(self) -> None:
        self.launch()
        self.console("look", self.chosen.randrange(5, self.steps["look"] + 20), "run", "list")

    def kill_start(self) -> None:
        self.launch()
        self.console("start", self.chosen.randrange(5, 200), "job", "start")

    def kill_stop(self) -> None:
        self.launch()
        name = self.chosen.choice(self.closed)
        self.hit[name].add("stop")
        words = ("run", "stop", name, "--grace", "1s", "--yes")
        self.console("stop", self.chosen.randrange(40, self.steps["look"] + 60), *words)

    def kill_watch(self) -> None:
        """A watcher that is killed at one of its steps, or at whatever moment it is when a launch beside it is over."""
        argv = [sys.executable, "-P", "-c", KILLER, str(self.chosen.randrange(50, 600)), "watch"]
        where: dict[str, Any] = {"cwd": self.program.cwd, "env": self.program.environment()}
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        watcher = subprocess.Popen(argv, **where, **quiet)
        self.launch()
        watcher.kill()
        assert watcher.wait() == -signal.SIGKILL
        self.kills["watch"] += 1

    def kill_shim(self) -> None:
        self.launch()
        self.shoot("shim")

    def kill_child(self) -> None:
        self.launch()
        self.shoot("child")

    def launch(self, step: int = 0) -> None:
        """Launch a run that waits for its gate, from a console that is killed at a step; 0: at none."""
        name = f"r{self.number:03}"
        self.number += 1
        (self.folder / name).mkdir()
        self.closed.append(name)
        place = str(self.folder / name)
        self.console("launch", step, "launch", "-b", self.backend, "-n", name, "--", "sh", "-c", JOB, place)

    def console(self, what: str, step: int, *words: str) -> None:
        argv = [sys.executable, "-P", "-c", KILLER, str(step), *words]
        where: dict[str, Any] = {"cwd": self.program.cwd, "env": self.program.environment()}
        done = subprocess.run(argv, **where, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.kills[what] += done.returncode == -signal.SIGKILL
        fine = (0, -signal.SIGKILL, 1, 4, 5) if what == "stop" else (0, -signal.SIGKILL)
        assert done.returncode in fine, (words, done.returncode, done.stderr)
        if done.returncode == 0 and step == 0:
            self.steps[what] = int(done.stderr.rpartition("steps ")[2])

    def shoot(self, whom: str) -> None:
        """Kill the program of some run that is there, or its parent where that is the supervisor."""
        found: dict[str, int] = {}
        deadline = time.monotonic() + WITHIN_S  # Where an engine takes its time.
        while not found and time.monotonic() < deadline:
            found = self.alive()
            time.sleep(0.05)
        if not found:
            return
        name = self.chosen.choice(sorted(found))
        pid = found[name] if whom == "child" else parent(found[name])
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.hit[name].add(whom)
                self.kills[whom] += 1

    def open(self, name: str) -> None:
        (self.folder / name / "gate").touch()
        self.closed.remove(name)

    def alive(self) -> dict[str, int]:
        """The programs that are there, by name: the shell of each."""
        found = {}
        for entry in Path("/proc").iterdir():
            words = command(entry.name) if entry.name.isdigit() else []
            if words[:2] == ["sh", "-c"] and words[-1].startswith(f"{self.folder}/"):
                found[Path(words[-1]).name] = int(entry.name)
        return found

    def runs(self) -> dict[str, dict[str, Any]]:
        found = self.inside.json("run", "list", "--limit", "2000")["items"]
        return {each["name"]: each for each in found}

    def look_around(self) -> None:
        """What runs must be in the list, and not said to have ended."""
        before = self.alive()
        listed = self.runs()
        self.wrong += [f"{name} runs and is not listed" for name in before if name not in listed]
        for name in self.alive():
            if name in listed and listed[name]["state"] == "ended":
                self.wrong.append(f"{name} runs and is said to be {listed[name]['outcome']}: {listed[name]['reason']}")

    def is_over(self) -> bool:
        context = Context(load(self.program.environment()), clock=lambda: utc_now() + SOONER)
        refresh(context)
        context.catalog.close()
        return all(run["state"] == "ended" for run in self.runs().values())

    def count(self, name: str, what: str) -> int:
        path = self.folder / name / what
        return path.read_text().count("x") if path.exists() else 0

    def faults(self) -> list[str]:
        """What the history shows that must not be."""
        found, listed = list(self.wrong), self.runs()
        for name, run in listed.items():
            found += self._faults_of(name, run["outcome"], f"{run['outcome']}: {run['reason']}")
        found += [f"{name} runs on after all has ended" for name in self.alive()]
        ran = (each.name for each in self.folder.iterdir() if (each / "starts").exists())
        return found + [f"{name} ran and is not listed" for name in ran if name not in listed]

    def _faults_of(self, name: str, outcome: str, words: str) -> list[str]:
        starts, ends, hit = self.count(name, "starts"), self.count(name, "ends"), self.hit[name]
        found = []
        if starts > 1 or ends > starts:
            found.append(f"{name} was started {starts} times and ended {ends} times")
        if (outcome == "never_started" and starts) or (not starts and not hit and outcome != "never_started"):
            found.append(f"{name} is said to be {words}, and started {starts} times")
        if starts and not hit and outcome != "succeeded":
            found.append(f"{name}, which nobody touched, is said to be {words}")
        if starts and not ends and outcome == "succeeded":
            found.append(
                f"{name} did not come to its end ({', '.join(hit) or 'nothing'} was killed) and is said to be {words}"
            )
        return found


def command(pid: str | int) -> list[str]:
    """The words of a process; none of one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def parent(pid: int) -> int | None:
    """The parent of a program, where that is a supervisor of ours."""
    try:
        found = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
    ours = any("shim" in word or word.endswith(".pyz") for word in command(found))
    return found if found > 1 and ours else None


def history_of(program: Program, folder: Path, backend: str, victims: Sequence[str], *, slots: int = 0) -> History:
    """A history on a new catalog."""
    if slots:
        program = replace(program, env={**program.env, "MLCONSOLE_CPU_SLOTS": str(slots)})
    program.json("run", "list")
    return History(program, folder / "jobs", backend, victims)
