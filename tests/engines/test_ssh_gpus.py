"""GPUs of real SSH hosts, whose driver is a fake nvidia-smi: beside the looks at runs, over the one connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.fleet import Fleet
from engines.looking import glance, mended
from farkit import calls, far_gpu, put_driver
from jobkit import Jobs, jobs_of, until
from mlconsole.plugin_api import FarProcess, HostGpus, State
from mlconsole_ssh import SshBackend

pytestmark = pytest.mark.engine("ssh")


@pytest.fixture
def fleet(engine: Fleet) -> Iterator[Fleet]:
    with mended(engine) as found:
        yield found


@pytest.fixture
def driver(fleet: Fleet) -> Iterator[Path]:
    """The driver of h2, with one GPU; gone after the test, and what it said with it."""
    folder = put_driver(fleet.folder / "h2.bin", [far_gpu("h2")])
    yield folder
    for each in folder.iterdir():
        each.unlink()
    for each in fleet.folder.parent.glob("far/gpus-h2.json"):
        each.unlink()


def backend_of(jobs: Jobs) -> SshBackend:
    assert isinstance(jobs.backend, SshBackend)
    return jobs.backend


def of(jobs: Jobs, host: str) -> HostGpus:
    return next(each for each in backend_of(jobs).gpus([]) if each.host == host)


@pytest.fixture
def jobs(fleet: Fleet, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(SshBackend(), tmp_path) as found:
        yield found


def test_gpus_come_with_the_look_at_the_runs_and_over_its_connection(jobs: Jobs, fleet: Fleet, driver: Path) -> None:
    handle = jobs.python("import os, time; print(os.getpid(), flush=True); time.sleep(600)", options={"host": "h2"})
    pid = until(lambda: jobs.output(handle).decode().strip())
    app = {"gpu_uuid": "GPU-h2-0", "pid": pid, "used_gpu_memory": "1000", "process_name": "python3"}
    put_driver(driver, [far_gpu("h2")], apps=[app])
    before = fleet.accepted("h2")

    def held() -> tuple[FarProcess, ...]:
        glance(jobs, handle)
        (gpu,) = of(jobs, "h2").gpus or (None,)
        assert gpu is None or not isinstance(gpu.processes, str)
        return gpu.processes if gpu else ()  # type: ignore[return-value]

    (process,) = until(held, 30)
    assert (process.pid, process.run_id, process.visible) == (int(pid), handle.token.partition(".")[0], True)
    assert fleet.accepted("h2") == before


def test_a_cut_link_leaves_the_last_values_with_their_age(jobs: Jobs, fleet: Fleet, driver: Path) -> None:
    first = until(lambda: found if (found := of(jobs, "h2")).gpus else None, 30)
    fleet.cut("h2")
    away = until(lambda: None if (found := of(jobs, "h2")).reachable else found, 40)
    assert away.gpus == first.gpus and away.age_s > first.age_s and "h2" in away.detail
    fleet.mend("h2")
    again = until(lambda: found if (found := of(jobs, "h2")).reachable else None, 60)
    assert again.gpus == first.gpus


def test_a_driver_that_hangs_delays_no_look_at_runs(jobs: Jobs, driver: Path) -> None:
    handle = jobs.python("import time; time.sleep(600)", options={"host": "h2"})
    put_driver(driver, hangs_s=600)
    until(lambda: of(jobs, "h2").state in ("starting", "hung") or None)
    for _ in range(50):
        assert glance(jobs, handle).state is State.RUNNING
    assert until(lambda: found if (found := of(jobs, "h2")).state == "hung" else None, 40).reachable
    assert len(calls(driver)) <= 2  # One that hangs is not joined by others.
