"""The Slurm backend on a real cluster, through its commands and through slurmrestd; and what its faults do to runs."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.daemons import run
from engines.looking import ended, glance
from engines.slurm import Slurm
from jobkit import Jobs, jobs_of, until
from mlconsole.plugin_api import ActionFailed, Handle, Outcome, State, UsageError
from mlconsole_slurm import SlurmBackend
from mlconsole_slurm.settings import SlurmSettings
from mlconsole_slurm.words import word_of

pytestmark = pytest.mark.engine("slurm")
SLEEP = "print('up', flush=True); import time; time.sleep(600)"


@pytest.fixture
def cluster(engine: Slurm) -> Iterator[Slurm]:
    yield engine
    if not engine.daemons.is_up("slurmctld"):
        engine.control()
    for number in range(1, engine.nodes + 1):
        if not engine.daemons.is_up(f"n{number}"):
            engine.node(f"n{number}")
    until(engine.calm, 60)


@pytest.fixture(params=["commands", "slurmrestd"])
def both(request: pytest.FixtureRequest, cluster: Slurm, tmp_path: Path) -> Iterator[Jobs]:
    rest = str(cluster.rest) if request.param == "slurmrestd" else ""
    with jobs_of(SlurmBackend(replace(SlurmSettings.load(), rest=rest)), tmp_path) as found:
        yield found


@pytest.fixture
def jobs(cluster: Slurm, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(SlurmBackend(), tmp_path) as found:
        yield found


def job_number(jobs: Jobs, number: int = -1) -> str:
    return str(jobs.handles[number].data["job"])


def test_either_way_gives_the_version_and_the_nodes(both: Jobs) -> None:
    assert "22." in both.backend.probe().version or both.backend.probe().reachable
    assert {each.name: each.gpus for each in both.backend.hosts()} == {"n1": 4, "n2": 4}  # type: ignore[attr-defined]


def test_either_way_runs_a_job_and_keeps_its_exit_code(both: Jobs) -> None:
    seen = ended(both, both.python("print('hello'); raise SystemExit(3)"), 60)
    assert (seen.outcome, seen.exit_code) == (Outcome.FAILED, 3)
    assert both.output(both.handles[0]) == b"hello\n"


def test_either_way_a_running_job_is_stopped(both: Jobs) -> None:
    handle = both.python(SLEEP)
    both.said(handle, b"up")
    assert both.backend.cancel(handle, 5.0).outcome is Outcome.CANCELLED


def test_either_way_a_reply_that_was_lost_is_settled_by_the_comment(both: Jobs) -> None:
    handle = both.python(SLEEP)
    (Path(str(handle.data["base"])) / "slurm.json").unlink()  # As if the console had died before it heard the number.
    assert both.backend.find(handle.token, str(handle.data["directory"])) == handle


def test_a_job_that_cannot_run_yet_waits_and_says_why(jobs: Jobs, cluster: Slurm) -> None:
    run("scontrol", "update", "nodename=n[1-2]", "state=drain", "reason=test")
    handle = jobs.python("pass")
    seen = until(lambda: seen if (seen := glance(jobs, handle)).reason else None)
    assert seen.state is State.QUEUED and "waits in Slurm" in seen.reason
    assert jobs.backend.cancel(handle, 1.0).outcome is Outcome.CANCELLED


def test_what_slurm_refuses_is_told_in_its_words(jobs: Jobs) -> None:
    with pytest.raises(ActionFailed, match="artition"):
        jobs.python("pass", options={"partition": "nowhere"})
    with pytest.raises(UsageError, match='"host"'):
        jobs.python("pass", options={"host": "n1"})


def test_either_way_tells_how_many_gpus_are_free(both: Jobs) -> None:
    from mlconsole.plugin_api import Resources

    handle = both.python(SLEEP, resources=Resources(gpus=3))
    both.said(handle, b"up")
    node = glance(both, handle).host
    free = {each.name: (each.cpus_free, each.gpus_free) for each in both.backend.hosts()}  # type: ignore[attr-defined]
    assert (free.pop(node), set(free.values())) == ((7, 1), {(8, 4)})


def test_gpus_are_asked_for_and_handed_over(jobs: Jobs) -> None:
    from mlconsole.plugin_api import Resources

    handle = jobs.python("import os; print(os.environ['CUDA_VISIBLE_DEVICES'])", resources=Resources(gpus=2))
    ended(jobs, handle, 60)
    assert len(jobs.output(handle).strip().split(b",")) == 2


def test_a_controller_that_is_away_is_unreachable_and_a_restart_finds_the_job_running(
    jobs: Jobs, cluster: Slurm
) -> None:
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    cluster.daemons.kill("slurmctld", signal.SIGTERM)
    seen = glance(jobs, handle)
    assert (seen.reachable, seen.state) == (False, State.RUNNING)
    cluster.control()
    seen = until(lambda: seen if (seen := glance(jobs, handle)).reachable else None, 60)
    assert seen.state is State.RUNNING


def test_a_controller_that_forgot_the_start_starts_no_second_copy(jobs: Jobs, cluster: Slurm, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    handle = jobs.python(f"open({str(starts)!r}, 'a').write('s')\n{SLEEP}")
    jobs.said(handle, b"up")
    cluster.daemons.kill("slurmctld")  # It had no time to save that the job was started.
    cluster.control()

    # It finds the copy that runs, or starts the job again, or ends that copy as nobody's.
    seen = until(lambda: seen if (seen := glance(jobs, handle)).reachable else None, 60)
    assert starts.read_text() == "s"
    assert seen.state is State.RUNNING or "killed by the engine" in seen.reason, seen


def test_a_job_that_ended_while_the_controller_was_away_has_ended_by_its_own_record(jobs: Jobs, cluster: Slurm) -> None:
    handle = jobs.python("print('up', flush=True); import time; time.sleep(1); raise SystemExit(4)")
    jobs.said(handle, b"up")
    cluster.daemons.kill("slurmctld")
    assert ended(jobs, handle, 30).exit_code == 4


def test_a_requeued_job_runs_again_with_one_output(jobs: Jobs, cluster: Slurm) -> None:
    handle = jobs.python("import time; print('try', flush=True); time.sleep(600)", options={"requeue": "yes"})
    until(lambda: b"try\n" in jobs.output(handle), 60)
    run("scontrol", "requeue", job_number(jobs))
    seen = until(lambda: seen if (seen := glance(jobs, handle)).state is State.QUEUED else None, 30)
    assert "requeued" in seen.reason

    cluster.hastens(job_number(jobs))
    until(lambda: jobs.output(handle).count(b"try\n") == 2, 60)


def lost_with_its_node(jobs: Jobs, cluster: Slurm, handle: Handle) -> None:
    """Kill the daemon of a job's node, and have the controller give that node up; the program goes on."""
    node = glance(jobs, handle).host
    cluster.daemons.kill(node)
    run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")


def test_a_killed_node_daemon_loses_the_job_with_its_node(jobs: Jobs, cluster: Slurm) -> None:
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    lost_with_its_node(jobs, cluster, handle)
    seen = until(lambda: seen if (seen := glance(jobs, handle)).state is State.ENDED else None, 60)
    assert (seen.outcome, "NODE_FAIL" in seen.reason) == (Outcome.NODE_LOST, True), seen


def test_a_job_that_runs_again_after_its_node_was_lost_names_the_copy_that_may_still_run(
    jobs: Jobs, cluster: Slurm
) -> None:
    handle = jobs.python(SLEEP, options={"requeue": "yes"})
    jobs.said(handle, b"up")
    lost_with_its_node(jobs, cluster, handle)
    until(lambda: "requeued" in glance(jobs, handle).reason, 60)
    run("scontrol", "update", f"jobid={job_number(jobs)}", "starttime=now+2")
    until(lambda: jobs.output(handle).count(b"up\n") == 2, 60)
    seen = until(lambda: seen if (seen := glance(jobs, handle)).state is State.RUNNING else None)
    assert "an older copy may still run on" in seen.reason, seen

    assert jobs.backend.cancel(handle, 2.0).outcome is Outcome.CANCELLED
    assert [each for each in jobs.backend.release(handle) if "older copy" in each]


def test_a_drained_node_ends_nothing_and_says_so(jobs: Jobs, cluster: Slurm) -> None:
    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    node = glance(jobs, handle).host
    run("scontrol", "update", f"nodename={node}", "state=drain", "reason=fans")
    assert glance(jobs, handle).state is State.RUNNING
    found = {each.name: each for each in jobs.backend.hosts()}  # type: ignore[attr-defined]
    assert (found[node].takes_jobs, found[node].reason) == (False, "fans")


def test_a_supervisor_that_is_killed_takes_its_program_along_and_is_no_success(jobs: Jobs) -> None:
    import json

    handle = jobs.python(SLEEP)
    jobs.said(handle, b"up")
    start = json.loads((Path(str(handle.data["base"])) / "try-0" / "start.json").read_text())
    os.kill(start["shim"]["pid"], signal.SIGKILL)
    seen = ended(jobs, handle, 30)
    assert seen.outcome in (Outcome.UNKNOWN, Outcome.FAILED)
    until(lambda: not Path(f"/proc/{start['child']['pid']}").exists(), 20)


def test_a_number_that_was_given_again_is_not_the_job_before(jobs: Jobs) -> None:
    handle = jobs.python("pass")
    ended(jobs, handle, 60)
    other = Handle("slurm", jobs.token("other"), {**handle.data, "base": f"{handle.data['base']}-other"})
    seen = glance(jobs, other)
    assert (seen.state, seen.reachable) == (State.RUNNING, False)


def test_a_state_word_that_nobody_knows_is_kept_as_it_is(jobs: Jobs) -> None:
    from mlconsole_slurm.words import JobRow

    handle = jobs.python("pass")
    ended(jobs, handle, 60)
    shutil.rmtree(Path(str(handle.data["base"])) / "try-0")
    backend = jobs.backend
    assert isinstance(backend, SlurmBackend)
    seen = backend._seen(handle, JobRow("1", "DREAMING", "", "n1", "", ""), {})
    assert (seen.reachable, seen.reason) == (False, 'Slurm says "DREAMING"')
    assert word_of("CANCELLED by 0") == "CANCELLED"
