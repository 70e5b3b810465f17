"""Cancel and release on every backend: a job that is told to end ends, and says how."""

from __future__ import annotations

import time

import pytest

from jobkit import Jobs
from mlconsole.plugin_api import ActionFailed, Outcome, State

SLEEP = "print('up', flush=True); import time; time.sleep(60)"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); " + SLEEP
POLITE = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); " + SLEEP


def test_a_cancelled_job_has_ended_when_cancel_returns(jobs: Jobs) -> None:
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    seen = jobs.backend.cancel(handle, 5.0)
    assert (seen.state, seen.outcome, seen.survivors) == (State.ENDED, Outcome.CANCELLED, ())


def test_a_job_that_ends_well_on_request_is_still_cancelled(jobs: Jobs) -> None:
    handle = jobs.python(POLITE)
    jobs.said(handle, b"up")
    seen = jobs.backend.cancel(handle, 5.0)
    assert (seen.outcome, seen.exit_code) == (Outcome.CANCELLED, 0)
    assert "exit code 0" in seen.reason


def test_a_job_that_ignores_the_request_is_killed_after_the_grace(jobs: Jobs) -> None:
    handle = jobs.python(STUBBORN)
    jobs.said(handle, b"up")
    began = time.monotonic()
    seen = jobs.backend.cancel(handle, 0.3)
    assert 0.3 <= time.monotonic() - began < 5.3
    assert (seen.outcome, seen.exit_code) == (Outcome.CANCELLED, 137)


def test_cancelling_an_ended_job_changes_nothing(jobs: Jobs) -> None:
    handle = jobs.python("raise SystemExit(3)")
    before = jobs.ended(handle)
    assert jobs.backend.cancel(handle, 1.0) == before
    assert jobs.look(handle) == before


def test_a_job_can_be_cancelled_the_moment_it_is_submitted(jobs: Jobs) -> None:
    handle = jobs.python(SLEEP)
    seen = jobs.backend.cancel(handle, 5.0)
    assert (seen.state, seen.outcome) == (State.ENDED, Outcome.CANCELLED)


def test_a_running_job_is_not_released(jobs: Jobs) -> None:
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    with pytest.raises(ActionFailed, match="not ended"):
        jobs.backend.release(handle)
    assert jobs.look(handle).state is State.RUNNING
