"""Faults of launching: the launcher dies at any moment, or many launch at once, and it is one job or none (F-33)."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from jobkit import PYTHON, Jobs, jobs_of, until
from mlconsole.plugin_api import ActionFailed, Handle, Outcome, State
from mlconsole_local import LocalBackend, shim

ROUNDS = 24
LAUNCH = """
import sys
folder, token, code = sys.argv[1:4]
sys.path[:0] = sys.argv[4:]
from mlconsole.plugin_api import JobSpec
from mlconsole_local import LocalBackend
print("ready", flush=True)
sys.stdin.readline()
spec = JobSpec("r", "r", (sys.executable, "-I", "-S", "-c", code), folder, folder + "/run")
print(LocalBackend().submit(spec, token).token, flush=True)
"""
COUNT = "open('starts', 'a').write('x'); import time; time.sleep(0.1)"
STAY = "import time; time.sleep(600)"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(LocalBackend(), tmp_path) as found:
        yield found


def launcher(folder: Path, token: str, code: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    ours = [
        str(Path(module.__file__ or "").parents[1])
        for module in (sys.modules["mlconsole"], sys.modules["mlconsole_local"])
    ]
    return [*PYTHON, LAUNCH, str(folder), token, code, *ours]


def ready(command: list[str]) -> subprocess.Popen[bytes]:
    """A launcher, leader of a group of its own, that waits for the word."""
    process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def settled(jobs: Jobs, token: str, folder: Path) -> Handle | None:
    handle = jobs.backend.find(token, str(folder / "run"))
    if handle is not None:
        jobs.handles.append(handle)
    return handle


def marked(token: str) -> list[shim.Process]:
    return [each for each in shim.processes() if shim.mark_of(each.pid) == token]


def test_a_launcher_killed_at_any_moment_leaves_one_job_or_none(jobs: Jobs, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    fates = []
    for number in range(ROUNDS):
        folder, token = tmp_path / str(number), f"killed-{number}-{seed}"
        process = ready(launcher(folder, token, COUNT))
        go(process)
        killer = threading.Timer(moments.uniform(0.0, 0.04), process.kill)
        killer.start()
        killer.join()
        process.communicate()
        fates.append((folder, token, settled(jobs, token, folder)))
    for folder, token, handle in fates:
        if handle is not None:
            jobs.ended(handle)
        until(lambda token=token: not marked(token))
        starts = folder / "starts"
        assert (starts.read_text() if starts.exists() else "") == ("x" if handle else "")
    print("one job:", sum(handle is not None for _, _, handle in fates), "of", ROUNDS)


@contextmanager
def supervisor_killed_in(seconds: float, token: str) -> Iterator[None]:
    """Kill the first process of a job, its supervisor, so long after it is first seen; none, where it ended unseen."""
    over = threading.Event()

    def hunt() -> None:
        while not (prey := marked(token)):
            if over.wait(0.001):
                return
        time.sleep(seconds)
        shim.strike(prey[0], signal.SIGKILL)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        yield
    finally:
        over.set()
        hunter.join()


def test_a_supervisor_killed_at_any_moment_of_a_start_leaves_one_job_or_none(jobs: Jobs, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for number in range(ROUNDS):
        token, starts = f"orphaned-{number}-{seed}", tmp_path / f"starts{number}"
        with supervisor_killed_in(moments.uniform(0.0, 0.03), token):
            try:
                handle = jobs.python(COUNT.replace("starts", starts.name), name=str(number), token=token)
            except ActionFailed:
                handle = None
        if handle is not None:
            jobs.ended(handle)
        until(lambda token=token: not marked(token))
        assert handle is not None or not starts.exists()
        assert not starts.exists() or starts.read_text() == "x"
        assert jobs.backend.find(token, str(tmp_path / str(number))) == handle


def test_a_launch_that_was_given_up_starts_nothing_later(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.python("open('starts', 'a').write('x')", name="run", token="void")
    jobs.ended(handle)
    job = tmp_path / "run" / "job"
    claim = shim.read(str(job), "claim.json") or {}
    for record in job.iterdir():
        record.unlink()
    shim.publish(str(job), "claim.json", {**claim, "launcher": {"pid": 1, "start": 1}})
    assert jobs.backend.find("void", str(tmp_path / "run")) is None
    assert jobs.look(handle).outcome is Outcome.NEVER_STARTED
    with pytest.raises(ActionFailed, match="not started"):
        jobs.python("open('starts', 'a').write('x')", name="run", token="void")
    assert (tmp_path / "starts").read_text() == "x"


def test_many_launchers_under_one_token_start_one_job(jobs: Jobs, tmp_path: Path) -> None:
    processes = [ready(launcher(tmp_path, "same", COUNT)) for _ in range(6)]
    for process in processes:
        go(process)
    assert [process.communicate()[0] for process in processes] == [b"same\n"] * 6
    handle = settled(jobs, "same", tmp_path)
    assert handle is not None
    jobs.ended(handle)
    until(lambda: not marked("same"))
    assert (tmp_path / "starts").read_text() == "x"


def test_a_job_outlives_its_launcher_and_the_launchers_group(jobs: Jobs, tmp_path: Path) -> None:
    process = ready(launcher(tmp_path, "outlives", STAY))
    go(process)
    assert process.stdout is not None
    assert process.stdout.readline() == b"outlives\n"
    for signo in (signal.SIGHUP, signal.SIGKILL):
        os.killpg(process.pid, signo)
    process.communicate()
    handle = settled(jobs, "outlives", tmp_path)
    assert handle is not None
    assert jobs.look(handle).state is State.RUNNING


def test_a_job_launched_from_inside_a_job_is_its_own(jobs: Jobs, tmp_path: Path) -> None:
    command = shlex.join(launcher(tmp_path, "inner", STAY))
    outer = jobs.submit("sh", "-c", f"echo | {command}; sleep 600", name="outer")
    jobs.said(outer, b"inner")
    inner = settled(jobs, "inner", tmp_path)
    assert inner is not None
    assert jobs.backend.cancel(outer, 0.0).survivors == ()
    assert jobs.look(inner).state is State.RUNNING
    assert jobs.backend.cancel(inner, 0.0).outcome is Outcome.CANCELLED


def test_without_room_for_its_records_nothing_is_started(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(ActionFailed, match="Cannot write the job folder"):
        jobs.python("open('starts', 'a').write('x')", name="run")
    assert not (tmp_path / "starts").exists()


def test_secrets_of_a_job_are_in_none_of_its_records(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.python("pass", "--api-key=hunter2-argv", env={"API_KEY": "hunter2-env"})
    jobs.ended(handle)
    written = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
    assert written
    assert not any(b"hunter2" in each for each in written)


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group whose processes may have 64 MiB together (cgroup v1 or v2)."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(root, f"mlconsole-test-{os.getpid()}")
        try:
            group.mkdir()
            (group / limit).write_text(str(64 << 20))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        yield group
        until(lambda group=group: not (group / "cgroup.procs").read_text())
        group.rmdir()
        return
    pytest.skip("no memory control group can be made here")


def test_a_program_that_outgrows_its_memory_group_ended_for_want_of_memory(
    jobs: Jobs, tmp_path: Path, small_memory: Path
) -> None:
    grow = "import time; data = []\nwhile True: data.append(bytearray(1 << 20)); time.sleep(0.0005)"
    process = ready(launcher(tmp_path, "grows", grow))
    (small_memory / "cgroup.procs").write_text(str(process.pid))
    go(process)
    assert process.communicate()[0] == b"grows\n"
    handle = settled(jobs, "grows", tmp_path)
    assert handle is not None
    seen = jobs.ended(handle)
    assert (seen.outcome, seen.exit_code) == (Outcome.OOM, 137)


def test_a_program_that_somebody_kills_has_failed_not_run_out_of_memory(jobs: Jobs) -> None:
    seen = jobs.ended(jobs.python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert (seen.outcome, seen.reason) == (Outcome.FAILED, "killed by SIGKILL")


def test_output_is_never_written_or_read_through_a_link(jobs: Jobs, tmp_path: Path) -> None:
    victim, job = tmp_path / "victim", tmp_path / "run" / "job"
    victim.write_text("precious")
    job.mkdir(parents=True)
    (job / "output.log").symlink_to(victim)
    with pytest.raises(ActionFailed, match="not started"):
        jobs.submit("echo", "overwritten", name="run")
    with pytest.raises(ActionFailed, match="cannot be read"):
        jobs.backend.logs(Handle("local", "t", {"directory": str(tmp_path / "run")}), "output", 0)
    assert victim.read_text() == "precious"
