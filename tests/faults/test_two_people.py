"""Two people of one machine share a catalog in a folder of their group: each one's processes are their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from program import wait_until

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
#: Users and a group that need no entry in any list.
ANN, BOB, GROUP = 61001, 61002, 61000
PROBE = "import os, sys, textual, sqlite_utils; assert sys.version_info >= (3, 11)"


class Person:
    """Somebody at the machine, with an umask that gives nobody anything."""

    def __init__(self, uid: int, place: Path) -> None:
        self.uid, self.home = uid, place / str(uid)
        self.home.mkdir()
        os.chown(self.home, uid, GROUP)
        paths = [
            ROOT / "console",
            ROOT / "plugins",
            *(each for each in map(Path, sys.path) if each.name == "site-packages"),
        ]
        self.env = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MLCONSOLE_HOME": str(place / "lab"),
            "MLCONSOLE_CPU_SLOTS": "1",
        }

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        own = {"user": self.uid, "group": GROUP, "extra_groups": [], "umask": 0o022, "cwd": self.home, "env": self.env}
        return subprocess.run([PYTHON, *words], **own, capture_output=True, text=True, timeout=60, check=False)  # type: ignore[call-overload, no-any-return]

    def does(self, *words: str) -> Any:
        done = self.python("-P", "-m", "mlconsole", "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def is_refused(self, *words: str) -> str:
        done = self.python("-P", "-m", "mlconsole", *words)
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
        return done.stderr

    def state(self, name: str) -> str:
        (run,) = (each for each in self.does("run", "list")["items"] if each["name"] == name)
        return str(run["outcome"] or run["state"])


@pytest.fixture
def place() -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("only root can be two people")
    found = Path(tempfile.mkdtemp(prefix="mlct-", dir="/tmp"))
    found.chmod(0o755)
    (found / "lab").mkdir()
    os.chown(found / "lab", 0, GROUP)
    (found / "lab").chmod(0o2770)
    yield found
    shutil.rmtree(found)


@pytest.fixture
def people(place: Path) -> tuple[Person, Person]:
    ann, bob = Person(ANN, place), Person(BOB, place)
    if (found := ann.python("-c", PROBE)).returncode:
        pytest.skip(f"others than root cannot run this: {found.stderr.strip().splitlines()[-1:]}")
    return ann, bob


def test_they_take_turns_and_nobody_ends_the_processes_of_the_other(people: tuple[Person, Person], place: Path) -> None:
    ann, bob = people
    gate = ann.home / "gate"
    waits = ("--", "sh", "-c", f"until [ -e {gate} ] || [ ! -d {ann.home} ]; do sleep 0.05; done")
    ann.does("launch", "--name", "a1", *waits)
    ann.does("launch", "--name", "a2", *waits)
    ann.does("launch", "--name", "a3", *waits)
    bob.does("launch", "--name", "b1", "--", "true")
    turns = [each["name"] for each in bob.does("job", "list")["items"]]
    assert turns == ["a1", "b1", "a2", "a3"]  # Bob has used nothing yet.

    why = "is a process of"
    assert why in bob.is_refused("run", "stop", "a1", "--yes") and why in bob.is_refused("teardown", "a1", "--yes")
    bob.does("run", "stop", "a3", "--yes")
    assert "can delete it" in bob.is_refused("run", "delete", "a3", "--yes")
    assert [bob.state(name) for name in ("a1", "a2", "a3", "b1")] == ["running", "queued", "cancelled", "queued"]
    ann.does("run", "delete", "a3", "--yes")

    gate.touch()
    wait_until(lambda: bob.state("b1") == "succeeded", "bob's run to end")
    wait_until(lambda: bob.state("a2") == "succeeded", "the runs of the other to end without a command of theirs")
    assert [bob.state("a2"), bob.state("b1")] == ["succeeded"] * 2
    left = [each for each in (place / "lab").iterdir() if not each.stat().st_mode & 0o020]
    assert left == []
