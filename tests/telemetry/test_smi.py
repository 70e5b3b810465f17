"""What ``nvidia-smi`` says on a host, as the agent there reads it: a fake driver, the real agent in a real process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from farkit import calls, far_gpu, put_driver
from mlconsole_local import smi
from mlconsole_ssh.channel import Channel

Ask = Callable[[], dict[str, Any]]


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    return put_driver(tmp_path / "bin", [far_gpu("h1")])


@pytest.fixture
def ask(tmp_path: Path, driver: Path) -> Iterator[Ask]:
    """The agent's answer, or the words that there is none yet."""
    path = f"{driver}{os.pathsep}/usr/bin{os.pathsep}/bin"
    agent = Channel(("env", "-i", f"PATH={path}", "sh", "-c"), "python3", str(tmp_path / "root"), 10.0)
    yield lambda: agent.call({"verb": "gpus", "wait_s": 8.0}, timeout_s=20.0)[0]["gpus"]
    agent.close()


def test_figures_come_as_numbers_and_what_is_missing_as_words(driver: Path, ask: Ask) -> None:
    more = {
        "utilization.gpu": "[N/A]",
        "power.draw": "[Insufficient Permissions]",
        "temperature.gpu": "[Unknown Error]",
    }
    put_driver(driver, [far_gpu("h1", 3, **more)])
    (gpu,) = ask()["gpus"]
    assert (gpu["index"], gpu["uuid"], gpu["name"]) == (3, "GPU-h1-3", "NVIDIA H100 80GB HBM3")
    found = [gpu["figures"][name] for name in ("memory_used_mib", "utilization_percent", "power_w", "temperature_c")]
    assert found == [40_000.0, "not supported", "no permission", "unknown error"]


def test_one_look_serves_all_who_ask_within_five_seconds(driver: Path, ask: Ask) -> None:
    first = ask()
    assert ask()["looked_at_s"] == first["looked_at_s"]
    assert len(calls(driver)) == 2  # The GPUs, and who holds them.


def test_a_driver_that_does_not_know_a_figure_is_asked_for_the_plain_ones(driver: Path, ask: Ask) -> None:
    put_driver(driver, [far_gpu("h1")], unknown=["ecc.errors.corrected.volatile.total"])
    found = ask()
    assert found["state"] == "ok"
    assert set(found["gpus"][0]["figures"]) == {name for name, _ in smi.FIGURES[: smi.PLAIN]}


@pytest.mark.parametrize(
    ("code", "says", "state"),
    [
        (9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "no_driver"),
        (6, "No devices were found", "no_gpu"),
        (18, "Failed to initialize NVML: Driver/library version mismatch", "version_mismatch"),
        (15, "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.", "failed"),
    ],
)
def test_a_driver_that_fails_says_how(driver: Path, ask: Ask, code: int, says: str, state: str) -> None:
    put_driver(driver, exit=code, says=says)
    found = ask()
    assert (found["state"], found["detail"], found["gpus"]) == (state, says, [])


def test_what_was_read_before_a_failure_stays_with_its_age(driver: Path, ask: Ask, tmp_path: Path) -> None:
    first = ask()
    put_driver(driver, exit=15, says="GPU is lost")
    path = Path(smi.path(str(tmp_path / "root")))
    with open(f"{path}.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # Who looked has gone, and is not taken for one that looks now.
    path.write_text(path.read_text().replace(f'"looked_at_s": {first["looked_at_s"]}', '"looked_at_s": 0.0'))
    found = ask()
    assert (found["state"], found["gpus"], found["at_s"]) == ("failed", first["gpus"], first["at_s"])


def test_a_process_is_traced_to_its_run_by_what_it_inherits(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    for pid, parent, session, environ in (
        (10, 1, 10, b"MLCONSOLE_JOB=run1.1\0"),
        (11, 10, 10, b""),
        (12, 11, 12, b"PATH=/bin\0"),
        (13, 1, 13, b"MLCONSOLE_RUN_ID=run2\0"),
        (14, 1, 14, b""),
    ):
        (proc / str(pid)).mkdir(parents=True)
        stat = f"{pid} (a (b) c) S {parent} {session} {session} " + " ".join(["0"] * 20)
        (proc / str(pid) / "stat").write_text(stat)
        (proc / str(pid) / "environ").write_bytes(environ)
    assert [smi.run_of(pid, str(proc)) for pid in (10, 11, 12, 14, 99)] == ["run1", "run1", "run1", "", ""]


def test_an_agent_that_ends_leaves_a_look_of_its_own_to_itself(driver: Path, tmp_path: Path) -> None:
    put_driver(driver, hangs_s=60)
    path = f"PATH={driver}{os.pathsep}/usr/bin{os.pathsep}/bin"
    agent = Channel(("env", "-i", path, "sh", "-c"), "python3", str(tmp_path / "root"), 10.0)
    assert agent.call({"verb": "gpus", "wait_s": 0.5})[0]["gpus"] is None
    # Its streams end with it, though what it has begun goes on: ssh would wait for them.
    agent.close()
    again = Channel(("env", "-i", path, "sh", "-c"), "python3", str(tmp_path / "root"), 10.0)
    assert again.call({"verb": "gpus", "wait_s": 0.2})[0]["gpus"] is None
    again.close()
    assert len(calls(driver)) <= 1
