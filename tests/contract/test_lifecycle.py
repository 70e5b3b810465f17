"""What every backend does with a job from submit to release."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobkit import Jobs
from mlconsole import backends
from mlconsole.plugin_api import Ability, Backend, Outcome, State, UsageError


def test_an_installed_backend_keeps_its_registered_name(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert backends.one(backend.name) is backend


def test_a_backend_says_its_version_and_abilities(backend: Backend) -> None:
    probe = backend.probe()
    assert probe.version
    assert all(isinstance(each, Ability) for each in probe.abilities)


def test_a_job_that_exits_with_zero_has_succeeded(jobs: Jobs) -> None:
    seen = jobs.ended(jobs.python("pass"))
    assert (seen.outcome, seen.exit_code) == (Outcome.SUCCEEDED, 0)


def test_an_ended_job_says_where_and_from_when_to_when_it_ran(jobs: Jobs) -> None:
    seen = jobs.ended(jobs.python("pass"))
    assert seen.host
    assert seen.started_at is not None and seen.ended_at is not None
    assert seen.started_at <= seen.ended_at
    assert seen.started_at.utcoffset() is not None


@pytest.mark.parametrize("code", [1, 3, 127, 255])
def test_an_exit_code_is_kept(jobs: Jobs, code: int) -> None:
    seen = jobs.ended(jobs.python(f"raise SystemExit({code})"))
    assert (seen.outcome, seen.exit_code) == (Outcome.FAILED, code)


def test_a_death_by_signal_is_a_failure_that_names_the_signal(jobs: Jobs) -> None:
    seen = jobs.ended(jobs.python("import os; os.kill(os.getpid(), 11)"))
    assert (seen.outcome, seen.exit_code) == (Outcome.FAILED, 139)
    assert "SIGSEGV" in seen.reason


def test_a_missing_command_ends_with_its_name_in_the_reason(jobs: Jobs) -> None:
    seen = jobs.ended(jobs.submit("no-such-trainer.py"))
    assert seen.outcome is Outcome.NEVER_STARTED
    assert '"no-such-trainer.py"' in seen.reason


def test_an_empty_command_is_a_usage_error(jobs: Jobs) -> None:
    with pytest.raises(UsageError):
        jobs.submit()


def test_a_live_job_is_seen_running(jobs: Jobs) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(60)")
    jobs.said(handle, b"up")
    assert jobs.look(handle).state is State.RUNNING


def test_observations_come_in_the_order_of_the_handles(jobs: Jobs) -> None:
    handles = [jobs.python(f"raise SystemExit({code})") for code in (7, 8, 9)]
    for handle in handles:
        jobs.ended(handle)
    codes = [seen.exit_code for seen in jobs.backend.observe(handles[::-1])]
    assert codes == [9, 8, 7]


def test_looking_at_nothing_gives_nothing(backend: Backend) -> None:
    assert backend.observe([]) == []


def test_a_job_runs_in_its_folder(jobs: Jobs, tmp_path: Path) -> None:
    place = tmp_path / "a folder"
    place.mkdir()
    handle = jobs.python("import os; print(os.getcwd())", cwd=str(place))
    jobs.ended(handle)
    assert jobs.output(handle).decode() == f"{place}\n"


def test_a_job_reads_an_empty_stdin(jobs: Jobs) -> None:
    handle = jobs.python("import sys; print(repr(sys.stdin.read()))")
    jobs.ended(handle)
    assert jobs.output(handle) == b"''\n"


def test_a_job_over_its_time_limit_is_ended_and_says_so(jobs: Jobs) -> None:
    handle = jobs.python("import time; time.sleep(60)", time_limit_s=0.3)
    seen = jobs.ended(handle)
    assert seen.outcome is Outcome.TIMED_OUT
    assert "time limit" in seen.reason


def test_nothing_is_left_to_release_of_a_job_that_ended_alone(jobs: Jobs) -> None:
    handle = jobs.python("pass")
    jobs.ended(handle)
    assert jobs.backend.release(handle) == ()


def test_a_job_does_not_share_the_terminal_or_session_of_its_launcher(jobs: Jobs) -> None:
    handle = jobs.python("import os; print(os.getsid(0))")
    jobs.ended(handle)
    assert int(jobs.output(handle)) != os.getsid(0)
