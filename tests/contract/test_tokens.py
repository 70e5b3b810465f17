"""A token stands for one job on every backend, however often it is submitted or asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobkit import PYTHON, Jobs
from mlconsole.plugin_api import MlconsoleError

COUNT = "import sys; open(sys.argv[1], 'a').write('started\\n')"


def test_a_second_submit_under_a_token_finds_the_first_job(jobs: Jobs, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    spec = jobs.spec(*PYTHON, COUNT, str(starts), name="once")
    first = jobs.backend.submit(spec, jobs.token("token-1"))
    second = jobs.backend.submit(spec, jobs.token("token-1"))
    jobs.ended(first)
    assert second == first
    assert starts.read_text() == "started\n"


def test_a_submit_after_the_end_starts_nothing(jobs: Jobs, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    spec = jobs.spec(*PYTHON, COUNT, str(starts), name="once")
    jobs.ended(jobs.backend.submit(spec, jobs.token("token-1")))
    jobs.backend.submit(spec, jobs.token("token-1"))
    assert starts.read_text() == "started\n"


def test_a_token_that_was_never_submitted_is_not_found(jobs: Jobs, tmp_path: Path) -> None:
    assert jobs.backend.find(jobs.token("never"), str(tmp_path / "nothing")) is None


def test_a_submitted_token_is_found(jobs: Jobs) -> None:
    spec = jobs.spec(*PYTHON, "pass", name="found")
    handle = jobs.backend.submit(spec, jobs.token("token-2"))
    assert jobs.backend.find(jobs.token("token-2"), spec.directory) == handle


def test_a_handle_can_be_written_down_and_read_back(jobs: Jobs) -> None:
    import json

    handle = jobs.python("pass")
    assert json.loads(json.dumps(dict(handle.data))) == dict(handle.data)
    assert handle.backend == jobs.backend.name


def test_a_folder_that_holds_a_job_is_refused_to_another_token(jobs: Jobs) -> None:
    spec = jobs.spec(*PYTHON, "pass", name="taken")
    jobs.ended(jobs.backend.submit(spec, jobs.token("token-3")))
    with pytest.raises(MlconsoleError, match="another job"):
        jobs.backend.submit(spec, jobs.token("token-4"))
