"""The installed ``mlconsole`` program, called as a person or a script calls it: as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEADLINE_S = 30.0
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Finished:
    """How a command ended and what it wrote."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """Standard error as the one error document it must be under ``--json``."""
        found = json.loads(self.err)["error"]
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Program:
    """Calls ``mlconsole`` on one catalog, in an environment that holds nothing of the machine's user.

    Attributes:
        home: the catalog's directory.
        cwd: where commands run unless told otherwise.
        env: variables added to the small fixed environment.
    """

    home: Path
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def argv(self, *words: str) -> list[str]:
        """The whole command line."""
        script = Path(sys.executable).with_name("mlconsole")
        own = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "mlconsole"]
        return [*own, *words]

    def environment(self, **added: str) -> dict[str, str]:
        """The environment that commands get."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        fixed = {"HOME": str(self.cwd), "LANG": "C.UTF-8", "MLCONSOLE_HOME": str(self.home)}
        return {**kept, **fixed, **self.env, **added}

    def __call__(self, *words: str, cwd: Path | None = None, deadline_s: float = DEADLINE_S, **added: str) -> Finished:
        """Run one command to its end; keyword arguments are environment variables."""
        done = subprocess.run(
            self.argv(*words),
            cwd=cwd or self.cwd,
            env=self.environment(**added),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
        )
        decode = {"encoding": "utf-8", "errors": "surrogateescape"}
        return Finished(words, done.returncode, done.stdout.decode(**decode), done.stderr.decode(**decode))

    def json(self, *words: str, **added: str) -> Any:
        """The document that a command prints; it must succeed."""
        done = self(*_with_flag(words), **added)
        assert done.code == 0, f"{words} ended with {done.code}: {done.err}"
        return done.document

    def start(self, *words: str, **added: str) -> subprocess.Popen[bytes]:
        """Start one command and leave it running, its streams in pipes."""
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.cwd,
            env=self.environment(**added),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def record(self, script: str, *words: str, **added: str) -> subprocess.CompletedProcess[bytes]:
        """Run a training script that records itself, without a launch, to its end."""
        path = self.cwd / "train.py"
        path.write_text(script, encoding="utf-8")
        return subprocess.run(
            [sys.executable, str(path), *words],
            cwd=self.cwd,
            env=self.environment(**added),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )

    def launch(self, *command: str, name: str = "job", **added: str) -> str:
        """Launch a program; returns the id of its run."""
        return str(self.json("launch", "--name", name, "--", *command, **added)["id"])

    def ended(self, run: str, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """Wait until a run has ended; returns its document."""
        found: dict[str, Any] = {}

        def has_ended() -> bool:
            found.update(self.json("run", "show", run))
            return found["state"] == "ended"

        wait_until(has_ended, f"the end of run {run}", deadline_s)
        return found


class Indoors(Program):
    """The same commands without a process of their own: for many of them, where what they load costs more than they do.

    Environment, working directory and streams are those that the process would have; what outlives a command inside
    this one (modules that are loaded, caches) is what the tests of the program itself are for.
    """

    def __call__(self, *words: str, cwd: Path | None = None, deadline_s: float = DEADLINE_S, **added: str) -> Finished:
        """Run one command to its end; keyword arguments are environment variables."""
        from mlconsole.cli.main import run

        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
        before, folder = dict(os.environ), os.getcwd()
        os.environ.clear()
        os.environ.update(self.environment(**added))
        os.chdir(cwd or self.cwd)
        try:
            with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
                code = run(words)
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)
        out, err = (stream.buffer.getvalue().decode("utf-8", "surrogateescape") for stream in streams)  # type: ignore[attr-defined]
        return Finished(words, code, out, err)


def _with_flag(words: tuple[str, ...]) -> tuple[str, ...]:
    cut = words.index("--") if "--" in words else len(words)
    return (*words[:cut], "--json", *words[cut:])


def wait_until(claim: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll until ``claim()`` is true; fail with ``what`` when the deadline passes."""
    end = time.monotonic() + deadline_s
    while not claim():
        assert time.monotonic() < end, f"waited {deadline_s:g} s in vain for {what}"
        time.sleep(0.02)


def end_processes_of(home: Path) -> None:
    """Kill what is left of a test: every process whose environment names its catalog."""
    mark = f"MLCONSOLE_HOME={home}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue
