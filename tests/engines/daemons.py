"""Long-lived processes of an engine: started in a session of their own, ended by their pid, never by a name.

They end with the test run that started them, also where that is killed: the next one finds their ports free.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

#: Tells the engines of one test run from those of another on the same machine: in names, addresses and ports.
OWN = os.getpid() % 250

#: Ends a process with the thread that started it (prctl(2), PR_SET_PDEATHSIG).
LEASH = ("setpriv", "--pdeathsig", "TERM", "--")


class NotHad(Exception):
    """The engine cannot be had on this machine; the text says why."""


def needs(*programs: str) -> None:
    """Skip with words where a program is missing, or this is not root on Linux."""
    if os.getuid() != 0:
        raise NotHad("it is started as root only")
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if missing := [each for each in programs if not shutil.which(each, path=path)]:
        raise NotHad(f"not installed: {', '.join(missing)}")


def wait_for(fact: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > deadline:
            raise NotHad(f"{what} did not come up in {within_s:g} s")
        time.sleep(0.05)


def run(*argv: object, check: bool = True, env: Mapping[str, str] | None = None, within_s: float = 120.0) -> str:
    """What a command printed."""
    words = [str(each) for each in argv]
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=within_s)
    except subprocess.TimeoutExpired:
        raise NotHad(f"{argv[0]} has not ended within {within_s:g} s") from None
    if check and done.returncode:
        raise NotHad(f"{argv[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


class Daemons:
    """The processes of one engine, by name."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.all: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, argv: Sequence[object], env: Mapping[str, str] | None = None) -> None:
        with open(self.logs / f"{name}.log", "ab") as log:
            self.all[name] = subprocess.Popen(
                [*LEASH, *(str(each) for each in argv)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=env,
            )

    def kill(self, name: str, signo: int = signal.SIGKILL) -> None:
        """Signal one, and wait until it is gone."""
        process = self.all.pop(name)
        process.send_signal(signo)
        process.wait(30)

    def is_up(self, name: str) -> bool:
        return name in self.all and self.all[name].poll() is None

    def stop(self) -> None:
        """End all: asked at once, made to soon after."""
        for process in self.all.values():
            process.terminate()
        deadline = time.monotonic() + 4
        for process in self.all.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self.all.clear()


def below(roots: Sequence[int]) -> list[tuple[int, str]]:
    """Processes and all that descend from them: pid and command line."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    ahead, found = list(roots), []
    while ahead:
        pid = ahead.pop()
        ahead += children.get(pid, [])
        with contextlib.suppress(OSError):
            found.append((pid, Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")))
    return found


def end_below(roots: Sequence[int]) -> None:
    """End processes and all that descend from them."""
    for pid, _ in below(roots):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
