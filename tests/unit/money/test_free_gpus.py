"""Which GPUs are free to lease: what is not known to be free is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mlconsole.domain.gpu import (
    DriverState,
    GpuHealth,
    GpuProcess,
    GpuReading,
    GpuSnapshot,
    MigInstance,
    ProcessKind,
    known,
    missing,
)
from mlconsole.domain.leases import Lease, choose, visible_devices, why_taken
from mlconsole.errors import ActionFailed

NOW = datetime(2025, 6, 18, tzinfo=UTC)
LEASE = Lease("abc", "train", "ann", "gpu-1", "GPU-0", NOW)


def gpu(index: int = 0, **fields: object) -> GpuReading:
    free = GpuReading("gpu-1", index, f"GPU-{index}", "H100", NOW, processes=known(()), mig=known(()))
    return replace(free, **fields)  # type: ignore[arg-type]


def snapshot(*gpus: GpuReading, state: DriverState = DriverState.OK) -> GpuSnapshot:
    return GpuSnapshot("gpu-1", state, gpus=gpus)


STRANGER = GpuProcess(4321, command="python", user="bob")
TAKEN = [
    ({"processes": known((STRANGER,))}, "held by process 4321 (python, bob)"),
    ({"processes": known((replace(STRANGER, visible=False),))}, "host pid, not visible"),
    ({"processes": known((replace(STRANGER, kind=ProcessKind.BOTH),))}, "held by process 4321"),
    ({"processes": missing("no permission")}, "cannot be seen: no permission"),
    ({"health": GpuHealth.LOST}, "GPU lost"),
    ({"health": GpuHealth.HUNG}, "does not answer"),
    ({"age_s": 300.0}, "last seen 300 s ago"),
    ({"memory_used_mib": known(12_000.0)}, "held by who cannot be seen: 11.7 GiB are in use"),
    ({"mig": known((MigInstance(0, "MIG-1", "1g.10gb"),))}, "MIG"),
]


@pytest.mark.parametrize(("fields", "why"), TAKEN, ids=[why for _, why in TAKEN])
def test_a_gpu_that_may_be_in_use_is_not_free(fields: dict[str, object], why: str) -> None:
    assert why in why_taken(gpu(**fields), None)


def test_a_leased_gpu_is_not_free_and_its_run_is_named() -> None:
    assert why_taken(gpu(), LEASE) == 'leased by run "train" (abc) of ann'


def test_a_display_server_holds_nobody_up() -> None:
    drawing = GpuProcess(1, command="Xorg", kind=ProcessKind.GRAPHICS)

    assert why_taken(gpu(processes=known((drawing,))), None) == ""
    measured = replace(drawing, memory_mib=known(900.0))
    assert why_taken(gpu(processes=known((measured,)), memory_used_mib=known(1000.0)), None) == ""
    assert why_taken(gpu(processes=known((drawing,)), memory_used_mib=known(1000.0)), None) == ""


def test_the_first_free_gpus_are_taken_in_the_order_of_their_indices() -> None:
    chosen = choose(snapshot(gpu(3), gpu(1), gpu(0), gpu(2)), {"GPU-0": LEASE}, 2)

    assert visible_devices(chosen) == "GPU-1,GPU-2"


def test_too_few_free_gpus_are_refused_with_the_reason_for_each() -> None:
    with pytest.raises(ActionFailed) as refused:
        choose(snapshot(gpu(0), gpu(1, processes=known((STRANGER,))), gpu(2)), {"GPU-0": LEASE}, 2)

    assert refused.value.message == (
        '2 GPUs were asked for and 1 of 3 is free: GPU 0 is leased by run "train" (abc) of ann; '
        "GPU 1 is held by process 4321 (python, bob)."
    )


@pytest.mark.parametrize("state", [DriverState.NO_DRIVER, DriverState.HUNG, DriverState.VERSION_MISMATCH])
def test_without_fresh_readings_no_gpu_is_leased(state: DriverState) -> None:
    with pytest.raises(ActionFailed, match=r"1 GPU was asked for: "):
        choose(snapshot(gpu(), state=state), {}, 1)
