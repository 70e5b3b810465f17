"""The figures of a real GPU, beside those of NVIDIA's own programs. Skipped where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from sampler_kit import children
from smi_kit import FIELDS, Bracket, Row, disagreements, refused_field, rows

from jobkit import until
from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot
from mlconsole.domain.leases import visible_devices
from mlconsole.telemetry.sampler import Sampler, Timing

pytestmark = pytest.mark.engine("nvidia")
#: The slower figures as often as the fast ones: what is compared is of one moment.
ALL_AT_ONCE = Timing(interval_s=0.5, medium_s=0.5, slow_s=0.5)
WITHIN_S = 30.0
HOLD = """
import sys, torch
block = torch.empty(512 << 20, dtype=torch.uint8, device="cuda:0")
block.fill_(1); torch.cuda.synchronize()
free, total = torch.cuda.mem_get_info(0)
print(total - free, total, torch.cuda.get_device_properties(0).uuid, torch.cuda.device_count(), flush=True)
sys.stdin.read()
"""


def nvidia_smi(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        pytest.skip("no nvidia-smi on this machine")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def queried() -> Mapping[str, Row]:
    """What nvidia-smi says of each GPU, by uuid; a field that it does not know is left out."""
    fields = list(FIELDS)
    while True:
        done = nvidia_smi(f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
        if done.returncode == 0:
            return rows(done.stdout, fields)
        unknown = refused_field(done.stdout + done.stderr)
        assert unknown in fields, done.stdout + done.stderr
        fields.remove(unknown)


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    listed = nvidia_smi("-L")
    if listed.returncode or "GPU 0" not in listed.stdout:
        pytest.skip(f"nvidia-smi finds no GPU: {listed.stdout.strip()[:100]}")
    sampler = Sampler("here", ALL_AT_ONCE).start()
    yield sampler
    sampler.stop()


def next_look(sampler: Sampler) -> GpuSnapshot:
    """A look whose every reading began after this call."""
    at = max(gpu.at for gpu in sampler.latest().gpus)

    def newer() -> GpuSnapshot | None:
        look = sampler.latest()
        return look if all(gpu.at > at for gpu in look.gpus) else None

    return until(newer, WITHIN_S)


def of_uuid(snapshot: GpuSnapshot, uuid: str) -> GpuReading | None:
    """The GPU that torch means: it leaves out the prefix, and names the MIG instance where there is one."""

    def names(gpu: GpuReading) -> tuple[str, ...]:
        return (gpu.uuid, *(each.uuid for each in gpu.mig.value or ()))

    return next((gpu for gpu in snapshot.gpus if any(uuid in name for name in names(gpu))), None)


def test_every_figure_agrees_with_nvidia_smi(sampler: Sampler) -> None:
    snapshot = sampler.wait(60)
    assert snapshot.state is DriverState.OK, snapshot.words
    found: list[str] = []

    def agrees() -> bool:
        before, look, after = queried(), next_look(sampler), queried()
        assert {gpu.uuid for gpu in look.gpus} == set(after)
        found.clear()
        for gpu in look.gpus:
            told = Bracket(before[gpu.uuid], after[gpu.uuid])
            found.extend(f"GPU {gpu.index}: {text}" for text in disagreements(gpu, look.driver, told))
        return not found

    try:
        until(agrees, WITHIN_S)
    finally:
        print("\n".join(found))


def test_torch_sees_the_leased_gpu_alone_its_memory_agrees_and_the_process_that_holds_it_is_listed(
    sampler: Sampler,
) -> None:
    whole = [gpu for gpu in sampler.wait(60).gpus if not gpu.mig.value]
    if not whole:
        pytest.skip("every GPU is split into MIG instances, which are not leased")
    leased = whole[-1]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": visible_devices([leased])},
    ) as holder:
        assert holder.stdout is not None
        words = holder.stdout.readline().split()
        if not words:
            pytest.skip("the torch of this environment cannot use the GPU")
        used, total, uuid, count = int(words[0]) / 2**20, int(words[1]) / 2**20, words[2], words[3]
        assert (uuid in leased.uuid, count) == (True, "1")

        def held() -> GpuReading | None:
            gpu = of_uuid(sampler.latest(), uuid)
            return gpu if gpu is not None and (gpu.memory_used_mib.value or 0) > 512 else None

        reading = until(held, WITHIN_S)
        assert (reading.memory_total_mib.value or 0) == pytest.approx(total, rel=0.03)
        assert (reading.memory_used_mib.value or 0) == pytest.approx(used, abs=1024)
        listed = {each.pid: each for each in reading.processes.value or ()}
        if holder.pid in listed and listed[holder.pid].visible:
            assert listed[holder.pid].user == pwd.getpwuid(os.getuid()).pw_name
            assert (listed[holder.pid].memory_mib.value or 512) >= 512


def test_a_fast_turn_takes_at_most_five_calls_a_gpu() -> None:
    nvidia_smi("-L")
    sampler = Sampler("here", replace(ALL_AT_ONCE, medium_s=600.0, slow_s=600.0)).start()
    try:
        count = len(sampler.wait(60).gpus)
        if not count:
            pytest.skip("no GPU")
        assert until(lambda: 0 < sampler.latest().calls <= 5 * count, WITHIN_S)
    finally:
        sampler.stop()
    assert until(lambda: not children(), WITHIN_S)
