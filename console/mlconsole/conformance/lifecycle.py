"""What every backend does with a job from submit to release."""

from __future__ import annotations

import os

from mlconsole.conformance.kit import SLEEP, Jobs, NotHere, holds, refused, same
from mlconsole.plugin_api import Ability, Outcome, State, UsageError

WARNED = (
    "import signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: (print('saved', flush=True), sys.exit(0))); "
    "print('up', flush=True); time.sleep(60)"
)


def keeps_its_version_and_abilities(jobs: Jobs) -> None:
    """It says its version and its abilities."""
    probe = jobs.backend.probe()
    holds(probe.version, "the probe has no version")
    holds(all(isinstance(each, Ability) for each in probe.abilities), "an ability is none of Ability")


def keeps_success(jobs: Jobs) -> None:
    """A job that exits with zero has succeeded, and says where and from when to when it ran."""
    seen = jobs.ended(jobs.python("pass"))
    same((seen.outcome, seen.exit_code), (Outcome.SUCCEEDED, 0), "outcome and code")
    holds(seen.host, "it does not say where it ran")
    holds(seen.started_at is not None and seen.ended_at is not None, "it does not say when it ran")
    assert seen.started_at is not None and seen.ended_at is not None
    holds(seen.started_at <= seen.ended_at, "it ended before it started")
    holds(seen.started_at.utcoffset() is not None, "its times have no zone")


def keeps_exit_codes(jobs: Jobs) -> None:
    """An exit code is kept, and is a failure."""
    for code in (1, 3, 127, 255):
        seen = jobs.ended(jobs.python(f"raise SystemExit({code})"))
        same((seen.outcome, seen.exit_code), (Outcome.FAILED, code), "outcome and code")


def keeps_signals(jobs: Jobs) -> None:
    """A death by signal is a failure that names the signal."""
    seen = jobs.ended(jobs.python("import os; os.kill(os.getpid(), 11)"))
    same((seen.outcome, seen.exit_code), (Outcome.FAILED, 139), "outcome and code")
    holds("SIGSEGV" in seen.reason, f'the reason does not name SIGSEGV: "{seen.reason}"')


def keeps_missing_programs(jobs: Jobs) -> None:
    """A program that is not there ends as never started, with its name in the reason; no command is a usage error."""
    seen = jobs.ended(jobs.submit("no-such-trainer.py"))
    same(seen.outcome, Outcome.NEVER_STARTED, "outcome")
    holds('"no-such-trainer.py"' in seen.reason, f'the reason does not name it: "{seen.reason}"')
    refused(UsageError, lambda: jobs.submit(), what="no command at all")


def keeps_running(jobs: Jobs) -> None:
    """A live job is seen running."""
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    same(jobs.look(handle).state, State.RUNNING, "state")


def keeps_order(jobs: Jobs) -> None:
    """One call looks at many jobs, and answers in the order of the handles."""
    handles = [jobs.python(f"raise SystemExit({code})") for code in (7, 8, 9)]
    for handle in handles:
        jobs.ended(handle)
    same([seen.exit_code for seen in jobs.backend.observe(handles[::-1])], [9, 8, 7], "codes")
    same(jobs.backend.observe([]), [], "a look at nothing")


def keeps_its_folder(jobs: Jobs) -> None:
    """A job runs in its folder, reads an empty stdin, and has a session of its own."""
    place = jobs.folder / "a folder"
    place.mkdir()
    code = "import os, sys; print(os.getcwd()); print(repr(sys.stdin.read())); print(os.getsid(0))"
    handle = jobs.python(code, cwd=str(place))
    jobs.ended(handle)
    folder, read, session = jobs.output(handle).decode().splitlines()
    same((folder, read), (str(place), "''"), "folder and stdin")
    holds(int(session) != os.getsid(0), "it shares the session of its launcher")


def keeps_time_limits(jobs: Jobs) -> None:
    """A job over its time limit is ended and says so."""
    seen = jobs.ended(jobs.python("import time; time.sleep(60)", time_limit_s=0.3))
    same(seen.outcome, Outcome.TIMED_OUT, "outcome")
    holds("time limit" in seen.reason, f'the reason does not name the time limit: "{seen.reason}"')


def keeps_warnings(jobs: Jobs) -> None:
    """A program is warned before its time limit, so that it can save its state."""
    from mlconsole.plugin_api import LimitWarning

    if Ability.WARNING not in jobs.backend.probe().abilities:
        raise NotHere("it warns nobody")
    handle = jobs.python(WARNED, time_limit_s=30.0, warning=LimitWarning(10, 28.5))
    jobs.said(handle, b"saved")
    holds(jobs.ended(handle).state is State.ENDED, "it has not ended")


def keeps_release(jobs: Jobs) -> None:
    """Nothing is left to release of a job that ended alone; a running one is not released."""
    from mlconsole.plugin_api import ActionFailed

    ended = jobs.python("pass")
    jobs.ended(ended)
    same(jobs.backend.release(ended), (), "what is left")
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    refused(ActionFailed, lambda: jobs.backend.release(handle), "not ended", "the release of a running job")
    same(jobs.look(handle).state, State.RUNNING, "state after it")
