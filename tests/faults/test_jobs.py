"""Faults of jobs: whatever is killed, reused or refuses to die, one job stays one job and nobody else is hit (F-31)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkit import PYTHON, Jobs, jobs_of, until
from mlconsole.plugin_api import FinaliserState, Handle, Outcome, State
from mlconsole_local import LocalBackend, shim

#: A program that starts every kind of process that likes to stay, notes their pids, and refuses to end.
STUBBORN_FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)

def stay():
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
    while True:
        time.sleep(60)

def plain():
    stay()

def own_session():
    os.setsid()
    stay()

def double_forked():
    os.setsid()
    if os.fork():
        os._exit(0)
    stay()

def without_environment():
    os.setsid()
    if os.fork():
        os._exit(0)
    code = "import os, sys, time; open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close(); time.sleep(600)"
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", code, sys.argv[1]], {})

def stopped():
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
    os.kill(os.getpid(), signal.SIGSTOP)
    stay()

for kind in (plain, own_session, double_forked, without_environment, stopped):
    if os.fork() == 0:
        kind()
stay()
"""
FAMILY_SIZE = 6

#: A child that lives a moment and leaves another in its place, for ever.
RUNAWAY = """
import os, time
print("up", flush=True)
while True:
    time.sleep(0.001)
    if os.fork():
        os._exit(0)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(LocalBackend(release_grace_s=0.3), tmp_path) as found:
        yield found


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process, with the same command as a job's."""
    with subprocess.Popen([*PYTHON, "import time; time.sleep(600)"], start_new_session=True) as process:
        yield process
        process.kill()


def alive(pid: int) -> bool:
    return shim.process(pid) is not None


def start_record(handle: Handle) -> shim.Record:
    return shim.read(f"{handle.data['directory']}/job", "start.json") or {}


def kill_supervisor(handle: Handle) -> None:
    supervisor = start_record(handle)["shim"]
    shim.send(supervisor["pid"], supervisor["start"], signal.SIGKILL)
    until(lambda: not shim.is_alive(supervisor["pid"], supervisor["start"]))


def family(jobs: Jobs, tmp_path: Path) -> tuple[Handle, list[int]]:
    pids = tmp_path / "pids"
    pids.mkdir()
    handle = jobs.python(STUBBORN_FAMILY, str(pids))
    until(lambda: len(list(pids.iterdir())) == FAMILY_SIZE)
    return handle, [int(each.name) for each in pids.iterdir()]


def test_stop_ends_every_descendant_however_it_hides(
    jobs: Jobs, tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    handle, pids = family(jobs, tmp_path)
    other = jobs.python("import time; time.sleep(600)")
    began = time.monotonic()
    seen = jobs.backend.cancel(handle, 0.3)
    assert time.monotonic() - began < 5.3
    assert (seen.state, seen.outcome, seen.survivors) == (State.ENDED, Outcome.CANCELLED, ())
    assert [pid for pid in pids if alive(pid)] == []
    assert bystander.poll() is None
    assert jobs.look(other).state is State.RUNNING


def test_stop_without_a_supervisor_ends_the_family_and_nobody_else(
    jobs: Jobs, tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    handle, pids = family(jobs, tmp_path)
    other = jobs.python("import time; time.sleep(600)")
    kill_supervisor(handle)
    seen = jobs.backend.cancel(handle, 0.3)
    assert (seen.state, seen.outcome, seen.survivors) == (State.ENDED, Outcome.CANCELLED, ())
    assert bystander.poll() is None
    assert jobs.look(other).state is State.RUNNING
    # One that gave up its environment and its parents bears no sign of the job: it is not ours to kill.
    unmarked = [pid for pid in pids if alive(pid)]
    assert len(unmarked) <= 1
    for pid in unmarked:
        os.kill(pid, signal.SIGKILL)


def test_a_process_that_forks_away_for_ever_is_caught(jobs: Jobs) -> None:
    handle = jobs.python(RUNAWAY)
    jobs.said(handle, b"up")
    seen = jobs.ended(handle)
    assert seen.outcome is Outcome.SUCCEEDED
    assert jobs.backend.release(handle) == ()
    until(lambda: not [each for each in shim.processes() if shim.mark_of(each.pid) == handle.token])


def test_what_cannot_be_killed_is_named(jobs: Jobs, frozen: Path) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(600)")
    jobs.said(handle, b"up")
    pid = start_record(handle)["child"]["pid"]
    (frozen / "cgroup.procs").write_text(str(pid))
    (frozen / "freezer.state").write_text("FROZEN")
    until(lambda: (frozen / "freezer.state").read_text() == "FROZEN\n")
    seen = jobs.backend.cancel(handle, 0.0)
    assert seen.state is State.STOPPING
    assert [each.split()[0] for each in seen.survivors] == [str(pid)]
    (frozen / "freezer.state").write_text("THAWED")
    assert jobs.ended(handle).survivors == ()


@pytest.fixture
def frozen() -> Iterator[Path]:
    """A control group whose processes do not even die while it is frozen (cgroup v1)."""
    group = Path(f"/sys/fs/cgroup/freezer/mlconsole-test-{os.getpid()}")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup v1 freezer to make an unkillable process with: {error}")
    yield group
    (group / "freezer.state").write_text("THAWED")
    until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


def test_what_a_job_left_behind_lives_until_it_is_released(jobs: Jobs) -> None:
    handle = jobs.submit("sh", "-c", "setsid sleep 600 & exit 3")
    seen = jobs.ended(handle)
    assert (seen.outcome, seen.exit_code) == (Outcome.FAILED, 3)
    (left,) = seen.survivors
    assert alive(int(left.split()[0]))
    assert jobs.backend.release(handle) == ()
    assert not alive(int(left.split()[0]))
    assert jobs.look(handle).outcome is Outcome.FAILED


def test_what_was_left_behind_is_found_without_a_supervisor(jobs: Jobs) -> None:
    handle = jobs.submit("sh", "-c", "setsid sleep 600 & echo $!; exit 3")
    (left,) = jobs.ended(handle).survivors
    kill_supervisor(handle)
    assert jobs.look(handle).survivors == (left,)
    assert jobs.backend.release(handle) == ()
    assert not alive(int(left.split()[0]))


IGNORES = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); import time; time.sleep(600)"


def test_a_shorter_grace_asked_for_later_counts(jobs: Jobs) -> None:
    handle = jobs.python(IGNORES)
    jobs.said(handle, b"up")
    patient = threading.Thread(target=jobs.backend.cancel, args=(handle, 600.0))
    patient.start()
    until(lambda: jobs.look(handle).state is State.STOPPING)
    began = time.monotonic()
    assert jobs.backend.cancel(handle, 0.1).outcome is Outcome.CANCELLED
    assert time.monotonic() - began < 5.0
    patient.join()


def test_a_stop_whose_asker_died_before_the_signal_is_carried_out(jobs: Jobs) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(600)")
    jobs.said(handle, b"up")
    request = {"at": time.time(), "by": "somebody", "grace_s": 5.0}
    shim.publish(f"{handle.data['directory']}/job", "stop.json", request)
    assert jobs.ended(handle).reason == "stopped by somebody; killed by SIGTERM"


def test_a_supervisor_killed_during_the_grace_leaves_the_stop_to_its_asker(jobs: Jobs) -> None:
    handle = jobs.python(IGNORES)
    jobs.said(handle, b"up")
    program, asker = start_record(handle)["child"], threading.Thread(target=jobs.backend.cancel, args=(handle, 0.5))
    asker.start()
    until(lambda: jobs.look(handle).state is State.STOPPING)
    kill_supervisor(handle)
    asker.join()
    assert not alive(program["pid"])
    assert jobs.look(handle).outcome is Outcome.CANCELLED


def test_a_time_limit_ends_what_ignores_it(tmp_path: Path) -> None:
    with jobs_of(LocalBackend(grace_s=0.1), tmp_path) as jobs:
        seen = jobs.ended(jobs.python(IGNORES, time_limit_s=0.3))
    assert (seen.outcome, seen.exit_code) == (Outcome.TIMED_OUT, 137)
    assert seen.reason == "its time limit of 0.3 s passed; killed by SIGKILL"


def test_a_supervisor_that_is_told_to_end_ends_its_job(jobs: Jobs) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(600)")
    jobs.said(handle, b"up")
    supervisor = start_record(handle)["shim"]
    shim.send(supervisor["pid"], supervisor["start"], signal.SIGTERM)
    seen = jobs.ended(handle)
    assert (seen.outcome, seen.exit_code) == (Outcome.CANCELLED, 143)
    assert seen.reason == "stopped by SIGTERM to its supervisor; killed by SIGTERM"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    yield place
    until(lambda: subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode == 0)


def fill(place: Path) -> Path:
    """The file that takes the last byte of room."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    return filler


def test_an_end_without_room_for_its_record_is_recorded_once_there_is(small_disk: Path) -> None:
    with jobs_of(LocalBackend(), small_disk) as jobs:
        handle = jobs.python("print('up', flush=True); import time; time.sleep(600)", cwd="/")
        jobs.said(handle, b"up")
        filler, program = fill(small_disk), start_record(handle)["child"]
        shim.send(program["pid"], program["start"], signal.SIGTERM)
        until(lambda: "supervisor is about to write" in jobs.look(handle).reason)
        assert jobs.look(handle).state is State.RUNNING
        filler.unlink()
        assert jobs.ended(handle).reason == "killed by SIGTERM"
        assert list(small_disk.rglob("*.tmp")) == []


def test_a_full_disk_does_not_keep_a_job_from_being_stopped(small_disk: Path) -> None:
    with jobs_of(LocalBackend(), small_disk) as jobs:
        handle = jobs.python("print('up', flush=True); import time; time.sleep(600)", cwd="/")
        jobs.said(handle, b"up")
        filler, program = fill(small_disk), start_record(handle)["child"]
        stopping = threading.Thread(target=jobs.backend.cancel, args=(handle, 0.2))
        stopping.start()
        until(lambda: not alive(program["pid"]))
        filler.unlink()
        stopping.join()
        assert jobs.ended(handle).outcome is Outcome.CANCELLED


def test_a_run_folder_that_is_deleted_does_not_keep_its_supervisor_alive(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(0.3)")
    jobs.said(handle, b"up")
    supervisor = start_record(handle)["shim"]
    shutil.rmtree(tmp_path / "job0")
    until(lambda: not shim.is_alive(supervisor["pid"], supervisor["start"]))


def test_a_run_whose_folder_is_deleted_is_told_by_its_process_and_can_be_stopped(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(60)")
    jobs.said(handle, b"up")
    program = start_record(handle)["child"]
    shutil.rmtree(tmp_path / "job0")
    (seen,) = jobs.backend.observe([handle])
    assert (seen.state, seen.reachable) == (State.RUNNING, True)
    assert "its folder is gone" in seen.reason
    seen = jobs.backend.cancel(handle, 1.0)
    assert (seen.state, seen.outcome) == (State.ENDED, Outcome.CANCELLED)
    assert not alive(program["pid"])
    assert jobs.backend.release(handle) == ()


@pytest.mark.parametrize(("boot", "outcome"), [("", Outcome.UNKNOWN), ("another", Outcome.NODE_LOST)])
def test_the_end_of_a_run_whose_folder_is_deleted_is_told_by_its_process(
    jobs: Jobs, tmp_path: Path, boot: str, outcome: Outcome
) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(60)")
    jobs.said(handle, b"up")
    program, supervisor = start_record(handle)["child"], start_record(handle)["shim"]
    shutil.rmtree(tmp_path / "job0")
    if not boot:
        os.kill(program["pid"], signal.SIGKILL)
        until(lambda: not shim.is_alive(supervisor["pid"], supervisor["start"]))
    (seen,) = LocalBackend(boot_id=boot or None).observe([handle])
    assert (seen.state, seen.outcome, seen.reachable) == (State.ENDED, outcome, True)
    if boot:
        jobs.backend.cancel(handle, 0.0)


def test_the_teardown_of_a_run_whose_folder_is_deleted_waits_to_be_asked_for(jobs: Jobs, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    command = ("sh", "-c", f"echo x >> {torn}")
    handle = jobs.python("print('up', flush=True); import time; time.sleep(60)", teardown=(command,))
    jobs.said(handle, b"up")
    shutil.rmtree(tmp_path / "job0")
    (finaliser,) = jobs.backend.cancel(handle, 0.0).finalisers
    assert finaliser.state is FinaliserState.STUCK and "whether it was run is not known" in finaliser.message
    assert not torn.exists()
    assert isinstance(jobs.backend, LocalBackend)
    jobs.backend.finalise(handle, [command], str(tmp_path), {})
    until(lambda: jobs.look(handle).finalisers[0].state is FinaliserState.DONE)
    assert torn.read_text() == "x\n"
