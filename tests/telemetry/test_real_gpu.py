"""The figures of a real GPU, beside those of NVIDIA's own programs. Skipped where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jobkit import until
from mlconsole.domain.gpu import DriverState, GpuReading
from mlconsole.telemetry.sampler import Sampler

pytestmark = pytest.mark.engine("nvidia")
QUERY = {
    "memory.total": ("memory_total_mib", 1.0),
    "memory.used": ("memory_used_mib", 64.0),
    "temperature.gpu": ("temperature_c", 3.0),
    "enforced.power.limit": ("power_limit_w", 0.1),
    "power.draw.instant": ("power_w", 40.0),
    "clocks.mem": ("memory_clock_mhz", 50.0),
}
HOLD = """
import sys, torch
block = torch.empty(512 << 20, dtype=torch.uint8, device="cuda:0")
block.fill_(1); torch.cuda.synchronize()
free, total = torch.cuda.mem_get_info(0)
print(total - free, total, torch.cuda.get_device_properties(0).uuid, flush=True)
sys.stdin.read()
"""


def nvidia_smi(*arguments: str) -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        pytest.skip("no nvidia-smi on this machine")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"nvidia-smi finds no GPU that works: {done.stdout.strip()[:100]}")
    return done.stdout


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    nvidia_smi("-L")
    sampler = Sampler("here").start()
    yield sampler
    sampler.stop()


def of_uuid(sampler: Sampler, uuid: str) -> GpuReading:
    return next(each for each in sampler.latest().gpus if uuid in each.uuid)


def test_every_figure_agrees_with_nvidia_smi(sampler: Sampler) -> None:
    snapshot = sampler.wait(60)
    assert snapshot.state is DriverState.OK, snapshot.words
    fields = ["uuid", "name", "driver_version", *QUERY]
    rows = nvidia_smi(f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits").splitlines()

    assert len(rows) == len(snapshot.gpus)
    for row in rows:
        told = dict(zip(fields, (cell.strip() for cell in row.split(",")), strict=True))
        reading = of_uuid(sampler, told["uuid"])
        assert (reading.name, snapshot.driver) == (told["name"], told["driver_version"])
        for query, (name, tolerance) in QUERY.items():
            value = reading.figure(name).value
            if told[query].replace(".", "", 1).isdigit():
                assert value == pytest.approx(float(told[query]), abs=tolerance), (query, reading.figure(name))
            else:
                assert value is None, f"{query} is {told[query]} and {name} is {value}"


def test_memory_agrees_with_torch_and_the_process_that_holds_it_is_listed(sampler: Sampler) -> None:
    before = sampler.wait(60)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        words = holder.stdout.readline().split()
        if not words:
            pytest.skip("the torch of this environment cannot use the GPU")
        used, total, uuid = int(words[0]) / 2**20, int(words[1]) / 2**20, words[2]

        reading = until(lambda: r if ((r := of_uuid(sampler, uuid)).memory_used_mib.value or 0) > 512 else None, 20)

        assert (reading.memory_total_mib.value or 0) == pytest.approx(total, rel=0.03)
        assert (reading.memory_used_mib.value or 0) == pytest.approx(used, abs=1024)
        held = {each.pid: each for each in reading.processes.value or ()}
        if holder.pid in held and held[holder.pid].visible:
            assert held[holder.pid].user == pwd.getpwuid(os.getuid()).pw_name
    assert before.state is DriverState.OK


def test_a_fast_turn_takes_at_most_five_calls_a_gpu(sampler: Sampler) -> None:
    count = len(sampler.wait(60).gpus)

    assert until(lambda: 0 < sampler.latest().calls <= 5 * count, 20)
