"""The story of a new user in a real tmux, with keys alone, at two sizes, and the editor on the way."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_pty_story import TRAIN

from program import Program

DEADLINE_S = 30.0
EDITOR = """
import re, sys
path = sys.argv[-1]
print("IN THE EDITOR", flush=True)
sys.stdin.readline()
text = open(path).read()
open(path, "w").write(re.sub(r"--lr \\S+", "--lr 0.02", text))
"""

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """A tmux server of one's own with one pane."""

    def __init__(self, folder: Path, size: tuple[int, int], argv: list[str], env: dict[str, str]) -> None:
        self._socket = str(folder / "tmux.sock")
        columns, lines = size
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        self._env = {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", "SHELL": "/bin/sh", **env}
        self("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines), shlex.join(argv))

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-S", self._socket, *words], env=self._env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def text(self) -> str:
        return self("capture-pane", "-p")

    def types(self, text: str) -> None:
        self("send-keys", "-l", text)

    def presses(self, *keys: str) -> None:
        self("send-keys", *keys)

    def waits(self, claim: Callable[[str], bool], what: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not claim(text := self.text):
            assert time.monotonic() < end, f"waited for {what}; tmux shows:\n{text}"
            time.sleep(0.05)

    def sees(self, *texts: str) -> None:
        for one in texts:
            self.waits(lambda text, one=one: one in text, repr(one))

    def sees_no(self, one: str) -> None:
        self.waits(lambda text: one not in text, f"no {one!r}")

    def goes(self, line: str) -> None:
        self.types(f":{line}")
        self.sees(f":{line}")
        self.presses("Enter")

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], env=self._env, capture_output=True, check=False)


@pytest.fixture(params=[(80, 24), (200, 60)], ids=["80x24", "200x60"])
def tmux(request: pytest.FixtureRequest, cli: Program, tmp_path: Path) -> Iterator[Tmux]:
    (cli.cwd / "train.py").write_text(TRAIN)
    (tmp_path / "editor.py").write_text(EDITOR)
    for name, lr in (("good", "0.1"), ("too-fast", "1e3")):
        cli.ended(cli.launch(sys.executable, "train.py", "--lr", lr, name=name))
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(cli.home)]
    env = {"EDITOR": f"{sys.executable} {tmp_path / 'editor.py'}", "MLCONSOLE_CONFIG": "/nonexistent"}
    shell = ["sh", "-c", f"{shlex.join(argv)}; echo LEFT WITH $?; sleep 600"]
    found = Tmux(tmp_path, request.param, shell, env)
    try:
        yield found
    finally:
        found.close()


def test_a_copied_id_is_in_tmux_s_buffer(cli: Program, tmux: Tmux) -> None:
    tmux("set", "-s", "set-clipboard", "on")
    tmux.sees("? help", "▌ too-fast")
    tmux.types("y")
    tmux.sees("Copied the id: 12 characters")

    tmux.waits(lambda _: bool(tmux("list-buffers")), "a buffer")
    assert tmux("show-buffer") == cli.json("run", "show", "too-fast")["id"]


def test_from_the_failed_run_to_its_successor_in_tmux(cli: Program, tmux: Tmux) -> None:
    tmux.sees("? help", "too-fast", "good")
    tmux.types("/state:failed")
    tmux.presses("Enter")
    tmux.sees_no("good")
    tmux.presses("Enter")
    tmux.sees("Run too-fast", "FloatingPointError: loss diverged")
    tmux.types("7")
    tmux.sees("Traceback")
    tmux.types("-")
    tmux.sees("state:failed", "▌ too-fast")
    tmux.presses("Space")
    tmux.sees("1 marked")
    tmux.goes("runs sort:val/loss")
    tmux.sees("▌ good")
    tmux.presses("Space")
    tmux.sees("2 marked")
    tmux.types("c")
    tmux.sees("Compare 2 runs", "≠ lr")
    tmux.goes("runs state:failed")
    tmux.sees("▌◆too-fast")
    tmux.types("r")
    tmux.sees("Launch a run again", "--lr 1e3")
    tmux.presses("Tab", "Tab", "C-o")
    tmux.sees("IN THE EDITOR")
    tmux.presses("Enter")
    tmux.sees("Launch a run again", "--lr 0.02")
    tmux.sees_no("IN THE EDITOR")
    tmux.presses("C-s")
    tmux.sees("Enter does it")
    tmux.presses("Enter")
    tmux.sees("run relaunch: ")
    tmux.goes("runs state:running")
    tmux.sees("● running")
    tmux.types("L")
    tmux.sees("following", "epoch 5 ")
    tmux.types("s")
    tmux.sees("Enter does it")
    tmux.presses("Enter")
    tmux.sees("■ cancelled")
    tmux.goes("audit sort:-seq")
    tmux.sees("run stop", "run relaunch")
    tmux.types("q")
    tmux.sees("LEFT WITH 0")
    outcomes = {run["outcome"] for run in cli.json("run", "list")["items"]}
    assert outcomes == {"succeeded", "failed", "cancelled"}
