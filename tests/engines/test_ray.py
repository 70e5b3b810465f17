"""The Ray backend on a real cluster: what its faults do to runs, and who tells how a job ended."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.daemons import below
from engines.looking import ended, glance
from engines.ray import Ray
from jobkit import Jobs, jobs_of, until
from mlconsole.plugin_api import ActionFailed, Outcome, Resources, State, UsageError
from mlconsole_ray import RayBackend

pytestmark = pytest.mark.engine("ray")
SLEEP = "print('up', flush=True); import time; time.sleep(600)"


@pytest.fixture
def cluster(engine: Ray) -> Iterator[Ray]:
    yield engine
    if engine.nodes() < 2:
        engine.stop()
        engine.start()


@pytest.fixture
def jobs(cluster: Ray, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(RayBackend(), tmp_path) as found:
        yield found


def started(jobs: Jobs, number: int = -1) -> dict[str, dict[str, int]]:
    base = Path(str(jobs.handles[number].data["base"]))
    return dict(json.loads((base / "try-0" / "start.json").read_text()))


def is_there(process: dict[str, int]) -> bool:
    from mlconsole_local import shim

    return shim.is_alive(process["pid"], process["start"])


def test_the_cluster_tells_its_version_and_nodes(jobs: Jobs) -> None:
    assert jobs.backend.probe().version == "Ray 2.60.0"
    assert [(each.cpus, each.gpus) for each in jobs.backend.hosts()] == [(4, 4), (4, 4)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("token", ["", "no-such-token"])
def test_without_its_token_nobody_is_let_in_and_nothing_is_dead(
    token: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handle, right = jobs.python(SLEEP), os.environ["RAY_AUTH_TOKEN"]
    until(lambda: b"up" in jobs.output(handle), 60)
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    monkeypatch.setenv("HOME", str(tmp_path))
    probe = jobs.backend.probe()
    assert (probe.reachable, "~/.ray/auth_token" in probe.detail) == (False, True)
    seen = glance(jobs, handle)
    assert (seen.reachable, seen.state, "lets nobody in" in seen.reason) == (False, State.RUNNING, True)
    with pytest.raises(ActionFailed, match="lets nobody in"):
        jobs.python("pass")
    (tmp_path / "token").write_text(f"{right}\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    assert glance(jobs, handle).reachable


def test_it_is_told_how_many_gpus_of_a_node_are_free(jobs: Jobs) -> None:
    handle = jobs.python(SLEEP, resources=Resources(gpus=3))
    until(lambda: b"up" in jobs.output(handle), 60)
    hosts = jobs.backend.hosts  # type: ignore[attr-defined]
    until(lambda: sorted(each.gpus_free or 0 for each in hosts()) == [1, 4], 30)


def test_gpus_are_counted_and_handed_over(jobs: Jobs) -> None:
    handle = jobs.python("import os; print(os.environ['CUDA_VISIBLE_DEVICES'])", resources=Resources(gpus=2))
    assert ended(jobs, handle, 60).outcome is Outcome.SUCCEEDED
    assert len(jobs.output(handle).strip().split(b",")) == 2


def test_a_job_that_no_node_can_run_waits_and_says_so(jobs: Jobs) -> None:
    handle = jobs.python("pass", options={"resources": '{"tpu": 1}'})
    seen = until(lambda: seen if (seen := glance(jobs, handle)).reason else None, 60)
    assert (seen.state, "waits in Ray" in seen.reason) == (State.QUEUED, True)
    assert handle in jobs.backend.reconcile()
    assert jobs.backend.cancel(handle, 1.0).outcome is Outcome.CANCELLED


def test_what_ray_cannot_be_told_is_a_usage_error(jobs: Jobs) -> None:
    with pytest.raises(UsageError, match='"partition"'):
        jobs.python("pass", options={"partition": "gpu"})
    with pytest.raises(UsageError, match='"much"'):
        jobs.python("pass", options={"resources": "much"})


def test_the_death_of_rays_own_supervisor_is_no_success_and_leaves_nothing_behind(jobs: Jobs) -> None:
    handle = jobs.python(SLEEP)
    until(lambda: b"up" in jobs.output(handle), 60)
    start = started(jobs)
    shell = int(Path(f"/proc/{start['shim']['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shell, signal.SIGKILL)  # The actor that started the entry point: our supervisor's parent.
    seen = ended(jobs, handle, 60)
    assert seen.outcome in (Outcome.UNKNOWN, Outcome.CANCELLED), seen
    until(lambda: not is_there(start["child"]), 20)


def test_a_head_that_is_restarted_ends_nothing_that_runs_and_starts_nothing_twice(
    jobs: Jobs, cluster: Ray, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    handle = jobs.python(f"open({str(starts)!r}, 'a').write('s')\n{SLEEP}")
    until(lambda: b"up" in jobs.output(handle), 60)
    start = started(jobs)
    for pid, command in below([cluster.daemons.all["head"].pid]):
        if "gcs_server" in command:
            os.kill(pid, signal.SIGKILL)

    def is_told() -> bool:
        seen = glance(jobs, handle)  # No answer, or what its own processes and records say: never more than that.
        assert seen.state is not State.ENDED or not is_there(start["child"]), seen
        return not seen.reachable or seen.state is State.ENDED

    until(is_told, 60)
    cluster.stop()
    cluster.start()
    seen = until(lambda: seen if (seen := glance(jobs, handle)).state is State.ENDED else None, 60)
    assert (seen.outcome, is_there(start["child"])) == (Outcome.UNKNOWN, False), seen
    assert starts.read_text() == "s"
