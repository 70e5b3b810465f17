"""``gpu list`` and ``gpu history`` at the command line, with the tests' own driver and without one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from gpukit import FakeDriver, on_gpus, uuid
from moneykit import priced

from program import Program, wait_until

FIELDS = {
    *("host", "index", "uuid", "name", "utilization_percent", "memory_used_mib", "memory_total_mib", "power_w"),
    *("temperature_c", "processes", "run_id", "user", "idle_class", "price_usd_per_h", "age_s", "source"),
}
SEES_PIDS = os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"
needs_pids = pytest.mark.skipif(not SEES_PIDS, reason="in a container the driver's pids are not this one's")


@pytest.fixture
def lab(cli: Program, tmp_path: Path) -> tuple[Program, FakeDriver]:
    """A machine with two GPUs at $20 an hour."""
    return on_gpus(priced(cli, "usd_per_h = 20", "gpus = 2"), tmp_path, 2)


def test_without_a_driver_the_list_says_so_in_words(cli: Program) -> None:
    shown, text = cli.json("gpu", "list"), cli("gpu", "list")

    assert (shown["kind"], shown["items"], shown["state"]) == ("gpu", [], "no_driver")
    assert text.code == 0
    assert "no NVIDIA driver on this host" in text.out


def test_every_gpu_has_the_fields_that_scripts_rely_on(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab

    items = program.json("gpu", "list")["items"]

    assert [item["uuid"] for item in items] == [uuid(0), uuid(1)]
    assert all(set(item) >= FIELDS for item in items)
    assert (items[0]["utilization_percent"], items[0]["power_w"], items[0]["source"]) == (93, 301.5, "nvml")
    assert items[0]["run_id"] is None


def test_a_figure_that_the_driver_does_not_tell_is_null_with_the_reason(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    driver.write("fail nvmlDeviceGetTemperature -1 3")

    (item, _) = program.json("gpu", "list")["items"]

    assert item["temperature_c"] is None
    assert item["missing"]["temperature_c"] == "not supported"


def test_the_list_says_why_there_is_a_question_mark(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    driver.write("fail nvmlDeviceGetTemperature -1 3", "fail nvmlDeviceGetUtilizationRates 1 4")
    driver.write("fail nvmlDeviceGetComputeRunningProcesses_v3 0 4")

    lines = program("gpu", "list").out.splitlines()

    assert "GPU 0: its processes cannot be seen: no permission" in lines
    assert "TEMP of every GPU: not supported" in lines
    assert "USE of GPU 1: no permission" in lines


def program_of(program: Program, run: str) -> int:
    """The pid that a run's program said."""
    wait_until(lambda: program("run", "logs", run).out.endswith("\n"), "the program to say its pid")
    return int(program("run", "logs", run).out.split()[0])


@needs_pids
def test_a_process_is_traced_to_its_run_even_when_it_hides(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    hide = "setsid env -i sh -c 'echo $$; exec sleep 600' & wait"
    run = program.launch("sh", "-c", hide)
    driver.write(f"process 1 C {program_of(program, run)} 4000 50 -1")

    (_, item) = program.json("gpu", "list")["items"]

    assert (item["run_id"], item["run_name"]) == (run, "job")
    assert item["processes"][0]["run_id"] == run
    assert item["idle_class"] == "busy"


@needs_pids
def test_a_process_of_no_run_is_shown_with_its_owner(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    driver.write(f"process 0 C {os.getpid()} 4000 50 -1")

    (item, _) = program.json("gpu", "list")["items"]

    assert item["run_id"] is None
    assert item["user"] == Path(f"/proc/{os.getpid()}").owner()
    assert "of no run" in program("gpu", "list").out


def test_a_pid_that_cannot_be_seen_is_said_to_be_the_hosts(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    driver.write(f"process 0 C {(1 << 22) + 9} 4000 50 -1")

    (item, _) = program.json("gpu", "list")["items"]

    assert item["processes"][0]["visible"] is False
    assert "host pid, not visible" in program("gpu", "list").out


def test_what_a_gpu_is_troubled_by_and_split_into_is_said_and_a_power_cap_is_no_trouble(
    lab: tuple[Program, FakeDriver],
) -> None:
    program, driver = lab
    driver.figures[1] |= {"throttle": 0x4 | 0x40, "ecc_u": 3}
    driver.write("set 0 mig_mode 1", "mig 0 0 1 4000 20000 MIG-aaaa 3g.20gb", "process 0 C 4194999 900 40 1")

    lines = program("gpu", "list").out.splitlines()

    assert "GPU 0: MIG instance 3g.20gb, 3.9/20 GiB, MIG-aaaa" in lines
    assert "GPU 0: process 4194999 (host pid, not visible), 0.9 GiB in MIG 3g.20gb" in lines
    assert "GPU 1: clocks held back: too hot, slowed by the hardware" in lines
    assert "GPU 1: 3 memory errors that were not corrected" in lines
    assert not any("power cap" in line for line in lines)


def test_a_gpu_has_its_price_before_the_first_run(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab

    assert [gpu["price_usd_per_h"] for gpu in program.json("gpu", "list")["items"]] == [10, 10]


def test_a_leased_gpu_names_its_run_and_its_price(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab
    run = program.json("launch", "--gpus", "1", "--", "sleep", "600")["id"]
    program.json("cost", "show")

    (item, other) = program.json("gpu", "list")["items"]

    assert (item["run_id"], item["leased"], item["price_usd_per_h"]) == (run, True, 10)
    assert (other["run_id"], other["leased"], other["price_usd_per_h"]) == (None, False, 10)


def test_watching_shows_one_object_a_line_and_keeps_a_history(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab
    watching = program.start("--json", "gpu", "list", "--watch", "--interval", "0.3")
    assert watching.stdout is not None
    shown = [json.loads(watching.stdout.readline()) for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=20)

    past = program.json("gpu", "history", uuid(0), "--figure", "power_w")

    assert watching.returncode == 130
    assert all(each["kind"] == "gpu" and len(each["items"]) == 2 for each in shown)
    means = past["items"][0]["means"]
    assert means and means == [pytest.approx(301.5)] * len(means)
    assert [each["uuid"] for each in program.json("gpu", "history", "gpu:1")["items"]] == [uuid(1)]
    assert program("gpu", "history", "gpu:7").code == 4
    assert "301.5" in program("gpu", "history", "--figure", "power_w").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("gpu", "history", "GPU-none"), 4, '"GPU-none"'),
        (("gpu", "history", "--since", "soon"), 2, '"soon"'),
        (("gpu", "list", "--watch", "--interval", "0"), 2, "interval"),
    ],
)
def test_a_wrong_word_is_one_clear_line(cli: Program, words: tuple[str, ...], code: int, said: str) -> None:
    done = cli(*words)

    assert done.code == code
    assert said in done.err


def test_a_gpu_can_be_kept_for_a_while_with_a_reason(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab

    program.json("gpu", "keep", "gpu:1", "2h", "--why", "debugging")
    (free, kept) = program.json("gpu", "list")["items"]
    program.json("gpu", "keep", uuid(1), "0")
    (_, taken_back) = program.json("gpu", "list")["items"]

    assert (free["kept_until"], taken_back["kept_until"]) == (None, None)
    assert kept["kept_why"].startswith("debugging (")
    assert program("gpu", "keep", "gpu:1", "2h").code == 2
    assert program("gpu", "keep", "gpu:1", "1y", "--why", "x").code == 2
    assert program("gpu", "keep", "gpu:9", "2h", "--why", "x").code == 4
