"""The comparison that test_real_gpu.py makes where there is a GPU, held to what nvidia-smi prints, without one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from smi_kit import FIELDS, Bracket, disagreements, number, number_of_bits, refused_field, rows

from mlconsole.domain.gpu import GpuReading, MigInstance, known, missing

UUID = "GPU-5c89f4e6-2d6a-0d0c-2a9f-7f9f6f6d1d11"
#: In the order of FIELDS, as nvidia-smi 570 prints it for an idle H200, for one in MIG mode, and for a GeForce.
H200 = (
    f"{UUID}, NVIDIA H200, 570.124.06, 143771, 1, 0, 29, 31, 76.62, 700.00, 345, 3201, 0, 0, "
    "0x0000000000000001, Disabled"
)
SPLIT = H200.replace("143771, 1, 0,", "143771, 87, [N/A],").replace("Disabled", "Enabled")
GEFORCE = (
    f"{UUID}, NVIDIA GeForce RTX 4090, 570.124.06, 24564, 15, 3, 41, N/A, 22.51, 450.00, 210, 405, [N/A], [N/A], "
    "0x0000000000000004, [N/A]"
)
IDLE = {
    "memory_total_mib": 143_771.0,
    "memory_used_mib": 1.2,
    "utilization_percent": 0.0,
    "temperature_c": 29.0,
    "memory_temperature_c": 31.0,
    "power_w": 77.1,
    "power_limit_w": 700.0,
    "sm_clock_mhz": 345.0,
    "memory_clock_mhz": 3201.0,
    "ecc_corrected": 0.0,
    "ecc_uncorrected": 0.0,
}


def reading(name: str = "NVIDIA H200", **figures: Any) -> GpuReading:
    values = {figure: known(value) for figure, value in IDLE.items()}
    whole = GpuReading("here", 0, UUID, name, datetime(2026, 1, 1, tzinfo=UTC), throttle=known(()), mig=known(()))
    return replace(whole, **{**values, **figures})


def told(before: str, after: str | None = None) -> Bracket:
    return Bracket(rows(before, FIELDS)[UUID], rows(after or before, FIELDS)[UUID])


def test_an_idle_h200_agrees() -> None:
    assert disagreements(reading(), "570.124.06", told(H200)) == []


def test_what_a_gpu_does_not_have_must_be_missing_in_ours_too_and_the_other_way_round() -> None:
    split = reading(utilization_percent=missing("not supported"), memory_used_mib=known(87.0))
    split = replace(split, mig=known((MigInstance(0, "MIG-1", "1g.18gb"),)))
    assert disagreements(split, "570.124.06", told(SPLIT)) == []
    assert [each.split(":")[0] for each in disagreements(split, "570.124.06", told(H200))] == [
        "memory.used",
        "utilization.gpu",
        "mig.mode.current",
    ]
    assert len(disagreements(reading(), "570.124.06", told(SPLIT))) == 2


def test_a_geforce_without_ecc_or_memory_temperature_agrees() -> None:
    own: dict[str, Any] = dict.fromkeys(("memory_temperature_c", "ecc_corrected", "ecc_uncorrected"), missing("none"))
    own |= {"memory_total_mib": known(24_564.0), "memory_used_mib": known(15.4), "utilization_percent": known(8.0)}
    own |= {"temperature_c": known(41.0), "power_w": known(23.0), "power_limit_w": known(450.0)}
    own |= {"sm_clock_mhz": known(210.0), "memory_clock_mhz": known(405.0), "throttle": known(("power cap",))}
    assert disagreements(reading("NVIDIA GeForce RTX 4090", **own), "570.124.06", told(GEFORCE)) == []
    own["throttle"] = known(())
    assert len(disagreements(reading("NVIDIA GeForce RTX 4090", **own), "570.124.06", told(GEFORCE))) == 1


def test_what_moves_between_two_looks_may_lie_anywhere_between_them_and_not_beyond() -> None:
    busy = H200.replace("143771, 1, 0", "143771, 9000, 99").replace("76.62", "512.10").replace("345,", "1980,")
    between = reading(memory_used_mib=known(4000.0), power_w=known(300.0), sm_clock_mhz=known(1200.0))
    assert disagreements(between, "570.124.06", told(H200, busy)) == []
    beyond = replace(between, memory_used_mib=known(9100.0), ecc_corrected=known(1.0))
    found = disagreements(beyond, "570.124.06", told(H200, busy))
    assert [each.split(":")[0] for each in found] == ["memory.used", "ecc.errors.corrected.volatile.total"]


def test_another_name_or_driver_is_a_disagreement() -> None:
    assert len(disagreements(reading("NVIDIA H100"), "580.65.06", told(H200))) == 2


def test_cells_are_numbers_or_missing_and_nothing_else() -> None:
    assert [number(cell) for cell in ("700.00", "[N/A]", "[Not Supported]", "N/A", "[Unknown Error]")] == [
        700.0,
        None,
        None,
        None,
        None,
    ]
    with pytest.raises(ValueError, match="MiB"):
        number("143771 MiB")
    assert (number_of_bits("0x0000000000000044"), number_of_bits("[N/A]")) == (0x44, None)


def test_a_field_that_an_older_nvidia_smi_does_not_know_is_named() -> None:
    said = 'Field "power.draw.instant" is not a valid field to query.\n\n'
    assert refused_field(said) == "power.draw.instant"
    assert refused_field("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.") is None
