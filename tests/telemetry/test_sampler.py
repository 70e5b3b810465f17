"""The whole sampler, through the real binding and a driver library of our own (F-39)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from sampler_kit import QUICK, Samplers

from fakes.nvml.driver import KINDS, FakeDriver, total, uuid
from jobkit import until
from mlconsole.domain.gpu import NOT_VISIBLE, DriverState, GpuHealth, GpuReading, GpuSnapshot, ProcessKind
from mlconsole.telemetry.fields import FAST_FIELDS, TOO_NARROW, Batch
from mlconsole.telemetry.nvml import Field, Refusal
from mlconsole.telemetry.sampler import Sampler

NO_SUCH_PID = 4_194_999
PCIE_TX = FAST_FIELDS["pcie_tx_bytes_per_s"]


def first(sampler: Sampler) -> GpuSnapshot:
    snapshot = sampler.wait(10)
    assert snapshot.state is DriverState.OK, snapshot.words
    return snapshot


def gpu(sampler: Sampler, index: int, is_so: Callable[[GpuReading], object]) -> GpuReading:
    """The reading of a GPU once it is so."""
    return until(lambda: next((g for g in sampler.latest().gpus if g.index == index and is_so(g)), None), 10)


def test_eight_gpus_of_several_kinds_are_read_with_every_figure(driver: FakeDriver, sampling: Samplers) -> None:
    snapshot = first(sampling())

    assert snapshot.driver == "580.65.06"
    assert [g.name for g in snapshot.gpus] == [name for name, _, _ in KINDS]
    assert [g.uuid for g in snapshot.gpus] == [uuid(index) for index in range(8)]
    last = snapshot.gpus[7]
    figures = {
        "utilization_percent": 93.0,
        "memory_used_mib": 420.0,
        "memory_total_mib": 143_771.0,
        "power_w": 301.5,
        "power_limit_w": 700.0,
        "energy_j": 5_000.0,
        "temperature_c": 61.0,
        "memory_temperature_c": 70.0,
        "sm_clock_mhz": 1755.0,
        "memory_clock_mhz": 2619.0,
        "ecc_corrected": 0.0,
        "ecc_uncorrected": 0.0,
    }
    assert {name: last.figure(name).value for name in figures} == figures
    assert last.throttle.value == ("power cap",)
    assert last.processes.value == ()
    assert (last.host, last.source, last.health) == ("gpu-07", "nvml", GpuHealth.OK)


def test_a_fast_turn_over_eight_gpus_takes_at_most_forty_calls(driver: FakeDriver, sampling: Samplers) -> None:
    for index in range(8):
        driver.write(*(f"process {index} C {NO_SUCH_PID + each} 900 40 -1" for each in range(3)))
    sampler = sampling(replace(QUICK, medium_s=100, slow_s=100))
    first(sampler)
    until(lambda: sampler.latest().calls < 100, 10)
    counted, number = total(driver.calls()), driver.calls()["nvmlDeviceGetUtilizationRates"]

    until(lambda: driver.calls()["nvmlDeviceGetUtilizationRates"] >= number + 80, 10)
    calls = driver.calls()
    turns = (calls["nvmlDeviceGetUtilizationRates"] - number) / 8

    assert (total(calls) - counted) / turns <= 40 + 1
    assert sampler.latest().calls <= 40


def test_a_gpu_without_the_newer_calls_is_read_by_the_older_ones_within_forty_calls(
    driver: FakeDriver, sampling: Samplers
) -> None:
    driver.write("fail nvmlDeviceGetFieldValues -1 13", "fail nvmlDeviceGetMemoryInfo_v2 -1 13")
    driver.write("fail nvmlDeviceGetCurrentClocksEventReasons -1 13")
    sampler = sampling(replace(QUICK, medium_s=100, slow_s=100))

    reading = first(sampler).gpus[0]

    assert (reading.power_w.value, reading.memory_used_mib.value) == (301.5, 920.0)
    assert reading.throttle.value == ("power cap",)
    assert reading.energy_j.why == "not supported"
    assert until(lambda: sampler.latest().calls < 100 and sampler.latest().calls, 10) <= 40
    assert driver.calls()["nvmlDeviceGetFieldValues"] == 8


def test_what_a_gpu_does_not_support_is_asked_once_and_of_the_others_still(
    driver: FakeDriver, sampling: Samplers
) -> None:
    driver.write("fail nvmlDeviceGetTemperature 2 3", "fail field:82 2 3")
    sampler = sampling(replace(QUICK, slow_s=100))
    first(sampler)

    until(lambda: driver.calls()["nvmlDeviceGetClockInfo"] >= 16 * 7, 10)
    sampler.stop()

    readings = sampler.latest().gpus
    assert (readings[2].temperature_c.value, readings[2].temperature_c.why) == (None, "not supported")
    assert readings[2].memory_temperature_c.why == "not supported"
    assert readings[3].temperature_c.value == 61.0
    calls = driver.calls()
    assert calls["nvmlDeviceGetTemperature"] <= calls["nvmlDeviceGetClockInfo"] / 2 - 6


def test_a_refused_permission_is_a_word_and_is_asked_for_again(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write("fail nvmlDeviceGetComputeRunningProcesses_v3 0 4", "fail nvmlDeviceGetPowerUsage 0 4")
    sampler = sampling()

    reading = first(sampler).gpus[0]
    assert (reading.processes.value, reading.processes.why) == (None, "no permission")
    assert reading.health is GpuHealth.OK

    driver.only()
    gpu(sampler, 0, lambda g: g.processes.value == ())


def test_a_gpu_that_refuses_everything_is_a_state_and_not_a_zero(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write("fail * 1 4", "fail * 2 999")

    readings = first(sampling()).gpus

    assert [g.health for g in readings[:4]] == [
        GpuHealth.OK,
        GpuHealth.NO_PERMISSION,
        GpuHealth.FAILING,
        GpuHealth.OK,
    ]
    assert readings[1].utilization_percent.why == "no permission"
    assert (readings[2].power_w.value, readings[2].power_w.why) == (None, "unknown driver error")


def test_a_gpu_that_is_lost_says_so_and_comes_back(driver: FakeDriver, sampling: Samplers) -> None:
    sampler = sampling()
    first(sampler)

    driver.write("fail * 3 15")
    lost = gpu(sampler, 3, lambda g: g.health is GpuHealth.LOST)
    assert (lost.uuid, lost.name) == (uuid(3), KINDS[3][0])
    assert {lost.figure(name).why for name in ("utilization_percent", "memory_used_mib", "energy_j")} == {"GPU lost"}
    assert lost.processes.why == "GPU lost"
    assert {g.health for g in sampler.latest().gpus if g.index != 3} == {GpuHealth.OK}

    driver.only()
    back = gpu(sampler, 3, lambda g: g.health is GpuHealth.OK)
    assert back.utilization_percent.value == 93.0


def test_a_lost_gpu_is_asked_little(driver: FakeDriver, sampling: Samplers) -> None:
    sampler = sampling(replace(QUICK, medium_s=100, slow_s=100))
    first(sampler)
    driver.write("fail * -1 15")
    until(lambda: all(g.health is GpuHealth.LOST for g in sampler.latest().gpus), 10)

    until(lambda: sampler.latest().calls == 0, 10)


def test_while_a_gpu_is_lost_the_driver_is_opened_anew_now_and_then(driver: FakeDriver, sampling: Samplers) -> None:
    sampler = sampling()
    first(sampler)
    assert driver.calls()["nvmlInitWithFlags"] == 1

    driver.write("fail * 3 15")

    until(lambda: driver.calls()["nvmlInitWithFlags"] >= 3, 10)
    assert {g.health for g in sampler.latest().gpus if g.index != 3} == {GpuHealth.OK}
    driver.only()
    gpu(sampler, 3, lambda g: g.health is GpuHealth.OK)


def test_a_lost_gpu_never_takes_the_place_of_the_one_that_moved_to_its_index(
    driver: FakeDriver, sampling: Samplers
) -> None:
    sampler = sampling()
    first(sampler)

    driver.write("fail * 3 15", "fail nvmlDeviceGetHandleByUUID 3 6")

    until(lambda: driver.calls().get("nvmlDeviceGetHandleByUUID", 0) >= 3, 10)
    lost = gpu(sampler, 3, lambda g: g.health is GpuHealth.LOST)
    assert lost.uuid == uuid(3)
    assert driver.calls()["nvmlDeviceGetHandleByIndex_v2"] == 8


def test_a_gpu_that_the_driver_does_not_count_any_more_is_lost_and_its_neighbours_are_not_mixed_up(
    driver: FakeDriver, sampling: Samplers
) -> None:
    sampler = sampling()
    first(sampler)

    driver.missing = {7}
    driver.gpus = 7
    driver.write("fail nvmlDeviceGetUtilizationRates -1 1")
    until(lambda: sampler.latest().state is DriverState.FAILED, 10)
    driver.only()

    until(lambda: sampler.latest().state is DriverState.OK, 10)
    readings = sampler.latest().gpus
    assert [g.health for g in readings] == [GpuHealth.OK] * 7 + [GpuHealth.LOST]
    assert readings[7].uuid == uuid(7)


@pytest.mark.parametrize(
    ("code", "state", "detail"),
    [
        (9, DriverState.NO_DRIVER, "driver not loaded"),
        (18, DriverState.VERSION_MISMATCH, "driver and library versions differ"),
        (4, DriverState.NO_PERMISSION, "no permission"),
        (17, DriverState.NO_PERMISSION, "refused by the operating system"),
        (999, DriverState.FAILED, "unknown driver error"),
    ],
)
def test_a_driver_that_cannot_be_opened_is_a_state_with_words(
    driver: FakeDriver, sampling: Samplers, code: int, state: DriverState, detail: str
) -> None:
    driver.init = code
    driver.write()

    snapshot = sampling().wait(10)

    assert (snapshot.state, snapshot.detail, snapshot.gpus) == (state, detail, ())
    assert state.words in snapshot.words


def test_a_host_without_the_library_says_that_there_is_no_driver(
    driver: FakeDriver, sampling: Samplers, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = driver.folder_without_library()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))

    snapshot = sampling().wait(10)

    assert (snapshot.state, snapshot.detail) == (DriverState.NO_DRIVER, "driver library not found")


def test_a_gpu_that_is_added_while_it_runs_is_read(driver: FakeDriver, sampling: Samplers) -> None:
    driver.missing = {6, 7}
    driver.write()
    sampler = sampling()
    assert [each.index for each in first(sampler).gpus] == [0, 1, 2, 3, 4, 5]

    driver.missing = set()
    driver.write()

    assert gpu(sampler, 7, lambda g: g.utilization_percent.value == 93.0).uuid == uuid(7)
    assert [each.health for each in sampler.latest().gpus] == [GpuHealth.OK] * 8


def test_a_driver_without_gpus_says_so(driver: FakeDriver, sampling: Samplers) -> None:
    driver.gpus = 0
    driver.write()

    assert sampling().wait(10).state is DriverState.NO_GPU


def test_a_driver_updated_under_us_is_told_and_the_last_readings_stay_with_their_age(
    driver: FakeDriver, sampling: Samplers
) -> None:
    sampler = sampling()
    first(sampler)

    driver.init = 18
    driver.write("fail nvmlDeviceGetMemoryInfo_v2 -1 18")
    until(lambda: sampler.latest().state is DriverState.VERSION_MISMATCH, 10)
    age_s = sampler.latest().gpus[7].age_s
    older = until(lambda: sampler.latest().gpus[7].age_s > age_s + 0.05 and sampler.latest(), 10)
    assert older.gpus[7].utilization_percent.value == 93.0

    driver.init = 0
    driver.driver = "590.10"
    driver.only()
    assert until(lambda: sampler.latest().state is DriverState.OK and sampler.latest(), 10).driver == "590.10"


def test_processes_have_memory_share_kind_and_owner(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write(f"process 0 C {os.getpid()} 1500 42 -1", f"process 0 G {os.getpid()} 1500 42 -1")
    driver.write(f"process 1 C {NO_SUCH_PID} -1 0 -1")
    sampler = sampling()

    (mine,) = first(sampler).gpus[0].processes.value or ()
    (foreign,) = sampler.latest().gpus[1].processes.value or ()

    assert (mine.pid, mine.memory_mib.value, mine.sm_percent.value) == (os.getpid(), 1500.0, 42.0)
    assert mine.kind is ProcessKind.BOTH
    assert (foreign.visible, foreign.command, foreign.user) == (False, NOT_VISIBLE, "")
    assert (foreign.memory_mib.value, foreign.memory_mib.why) == (None, "not told by the driver")
    assert foreign.sm_percent.value == 0.0


def test_a_gpu_with_more_processes_than_expected_lists_them_all(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write(*(f"process 0 C {NO_SUCH_PID + each} 10 1 -1" for each in range(100)))

    assert len(first(sampling()).gpus[0].processes.value or ()) == 100


MIG = (
    "set 2 mig_mode 1",
    "mig 2 0 9 3000 9856 MIG-aaaa 1g.10gb",
    "mig 2 3 13 20000 40192 MIG-bbbb 3g.40gb",
    f"process 2 C {NO_SUCH_PID} 2900 -1 9",
    f"process 2 C {NO_SUCH_PID + 1} 19000 -1 13",
)


def test_a_gpu_in_mig_mode_shows_its_instances_and_which_process_is_on_which(
    driver: FakeDriver, sampling: Samplers
) -> None:
    driver.write(*MIG)

    reading = first(sampling()).gpus[2]

    assert [(m.index, m.uuid, m.profile, m.memory_used_mib.value) for m in reading.mig.value or ()] == [
        (0, "MIG-aaaa", "1g.10gb", 3000.0),
        (3, "MIG-bbbb", "3g.40gb", 20000.0),
    ]
    assert [each.mig for each in reading.processes.value or ()] == ["MIG-aaaa", "MIG-bbbb"]
    assert (reading.utilization_percent.value, reading.utilization_percent.why) == (None, "not supported")


def test_without_the_right_to_list_a_whole_gpu_its_mig_instances_are_asked(
    driver: FakeDriver, sampling: Samplers
) -> None:
    driver.write(*MIG, "fail nvmlDeviceGetComputeRunningProcesses_v3 2 4")

    reading = gpu(sampling(), 2, lambda g: g.processes.is_known)

    assert [(each.pid, each.mig) for each in reading.processes.value or ()] == [
        (NO_SUCH_PID, "MIG-aaaa"),
        (NO_SUCH_PID + 1, "MIG-bbbb"),
    ]


def test_a_gpu_that_leaves_mig_mode_is_asked_again_for_what_it_refused(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write(*MIG)
    sampler = sampling()
    gpu(sampler, 2, lambda g: not g.utilization_percent.is_known)

    driver.only()

    gpu(sampler, 2, lambda g: g.utilization_percent.value == 93.0 and g.mig.value == ())


def test_an_error_that_the_driver_reports_is_kept_with_its_words(driver: FakeDriver, sampling: Samplers) -> None:
    sampler = sampling()
    first(sampler)

    driver.write("xid 1 5 79", "xid 2 5 31")

    reading = gpu(sampler, 5, lambda g: len(g.xids) == 2)
    assert [each.words for each in reading.xids] == [
        "Xid 79: the GPU has fallen off the bus",
        "Xid 31: a kernel touched memory that it does not own",
    ]
    assert sampler.latest().gpus[4].xids == ()


def test_errors_outlive_the_child_that_saw_them(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write("xid 1 5 79")
    sampler = sampling()
    gpu(sampler, 5, lambda g: g.xids)

    driver.only("abort nvmlDeviceGetUtilizationRates 0")
    until(lambda: sampler.latest().state is DriverState.FAILED, 10)
    driver.only()

    until(lambda: sampler.latest().state is DriverState.OK, 10)
    assert [each.code for each in sampler.latest().gpus[5].xids] == [79]


def test_bytes_over_pcie_and_nvlink_become_rates_once_there_are_two_readings(
    driver: FakeDriver, sampling: Samplers
) -> None:
    sampler = sampling(replace(QUICK, interval_s=0.3))
    assert first(sampler).gpus[0].pcie_tx_bytes_per_s.why == "needs two readings"

    driver.figures[0] |= {"pcie_tx": 900_000_000, "nvlink_tx": 1_000_000}
    driver.write()

    reading = gpu(sampler, 0, lambda g: (g.pcie_tx_bytes_per_s.value or 0) > 0)
    assert (reading.nvlink_tx_bytes_per_s.value or 0) > (reading.pcie_tx_bytes_per_s.value or 0) > 1e8
    assert reading.nvlink_rx_bytes_per_s.value == 0.0


def test_a_counter_that_goes_back_or_is_too_narrow_gives_no_rate(driver: FakeDriver, sampling: Samplers) -> None:
    driver.figures[1]["counter_type"] = 1
    driver.figures[0]["pcie_tx"] = 9 << 32
    driver.write()
    sampler = sampling(replace(QUICK, interval_s=0.3))
    gpu(sampler, 0, lambda g: g.pcie_tx_bytes_per_s.is_known)
    assert sampler.latest().gpus[1].pcie_tx_bytes_per_s.why == "the counter is too narrow"

    driver.figures[0]["pcie_tx"] = 5
    driver.write()

    gpu(sampler, 0, lambda g: g.pcie_tx_bytes_per_s.why == "the counter began anew")


def test_a_counter_that_begins_anew_below_32_bits_is_taken_for_a_narrow_one_and_gives_no_rate_again() -> None:
    counts = iter([100.0, 2**31, 7.0, 900.0, 2000.0])
    batch = Batch(
        lambda handle, wanted: [Field(next(counts), 64) if each == PCIE_TX else Refusal(3) for each in wanted]
    )

    told = [batch.read(None, float(second), is_slow=False)["pcie_tx_bytes_per_s"] for second in range(4)]

    assert [why for _, _, why in told] == ["needs two readings", "", TOO_NARROW, TOO_NARROW]
    batch.forget()
    assert batch.read(None, 9.0, is_slow=False)["pcie_tx_bytes_per_s"][2] == "needs two readings"


def test_a_process_in_a_compute_instance_stands_on_that_one(driver: FakeDriver, sampling: Samplers) -> None:
    driver.write(
        "set 2 mig_mode 1",
        "mig 2 0 9 3000 9856 MIG-aaaa 1c.2g.20gb 0",
        "mig 2 1 9 3000 9856 MIG-bbbb 1c.2g.20gb 1",
        f"process 2 C {NO_SUCH_PID} 2900 -1 9 1",
        f"process 2 C {NO_SUCH_PID + 1} 100 -1 9 0",
    )

    assert [each.mig for each in first(sampling()).gpus[2].processes.value or ()] == ["MIG-bbbb", "MIG-aaaa"]


def test_a_name_that_is_no_text_is_left_out_and_the_gpu_is_read(driver: FakeDriver, sampling: Samplers) -> None:
    driver.names = {0: "NVIDIA \udcff\udcfe", 1: "NVIDIA \x1b[31m ünï"}
    driver.write()

    readings = first(sampling()).gpus

    assert (readings[0].name, readings[0].utilization_percent.value) == ("", 93.0)
    assert readings[1].name == "NVIDIA \x1b[31m ünï"


def test_a_slower_figure_says_its_age(driver: FakeDriver, sampling: Samplers) -> None:
    sampler = sampling(replace(QUICK, medium_s=100, slow_s=100))
    first(sampler)

    reading = gpu(sampler, 0, lambda g: g.temperature_c.age_s > 0.2)

    assert reading.utilization_percent.age_s == 0.0
