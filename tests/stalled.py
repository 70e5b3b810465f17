"""A launch that stops itself at a moment of its own, and goes on when somebody says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from mlconsole.actions.context import Context, utc_now
from mlconsole.actions.sync import refresh
from mlconsole.config import load
from mlconsole.domain.runs import Reach
from program import Program, wait_until

STOPPER = """
import os, signal, sys
event, text = sys.argv[1:3]
sys.argv[1:] = sys.argv[3:]
def look(seen, arguments):
    global event
    if seen == event and text in repr(arguments):
        event = ""
        os.kill(os.getpid(), signal.SIGSTOP)
sys.addaudithook(look)
from mlconsole.__main__ import main
sys.exit(main())
"""
#: Before anything of the job is written, and before its backend hears of it: an audit event, and a text of it.
NOTHING_IS_WRITTEN = ("os.mkdir", "/job'")
ITS_SUBMIT = {
    "local": ("os.posix_spawn", "shim"),
    "fake": ("os.posix_spawn", "shim"),
    "ssh": ("subprocess.Popen", "ssh"),
    "slurm": ("subprocess.Popen", "sbatch"),
    "ray": ("socket.connect", ""),
}
MOMENTS = ("nothing_is_written", "its_submit")


class Stalled:
    """A console that has stopped between the intent to launch a run and its submit."""

    def __init__(self, program: Program, backend: str, moment: str, folder: Path) -> None:
        self.program, self.starts = program, folder / "starts"
        where = NOTHING_IS_WRITTEN if moment == "nothing_is_written" else ITS_SUBMIT[backend]
        words = ("launch", "-b", backend, "-n", "stalled", "--", "sh", "-c", 'echo x >> "$0"', str(self.starts))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", STOPPER, *where, *words],
            cwd=program.cwd,
            env=program.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        wait_until(self.is_stopped, "the launch to stop itself", 60)

    def is_stopped(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/stat").read_text()
        assert self.process.poll() is None, self.process.communicate()
        return status.rpartition(")")[2].split()[0] == "T"

    def looked_at(self, after: timedelta = timedelta(minutes=5)) -> tuple[str, str | None]:
        """What another console makes of it, so long after."""
        later = Context(load(self.program.environment()), clock=lambda: utc_now() + after)
        try:
            refresh(later)
            run = later.catalog.runs.get("stalled")
            assert run.reach is Reach.OK
            return run.state.value, run.outcome.value if run.outcome else None
        finally:
            later.catalog.close()

    def goes_on(self) -> str:
        """Let it go on to its end; gives what it has printed."""
        self.process.send_signal(signal.SIGCONT)
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, out
        return out.decode()

    def is_killed(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=60)

    def count(self) -> int:
        return self.starts.read_text().count("x") if self.starts.exists() else 0


def carried_on(stalled: Stalled, within_s: float = 60.0) -> None:
    """See that a launch which stopped for long is neither given up while it is stopped, nor done twice."""
    for _ in range(2):
        assert stalled.looked_at() == ("submitting", None)
    stalled.goes_on()
    ended = stalled.program.ended("stalled", within_s)
    assert (ended["outcome"], stalled.count()) == ("succeeded", 1), ended


def given_up(stalled: Stalled) -> None:
    """See that one which was killed before it had submitted is said to have started nothing, and has not."""
    assert stalled.looked_at() == ("submitting", None)
    stalled.is_killed()
    wait_until(lambda: stalled.looked_at() == ("ended", "never_started"), "it to be given up", 60)
    assert stalled.count() == 0
