"""What the local backend says about a job follows from records and processes, never from a guess (F-32)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkit import Jobs, jobs_of, until
from mlconsole.plugin_api import ActionFailed, BackendUnreachable, Handle, MlconsoleError, Observation, Outcome, State
from mlconsole_local import LocalBackend, shim

UP = "print('up', flush=True); import time; time.sleep(60)"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(LocalBackend(), tmp_path) as found:
        yield found


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def change(handle: Handle, name: str, **fields: object) -> None:
    folder = f"{handle.data['directory']}/job"
    record = shim.read(folder, f"{name}.json")
    shim.publish(folder, f"{name}.json", {**(record or {}), **fields})


def running(jobs: Jobs) -> Handle:
    handle = jobs.python(UP)
    jobs.said(handle, b"up")
    return handle


def start_record(handle: Handle) -> dict[str, dict[str, int]]:
    return shim.read(f"{handle.data['directory']}/job", "start.json") or {}


def kill_supervisor(handle: Handle) -> None:
    supervisor = start_record(handle)["shim"]
    shim.send(supervisor["pid"], supervisor["start"], signal.SIGKILL)
    until(lambda: not shim.is_alive(supervisor["pid"], supervisor["start"]))


def kill_program(handle: Handle) -> None:
    program = start_record(handle)["child"]
    shim.send(program["pid"], program["start"], signal.SIGKILL)
    until(lambda: not shim.is_alive(program["pid"], program["start"]))


def test_a_job_whose_supervisor_was_killed_still_runs_and_says_so(jobs: Jobs) -> None:
    handle = running(jobs)
    kill_supervisor(handle)
    seen = jobs.look(handle)
    assert (seen.state, seen.reachable) == (State.RUNNING, True)
    assert seen.reason == "its supervisor is gone; the process is alive"


def test_a_process_gone_without_a_record_has_an_unknown_end(jobs: Jobs) -> None:
    handle = running(jobs)
    kill_supervisor(handle)
    kill_program(handle)
    seen = jobs.look(handle)
    assert (seen.state, seen.outcome, seen.exit_code) == (State.ENDED, Outcome.UNKNOWN, None)
    assert seen.reason == "process gone without an exit record"


def test_a_restart_of_the_machine_loses_the_job(jobs: Jobs, tmp_path: Path) -> None:
    handle = running(jobs)
    (seen,) = LocalBackend(boot_id="after-the-restart").observe([handle])
    assert (seen.state, seen.outcome) == (State.ENDED, Outcome.NODE_LOST)


def test_an_exit_record_outlives_a_restart(jobs: Jobs) -> None:
    handle = jobs.python("raise SystemExit(4)")
    before = jobs.ended(handle)
    assert LocalBackend(boot_id="after-the-restart").observe([handle]) == [before]


def test_after_a_restart_nothing_is_signalled(jobs: Jobs) -> None:
    handle = running(jobs)
    later = LocalBackend(boot_id="after-the-restart")
    assert later.cancel(handle, 0.0).outcome is Outcome.NODE_LOST
    assert later.release(handle) == ()
    assert jobs.look(handle).state is State.RUNNING


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "another-host", "boot_id": "its-boot"}, {"machine": "another", "boot_id": "b"}, {"pid_ns": "pid:[1]"}],
)
def test_a_job_recorded_elsewhere_is_out_of_reach_not_dead(jobs: Jobs, elsewhere: dict[str, str]) -> None:
    handle = running(jobs)
    original = start_record(handle)
    change(handle, "start", **elsewhere)
    (seen,) = jobs.backend.observe([handle])
    assert not seen.reachable
    assert seen.outcome is None
    with pytest.raises(BackendUnreachable):
        jobs.backend.cancel(handle, 0.0)
    change(handle, "start", **original)
    assert jobs.look(handle).state is State.RUNNING


def test_a_host_that_was_renamed_still_has_its_job(jobs: Jobs) -> None:
    handle = running(jobs)
    change(handle, "start", host="the-name-before")
    assert (jobs.look(handle).state, jobs.look(handle).reachable) == (State.RUNNING, True)


def test_a_pid_that_is_now_another_process_is_neither_the_job_nor_signalled(
    jobs: Jobs, bystander: subprocess.Popen[bytes]
) -> None:
    handle = running(jobs)
    kill_supervisor(handle)
    kill_program(handle)
    taken = shim.identity(bystander.pid)
    change(handle, "start", child={**taken, "start": taken["start"] - 100}, shim={**taken, "start": 1})
    assert jobs.look(handle).outcome is Outcome.UNKNOWN
    jobs.backend.cancel(handle, 0.0)
    assert jobs.backend.release(handle) == ()
    assert bystander.poll() is None


def test_a_signal_is_not_sent_on_a_pid_alone(bystander: subprocess.Popen[bytes]) -> None:
    known = shim.identity(bystander.pid)
    assert not shim.send(bystander.pid, known["start"] - 1, signal.SIGKILL)
    assert bystander.poll() is None
    assert shim.send(bystander.pid, known["start"], signal.SIGKILL)
    assert bystander.wait() == -signal.SIGKILL


def test_a_zombie_counts_as_gone() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert shim.process(child) is None
    os.waitpid(child, 0)


def test_a_process_may_have_any_name(tmp_path: Path) -> None:
    name = ") R 1 (x\n"
    os.symlink("/bin/sleep", tmp_path / name)
    with subprocess.Popen([tmp_path / name, "60"]) as process:
        found = until(lambda: each if (each := shim.process(process.pid)) and each.command == name else None)
        process.kill()
    assert found.parent == os.getpid()


def test_a_damaged_record_hides_no_other_job(jobs: Jobs) -> None:
    good, bad, worse = (jobs.python("pass") for _ in range(3))
    for handle in (good, bad, worse):
        jobs.ended(handle)
    Path(str(bad.data["directory"]), "job", "exit.json").write_bytes(b'{"token": "\xff')
    Path(str(worse.data["directory"]), "job", "exit.json").write_text("{}")
    seen = jobs.backend.observe([bad, good, worse])
    assert [each.reachable for each in seen] == [False, True, False]
    assert seen[1].outcome is Outcome.SUCCEEDED


def test_a_folder_that_is_gone_is_out_of_reach(jobs: Jobs, tmp_path: Path) -> None:
    handle = Handle("local", "t", {"directory": str(tmp_path / "gone")})
    (seen,) = jobs.backend.observe([handle])
    why = f'there are no records of it in "{tmp_path}/gone/job"'
    assert seen == Observation("t", State.RUNNING, reason=why, reachable=False)


def test_a_handle_of_another_backend_is_refused(jobs: Jobs) -> None:
    with pytest.raises(MlconsoleError, match="not one of the local backend"):
        jobs.backend.logs(Handle("slurm", "t", {}), "output", 0)


def test_live_jobs_below_the_root_are_found_again(jobs: Jobs, tmp_path: Path) -> None:
    live, ended = running(jobs), jobs.python("pass")
    jobs.ended(ended)
    (tmp_path / "not-a-run").mkdir()
    assert LocalBackend(str(tmp_path)).reconcile() == [live]
    assert LocalBackend().reconcile() == []


def claimed(tmp_path: Path, launcher: dict[str, int]) -> Handle:
    """A job that was claimed by a launcher and not handed to a supervisor."""
    (tmp_path / "run" / "job").mkdir(parents=True)
    claim = {**shim.place(), "token": "claimed", "run_id": "r", "at": 0.0, "launcher": launcher}
    shim.publish(str(tmp_path / "run" / "job"), "claim.json", claim)
    return Handle("local", "claimed", {"directory": str(tmp_path / "run")})


def test_a_job_is_starting_while_its_launcher_lives(jobs: Jobs, tmp_path: Path) -> None:
    handle = claimed(tmp_path, shim.identity(os.getpid()))
    assert jobs.look(handle).state is State.STARTING
    assert jobs.backend.find("claimed", str(tmp_path / "run")) == handle


def test_a_job_whose_launcher_died_before_handing_it_over_never_started(jobs: Jobs, tmp_path: Path) -> None:
    handle = claimed(tmp_path, {"pid": os.getpid(), "start": 1})
    assert jobs.look(handle).outcome is Outcome.NEVER_STARTED
    assert jobs.backend.find("claimed", str(tmp_path / "run")) is None


def test_a_job_cancelled_before_it_is_handed_over_never_starts(jobs: Jobs, tmp_path: Path) -> None:
    handle = claimed(tmp_path, shim.identity(os.getpid()))
    assert jobs.backend.cancel(handle, 1.0).outcome is Outcome.CANCELLED
    with pytest.raises(ActionFailed, match="stopped by"):
        jobs.submit("touch", str(tmp_path / "started"), name="run", token="claimed")
    assert not (tmp_path / "started").exists()
