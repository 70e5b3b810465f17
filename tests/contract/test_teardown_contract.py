"""What a backend that runs teardown commands, or runs jobs on this machine, promises."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobkit import Jobs, until
from mlconsole.plugin_api import ActionFailed, Backend, FinaliserState, Finalises, RunsHere


@pytest.fixture
def finalising(backend: Backend) -> Finalises:
    if not isinstance(backend, Finalises):
        pytest.skip(f"backend {backend.name} runs no teardown commands")
    return backend


@pytest.mark.parametrize("code", [0, 3])
def test_a_teardown_command_runs_once_when_the_job_has_ended(
    jobs: Jobs, finalising: Finalises, tmp_path: Path, code: int
) -> None:
    torn = ("sh", "-c", f"echo torn >> {tmp_path}/torn")
    handle = jobs.submit("sh", "-c", f"exit {code}", teardown=(torn,))

    until(lambda: [each.state for each in jobs.look(handle).finalisers] == [FinaliserState.DONE])

    assert (tmp_path / "torn").read_text() == "torn\n"
    assert jobs.look(handle).exit_code == code


def test_the_arguments_of_a_teardown_command_arrive_as_given(jobs: Jobs, finalising: Finalises, tmp_path: Path) -> None:
    words = ["a b", "$HOME", "--flag", "it's", "line\nline", ""]
    show = ("sh", "-c", f'for each in "$@"; do printf "%s\\0" "$each"; done > {tmp_path}/seen', "show", *words)
    handle = jobs.submit("true", teardown=(show,))

    until(lambda: [each.state for each in jobs.look(handle).finalisers] == [FinaliserState.DONE])

    assert (tmp_path / "seen").read_bytes() == b"".join(os.fsencode(word) + b"\0" for word in words)


def test_a_teardown_is_refused_while_the_job_runs(jobs: Jobs, finalising: Finalises, tmp_path: Path) -> None:
    handle = jobs.submit("sleep", "600", teardown=(("true",),))

    with pytest.raises(ActionFailed):
        finalising.finalise(handle, (("true",),), str(tmp_path), {})


def test_a_backend_whose_jobs_run_here_says_this_hosts_name(jobs: Jobs, backend: Backend) -> None:
    if not (isinstance(backend, RunsHere) and backend.runs_here()):
        pytest.skip(f"the jobs of backend {backend.name} run elsewhere")
    handle = jobs.submit("true")

    assert jobs.ended(handle).host == os.uname().nodename
