"""A driver that hangs for ever, a child or a parent that dies: nobody waits, and nothing is left behind (F-24)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sampler_kit import QUICK, Samplers, children

from fakes.nvml.driver import FakeDriver, uuid
from jobkit import until
from mlconsole.domain.gpu import DriverState, GpuHealth
from mlconsole.domain.uptime import Uptime
from mlconsole.telemetry.hangs import FILE, Hang, Hangs
from mlconsole.telemetry.sampler import Sampler, Timing, child_command

IMPATIENT = replace(QUICK, first_turn_s=0.9, turn_s=0.5)
#: Far less than the silence after which a child is given up, and far more than a busy machine takes.
AT_ONCE_S = 0.25


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def slowest_look_s(sampler: Sampler, until_is: DriverState) -> float:
    """The longest that a look took until the sampler said so."""
    slowest = 0.0

    def look() -> bool:
        nonlocal slowest
        began = time.perf_counter()
        state = sampler.latest().state
        slowest = max(slowest, time.perf_counter() - began)
        return state is until_is

    until(look, 10)
    return slowest


def test_a_call_that_hangs_is_told_with_its_gpu_and_never_makes_anybody_wait(
    driver: FakeDriver, sampling: Samplers
) -> None:
    sampler = sampling(IMPATIENT)
    until(lambda: sampler.latest().state is DriverState.OK, 10)

    driver.write("hang nvmlDeviceGetMemoryInfo_v2 3")

    assert slowest_look_s(sampler, DriverState.HUNG) < AT_ONCE_S
    snapshot = sampler.latest()
    assert snapshot.detail == "a call for GPU 3 hangs"
    assert snapshot.gpus[3].utilization_percent.value == 93.0
    assert snapshot.gpus[3].age_s >= 0.5


def test_a_call_that_hangs_for_the_driver_as_a_whole_is_no_gpus_fault(driver: FakeDriver, sampling: Samplers) -> None:
    sampler = sampling(IMPATIENT)
    until(lambda: sampler.latest().state is DriverState.OK, 10)

    driver.write("hang nvmlEventSetWait_v2 -1", "hang nvmlEventSetWait_v2 -2")

    until(lambda: sampler.latest().state is DriverState.HUNG, 10)
    assert sampler.latest().detail == "a call for the driver as a whole hangs"
    assert [gpu.health for gpu in sampler.latest().gpus] == [GpuHealth.OK] * 8


def test_the_gpus_beside_one_that_hangs_go_on_being_read(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write("hang nvmlDeviceGetFieldValues 3")
    sampler = sampling(IMPATIENT)
    until(lambda: sampler.latest().state is DriverState.OK, 10)

    driver.figures[4]["util"] = 17
    driver.write()

    until(lambda: sampler.latest().gpus[4].utilization_percent.value == 17.0, 10)
    hung = sampler.latest().gpus[3]
    assert (hung.health, hung.utilization_percent.value) == (GpuHealth.HUNG, None)


def test_a_first_look_waits_for_the_gpus_beside_one_that_hangs(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write("hang nvmlDeviceGetFieldValues 3")

    looked = sampling(replace(IMPATIENT, first_turn_s=2.5)).wait(20)

    assert (looked.state, len(looked.gpus)) == (DriverState.OK, 8)
    assert [gpu.index for gpu in looked.gpus if gpu.health is GpuHealth.HUNG] == [3]


def test_who_looks_next_does_not_wait_for_a_gpu_that_hung_and_knows_which_one_it_is(
    driver: FakeDriver, sampling: Samplers, tmp_path: Path
) -> None:
    hangs = Hangs(tmp_path, lambda: Uptime("this boot", time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000))
    driver.write("hang nvmlDeviceGetFieldValues 3")
    assert sampling(replace(IMPATIENT, first_turn_s=2.5), hangs=hangs).wait(20).state is DriverState.OK

    # One that would wait for ever if it asked for that GPU.
    patient = sampling(replace(IMPATIENT, first_turn_s=600.0), hangs=hangs).wait(20)

    assert (patient.state, len(patient.gpus)) == (DriverState.OK, 8)
    hung = patient.gpus[3]
    assert (hung.health, hung.uuid, hung.name) == (GpuHealth.HUNG, uuid(3), "NVIDIA A100-SXM4-40GB")
    assert hung.age_s > 0 and patient.gpus[4].health is GpuHealth.OK


def test_what_hung_is_forgotten_after_a_while_at_a_boot_and_where_nothing_sensible_is_kept(tmp_path: Path) -> None:
    now = [Uptime("a boot", 5_000_000)]
    hangs = Hangs(tmp_path, lambda: now[0])
    hangs.note(3, "GPU-3", "H100")
    now[0] = Uptime("a boot", 8_000_000)
    hangs.note(5, "", "")

    assert hangs.within(60) == [Hang(3, "GPU-3", "H100", 3.0), Hang(5, "", "", 0.0)]
    assert hangs.within(2) == [Hang(5, "", "", 0.0)]
    now[0] = Uptime("the next", 9_000_000)
    assert hangs.within(60) == []
    for text in ("", "[]", "{", "{'x': 1}", "{'0': []}"):
        gpus = f'{{"boot_id": "the next", "gpus": {text}}}'.replace("'", '"')
        (tmp_path / FILE).write_text(gpus if text.startswith("{'") else text)
        assert hangs.within(60) == []
    Hangs(tmp_path / "nowhere", lambda: now[0]).note(0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_first_look_at_a_driver_that_hangs_as_a_whole_ends_with_the_reason(
    driver: FakeDriver, sampling: Samplers
) -> None:
    driver.write("hang nvmlInitWithFlags -1")

    assert sampling(IMPATIENT).wait(10).state is DriverState.HUNG


def test_a_gpu_that_hung_is_tried_again_after_a_while(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write("hang nvmlDeviceGetFieldValues 3")
    sampler = sampling(replace(IMPATIENT, avoid_s=1.0))
    until(lambda: sampler.latest().state is DriverState.OK, 10)
    assert sampler.latest().gpus[3].health is GpuHealth.HUNG

    driver.only()

    until(lambda: sampler.latest().gpus[3].health is GpuHealth.OK, 10)
    assert sampler.latest().gpus[3].uuid == uuid(3)


def test_a_driver_that_hangs_while_it_is_opened_is_told_and_read_once_it_answers(
    driver: FakeDriver, sampling: Samplers
) -> None:
    driver.write("hang nvmlInitWithFlags -1")
    sampler = sampling(IMPATIENT)

    assert slowest_look_s(sampler, DriverState.HUNG) < AT_ONCE_S
    assert "as a whole" in sampler.latest().detail

    driver.only()
    until(lambda: sampler.latest().state is DriverState.OK, 10)


def test_a_driver_that_goes_on_failing_is_tried_less_and_less_often(driver: FakeDriver, sampling: Samplers) -> None:
    driver.init = 9
    driver.write()
    began = time.monotonic()
    sampling(replace(QUICK, first_pause_s=0.05, longest_pause_s=60.0))

    until(lambda: driver.calls().get("nvmlInitWithFlags", 0) >= 6, 20)

    assert time.monotonic() - began >= 0.05 + 0.1 + 0.2 + 0.4 + 0.8


def test_a_child_that_dies_is_replaced_and_how_it_died_is_told(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write("abort nvmlDeviceGetUtilizationRates 2")
    sampler = sampling()

    snapshot = sampler.wait(10)
    assert (snapshot.state, snapshot.detail) == (DriverState.FAILED, "the sampler was killed by signal 6")

    driver.only()
    until(lambda: sampler.latest().state is DriverState.OK, 10)


def test_a_child_that_cannot_be_started_is_a_state_and_not_an_exception(sampling: Samplers) -> None:
    snapshot = sampling(QUICK, ["/nowhere/python"]).wait(10)

    assert snapshot.state is DriverState.FAILED
    assert "could not be started" in snapshot.detail


def test_a_child_that_says_nonsense_gives_no_readings(sampling: Samplers) -> None:
    snapshot = sampling(QUICK, [sys.executable, "-c", "print('{\"kind\": 1}\\n\\xff', flush=True)"]).wait(10)

    assert (snapshot.state, snapshot.gpus) == (DriverState.FAILED, ())


def test_without_the_binding_it_says_which_package_is_missing(driver: FakeDriver, sampling: Samplers) -> None:
    command = child_command("h", QUICK)

    snapshot = sampling(QUICK, [command[0], "-S", *command[1:]]).wait(10)

    assert (snapshot.state, snapshot.detail) == (
        DriverState.NO_DRIVER,
        'the Python package "nvidia-ml-py" is missing',
    )


@pytest.mark.parametrize("hang", ["hang nvmlInitWithFlags -1", "hang nvmlDeviceGetUtilizationRates 0", ""])
def test_stopping_returns_at_once_and_leaves_no_child(driver: FakeDriver, sampling: Samplers, hang: str) -> None:
    driver.write(hang)
    sampler = sampling(Timing(first_turn_s=60))
    until(lambda: driver.calls() and children(), 10)

    began = time.monotonic()
    sampler.stop()

    assert time.monotonic() - began < 3
    assert children() == []
    assert sampler.latest().state is DriverState.STOPPED
    sampler.stop()


def test_a_sampler_that_was_never_started_can_be_stopped() -> None:
    Sampler("h").stop()


def test_the_child_ends_when_nobody_listens_any_more(driver: FakeDriver) -> None:
    code = (
        "import time; from mlconsole.telemetry.sampler import Sampler\n"
        "Sampler('h').start().wait(10); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        (child,) = children(parent.pid)
        parent.kill()

    until(lambda: not is_alive(child), 5)


def test_a_child_that_hangs_ends_by_itself_when_nobody_is_left_to_end_it(driver: FakeDriver) -> None:
    driver.write("hang nvmlDeviceGetUtilizationRates 0")
    command = [*child_command("h", QUICK)[:-1], "1"]

    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)

    assert done.returncode == -signal.SIGALRM


def test_ctrl_c_in_the_terminal_does_not_reach_the_child(driver: FakeDriver, sampling: Samplers) -> None:
    sampler = sampling()
    sampler.wait(10)
    (child,) = children()

    assert os.getsid(child) == child


def test_nothing_of_the_current_directory_runs_in_the_child(
    driver: FakeDriver, sampling: Samplers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    for name in ("json", "pynvml", "argparse", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n")
    monkeypatch.chdir(folder)

    assert sampling().wait(10).state is DriverState.OK
    assert not (tmp_path / "ran").exists()
