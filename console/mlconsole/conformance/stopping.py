"""Cancel: a job that is told to end ends, and says how."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from mlconsole.conformance.kit import SLEEP, Jobs, holds, same
from mlconsole.plugin_api import Outcome, State

STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); " + SLEEP
#: Starts another program, as a script does, and waits for it; that one holds a lock on a file as long as it is there.
PARENT = """
import subprocess, sys
child = "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, 2); print('up', flush=True)"
subprocess.call([sys.executable, "-I", "-S", "-c", child + "; time.sleep(60)", sys.argv[1]])
"""
DYING_S = 2.0
"""Seconds that the kernel has for the end of a process that was killed."""
POLITE = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); " + SLEEP


def keeps_cancel(jobs: Jobs) -> None:
    """A cancelled job has ended when cancel returns."""
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    seen = jobs.backend.cancel(handle, 5.0)
    same((seen.state, seen.outcome, seen.survivors), (State.ENDED, Outcome.CANCELLED, ()), "what cancel answers")


def keeps_polite_ends(jobs: Jobs) -> None:
    """A job that ends well on request is still cancelled."""
    handle = jobs.python(POLITE)
    jobs.said(handle, b"up")
    seen = jobs.backend.cancel(handle, 5.0)
    same((seen.outcome, seen.exit_code), (Outcome.CANCELLED, 0), "outcome and code")
    holds("exit code 0" in seen.reason, f'the reason does not say how: "{seen.reason}"')


def keeps_the_grace(jobs: Jobs) -> None:
    """A job that ignores the request is killed after the grace, no later than five seconds beyond it."""
    handle = jobs.python(STUBBORN)
    jobs.said(handle, b"up")
    began = time.monotonic()
    seen = jobs.backend.cancel(handle, 0.3)
    took_s = time.monotonic() - began
    holds(0.3 <= took_s < 5.3, f"it took {took_s:.1f} s")
    same((seen.outcome, seen.exit_code), (Outcome.CANCELLED, 137), "outcome and code")


def keeps_ends(jobs: Jobs) -> None:
    """Cancelling a job that has ended changes nothing."""
    handle = jobs.python("raise SystemExit(3)")
    before = jobs.ended(handle)
    same(jobs.backend.cancel(handle, 1.0), before, "what cancel answers")
    same(jobs.look(handle), before, "what is seen after it")


def keeps_early_cancels(jobs: Jobs) -> None:
    """A job can be cancelled the moment it is submitted."""
    seen = jobs.backend.cancel(jobs.python(SLEEP), 5.0)
    same((seen.state, seen.outcome), (State.ENDED, Outcome.CANCELLED), "what cancel answers")


def keeps_what_it_started(jobs: Jobs) -> None:
    """What a job has started itself is gone when cancel returns, or is named as a survivor."""
    lock = jobs.folder / "lock"
    handle = jobs.python(PARENT, str(lock))
    jobs.said(handle, b"up")
    seen = jobs.backend.cancel(handle, 2.0)
    same((seen.state, seen.outcome), (State.ENDED, Outcome.CANCELLED), "what cancel answers")
    deadline = time.monotonic() + DYING_S
    while not (is_over := bool(seen.survivors) or _is_free(lock)) and time.monotonic() < deadline:
        time.sleep(0.02)
    holds(is_over, "a program that the job had started runs on, and is not named")


def _is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
