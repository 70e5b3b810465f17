"""``launch --gpus``: free GPUs by uuid, handed over, refused with the reason, given back whatever ends the run."""

from __future__ import annotations

import os
import re
import shlex
import signal
from itertools import pairwise
from pathlib import Path

import pytest
from gpukit import PRINT, FakeDriver, devices, on_gpus, uuid
from moneykit import priced

from program import Program, wait_until


@pytest.fixture
def lab(cli: Program, tmp_path: Path) -> tuple[Program, FakeDriver]:
    """A machine with two GPUs."""
    return on_gpus(cli, tmp_path, 2)


def launched(program: Program, gpus: int, *command: str) -> str:
    return str(program.json("launch", "--gpus", str(gpus), "--", *(command or PRINT))["id"])


def test_a_run_is_given_its_gpus_by_uuid(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab

    run = launched(program, 2)

    wait_until(lambda: program("run", "logs", run).out != "", "the program to start")
    assert devices(program, run) == f"{uuid(0)},{uuid(1)}"
    assert program.json("run", "show", run)["gpus"] == 2


def test_what_is_leased_is_not_leased_again_and_who_has_it_is_said(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab
    run = launched(program, 1)

    done = program("--json", "launch", "--now", "--gpus", "2", "--", "true")

    assert done.code == 1
    assert f"({run})" in done.error["message"] and "1 of 2 is free" in done.error["message"]
    assert len(program.json("run", "list")["items"]) == 1


def test_a_gpu_that_a_strangers_process_holds_is_never_leased(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    driver.write(f"process 0 C {os.getpid()} 4000 50 -1")

    first = launched(program, 1)
    second = program("launch", "--now", "--gpus", "1", "--", "true")

    wait_until(lambda: program("run", "logs", first).out != "", "the program to start")
    assert devices(program, first) == uuid(1)
    assert second.code == 1
    assert f"process {os.getpid()}" in second.err


def test_a_gpu_whose_processes_cannot_be_listed_is_never_leased(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    driver.write("fail nvmlDeviceGetComputeRunningProcesses_v3 -1 4")

    done = program("launch", "--now", "--gpus", "1", "--", "true")

    assert done.code == 1
    assert "cannot be seen" in done.err


def test_without_a_driver_a_launch_on_gpus_is_refused_in_words(cli: Program) -> None:
    done = cli("launch", "--gpus", "1", "--", "true")

    assert done.code == 1
    assert "1 GPU was asked for: no NVIDIA driver on this host" in done.err


@pytest.mark.parametrize("ending", ["success", "failure", "kill", "stop", "never"])
def test_a_lease_ends_with_its_run_whatever_ends_it(lab: tuple[Program, FakeDriver], ending: str) -> None:
    program, _ = lab
    command = {"success": ("true",), "failure": ("false",), "never": ("no-such-program",)}.get(ending, PRINT)
    done = program("--json", "launch", "--name", "one", "--gpus", "2", "--", *command)
    assert done.code == (1 if ending == "never" else 0)
    if ending == "stop":
        program("run", "stop", "one", "--grace", "0", "--yes")
    if ending == "kill":
        for process in processes_of(program.home):
            os.kill(process, signal.SIGKILL)

    program.ended("one")

    assert program("launch", "--now", "--gpus", "2", "--", "true").code == 0


def processes_of(home: Path) -> list[int]:
    """Everything of this catalog's runs, supervisors too: they were started with the same environment."""
    mark = f"MLCONSOLE_HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_of_two_launchers_that_want_the_last_gpu_one_gets_it_and_the_other_is_told(
    lab: tuple[Program, FakeDriver],
) -> None:
    program, _ = lab
    both = [program.start("launch", "--name", f"racer{i}", "--now", "--gpus", "2", "--", *PRINT) for i in range(2)]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in both]

    assert sorted(code for _, code in ends) == [0, 1]
    (told,) = [said.decode() for said, code in ends if code]
    assert "leased by run" in told
    assert len(program.json("run", "list")["items"]) == 1


def test_the_plan_of_a_launch_names_the_gpus(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab

    plan = program.json("launch", "--gpus", "1", "--dry-run", "--", "true")

    assert any(step["touches"] == uuid(0) for step in plan["steps"])
    assert "--gpus 1" in plan["command"]
    assert not program.home.exists()


def test_the_plan_of_the_first_launch_knows_its_part_of_the_machine_and_can_be_said_again(
    cli: Program, tmp_path: Path
) -> None:
    program, _ = on_gpus(priced(cli, "usd_per_h = 90"), tmp_path, 8)
    wishes = ("--name", "two words", "--gpus", "2", "--time-limit", "2h", "--retry", "oom=1", "--hold", "--env", "A=b")
    secret = ("--env", "API_TOKEN=hunter2", "--teardown", "destroy --password hunter2")

    plan = program.json("launch", *wishes, *secret, "--dry-run", "--", "train", "a b")
    again = shlex.split(plan["command"])

    assert plan["cost_usd"] == 45
    assert program.json("cost", "estimate", "--gpus", "2", "--time-limit", "2h")["usd"] == 45
    assert program.json("cost", "estimate", "--gpus", "9")["why"] == "this machine has 8 GPUs"
    assert "hunter2" not in plan["command"] and again[-3:] == ["--", "train", "a b"]
    pairs = list(pairwise(again))
    assert all(pair in pairs for pair in zip(wishes[::2][:4], wishes[1::2][:4], strict=True)) and "--hold" in again
    assert program.json("launch", "--dry-run", *again[2:])["command"] == plan["command"]


def test_a_run_is_charged_for_its_gpus_and_the_rest_is_idle(cli: Program, tmp_path: Path) -> None:
    program, _ = on_gpus(priced(cli, "usd_per_h = 36000"), tmp_path, 4)
    run = launched(program, 1, "sleep", "0.5")
    program.ended(run)

    shown = program.json("cost", "show", "--by", "gpu")

    # The look that first saw the end began before it; the next one has charged the rest.
    cost = program.json("run", "show", run)["cost_usd"]
    assert [item["key"] for item in shown["items"]] == [uuid(0)]
    assert shown["items"][0]["usd"] == pytest.approx(cost)
    assert shown["items"][0]["gpu_hours"] == pytest.approx(cost / 9000, rel=1e-3)
    assert shown["idle_usd"] >= 3 * cost * 0.99
    assert program.json("run", "show", run)["gpu_hours"] == pytest.approx(cost / 9000, rel=1e-3)


def test_beside_gpus_a_run_without_one_pays_nothing_from_the_first_run_on(cli: Program, tmp_path: Path) -> None:
    program, _ = on_gpus(priced(cli, "usd_per_h = 36000"), tmp_path, 4)
    run = program.json("launch", "--", "sleep", "600")["id"]

    wait_until(lambda: program.json("cost", "show")["total_usd"] > 1, "some cost")
    shown = program.json("cost", "show")

    assert [(item["key"], item["usd"]) for item in shown["items"]] in ([], [(run, 0)])
    assert shown["idle_usd"] == shown["total_usd"]


def test_a_mistaken_count_of_gpus_can_be_mended(cli: Program, tmp_path: Path) -> None:
    program, _ = on_gpus(priced(cli, "usd_per_h = 20", "gpus = 20"), tmp_path, 2)
    launched(program, 1)

    priced(program, "usd_per_h = 20", "gpus = 2")
    program.json("cost", "show")

    assert [gpu["price_usd_per_h"] for gpu in program.json("gpu", "list")["items"]] == [10, 10]


def test_a_live_run_shows_what_it_has_cost_and_used_so_far(cli: Program, tmp_path: Path) -> None:
    program, _ = on_gpus(priced(cli, "usd_per_h = 36000"), tmp_path, 4)
    run = launched(program, 2)

    first = program.json("run", "show", run)
    wait_until(lambda: program.json("run", "show", run)["cost_usd"] > first["cost_usd"] + 1, "the cost to grow")

    assert re.search(r"^cost +\$[0-9.,]+ so far, 2 GPUs, 0\.0[0-9] GPU hours$", program("run", "show", run).out, re.M)
    (listed,) = program.json("run", "list")["items"]
    assert listed["gpu_hours"] == pytest.approx(listed["cost_usd"] / 9000, rel=0.01)
