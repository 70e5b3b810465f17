"""What every backend promises, held against each one that is installed; the same text serves ``backend check``."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.conftest import set_up_fake
from jobkit import Jobs, jobs_of
from mlconsole import backends
from mlconsole.conformance import Promise, hold_to, kept, promises
from mlconsole.conformance.kit import SLEEP, Broken, NotHere
from mlconsole.plugin_api import ActionFailed, Backend, Handle, JobSpec, RunsHere, replace
from mlconsole_local import LocalBackend

PROMISES = {each.name: each for each in promises()}
BREAKS = {
    "says_ended": "lifecycle.running",
    "reused": "lifecycle.order",
    "keeps_running": "stopping.the_grace",
    "unreachable": "lifecycle.its_version_and_abilities",
}


@pytest.mark.parametrize("promise", PROMISES.values(), ids=lambda each: each.name)
def test_a_backend_keeps_its_promises(promise: Promise, jobs: Jobs) -> None:
    try:
        promise.keep(jobs)
    except NotHere as why:
        pytest.skip(str(why))


@pytest.mark.parametrize(
    "name", [each for each in PROMISES if each.startswith(("tokens", "trouble", "stopping.cancel"))]
)
def test_a_bad_connection_breaks_no_promise(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = set_up_fake(monkeypatch, tmp_path, "unheard", "lost_reply", "late")
    verdict = kept(fake, PROMISES[name], tmp_path)
    assert verdict.verdict == "kept", verdict.detail


@pytest.mark.parametrize("lie", BREAKS)
def test_a_backend_that_lies_is_caught(lie: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = set_up_fake(monkeypatch, tmp_path, lie)
    promise = PROMISES[BREAKS[lie]]
    if lie == "unreachable":
        assert not fake.probe().reachable
        return
    assert kept(fake, promise, tmp_path).verdict == "broken"


class Blind(LocalBackend):
    """Its jobs do not see this machine's folders."""

    def submit(self, spec: JobSpec, token: str) -> Handle:
        return super().submit(replace(spec, argv=(*spec.argv[:-1], spec.argv[-1] + ".elsewhere")), token)


def test_a_backend_whose_jobs_do_not_see_the_folder_is_not_said_to_break_anything(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match=f'do not see the folder "{tmp_path}"'):
        list(hold_to(Blind(), tmp_path))


def test_a_job_that_does_not_end_is_told_of_as_it_was_last_seen(tmp_path: Path) -> None:
    with jobs_of(LocalBackend(), tmp_path) as jobs:
        jobs.said(jobs.python(SLEEP), b"up")
        with pytest.raises(Broken, match="was last seen running"):
            jobs.ended(jobs.handles[0], 0.0)


def test_an_installed_backend_keeps_its_registered_name(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert backends.one(backend.name) is backend


def test_the_program_starts_from_the_launching_environment(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlconsole.conformance.exactness import seen_by_program

    if not (isinstance(jobs.backend, RunsHere) and jobs.backend.runs_here()):
        pytest.skip(f"the jobs of backend {jobs.backend.name} start from the environment of where they run")
    monkeypatch.setenv("FROM_THE_LAUNCHER", "yes")
    monkeypatch.setenv("REPLACED", "launcher")
    found = seen_by_program(jobs, {"REPLACED": "spec"})
    assert (found["FROM_THE_LAUNCHER"], found["REPLACED"]) == ("yes", "spec")
