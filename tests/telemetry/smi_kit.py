"""Holds the sampler's readings to what ``nvidia-smi`` says, field by field.

Source: nvidia-smi(1) and ``nvidia-smi --help-query-gpu``. With ``--format=csv,noheader,nounits`` memory is in MiB,
power in W, clocks in MHz, temperatures in °C; what a GPU or a driver does not tell stands in brackets (``[N/A]``,
``[Not Supported]``, ``[Unknown Error]``) or, for some fields, as plain ``N/A``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlconsole.domain.gpu import GpuReading
from mlconsole.telemetry.device import THROTTLES

#: Each field of nvidia-smi's with our name, and by how much two readings of it may differ that are not of one moment.
FIGURES = {
    "memory.total": ("memory_total_mib", 1.0),
    "memory.used": ("memory_used_mib", 16.0),
    "utilization.gpu": ("utilization_percent", 100.0),  # Both sample on their own: only whether there is one is held.
    "temperature.gpu": ("temperature_c", 2.0),
    "temperature.memory": ("memory_temperature_c", 2.0),
    "power.draw.instant": ("power_w", 40.0),
    "enforced.power.limit": ("power_limit_w", 0.1),
    "clocks.sm": ("sm_clock_mhz", 300.0),
    "clocks.mem": ("memory_clock_mhz", 50.0),
    "ecc.errors.corrected.volatile.total": ("ecc_corrected", 0.0),
    "ecc.errors.uncorrected.volatile.total": ("ecc_uncorrected", 0.0),
}
REASONS, MIG = "clocks_event_reasons.active", "mig.mode.current"
FIELDS = ("uuid", "name", "driver_version", *FIGURES, REASONS, MIG)
UNKNOWN_FIELD = re.compile(r'Field "([^"]+)" is not a valid field to query')
Row = Mapping[str, str]


@dataclass(frozen=True)
class Bracket:
    """What nvidia-smi said of one GPU before our reading and after it."""

    before: Row
    after: Row


def rows(text: str, fields: Sequence[str]) -> dict[str, Row]:
    """The lines of a query by their GPU's uuid."""
    found = {}
    for cells in csv.reader(text.splitlines(), skipinitialspace=True):
        row = dict(zip(fields, (cell.strip() for cell in cells), strict=True))
        found[row["uuid"]] = row
    return found


def refused_field(output: str) -> str | None:
    """The field that this nvidia-smi does not know, where it says so."""
    found = UNKNOWN_FIELD.search(output)
    return found[1] if found else None


def number(cell: str) -> float | None:
    """A cell's number; None where the GPU has none.

    Raises:
        ValueError: it is neither.
    """
    if cell == "N/A" or (cell.startswith("[") and cell.endswith("]")):
        return None
    return float(cell)


def disagreements(reading: GpuReading, driver: str, told: Bracket) -> list[str]:
    """Where a reading and nvidia-smi differ by more than what moves between two looks; empty where they agree."""
    names = {"name": reading.name, "driver_version": driver}
    found = [f"{field}: {told.after[field]} and {ours}" for field, ours in names.items() if told.after[field] != ours]
    for field, (name, tolerance) in FIGURES.items():
        if field in told.after and not _agrees(reading, name, tolerance, told, field):
            value = reading.figure(name)
            found.append(f"{field}: {told.before[field]} then {told.after[field]}, {name} {value.value} {value.why}")
    return found + _reasons(reading, told) + _mig(reading, told)


def _agrees(reading: GpuReading, name: str, tolerance: float, told: Bracket, field: str) -> bool:
    value = reading.figure(name).value
    both = [number(each[field]) for each in (told.before, told.after)]
    known = [each for each in both if each is not None]
    if value is None or len(known) < len(both):
        return value is None and not known
    return min(known) - tolerance <= value <= max(known) + tolerance


def _reasons(reading: GpuReading, told: Bracket) -> list[str]:
    """A reason that stood at both looks must be among ours, and ours must be of one of them."""
    if REASONS not in told.after or number_of_bits(told.after[REASONS]) is None:
        return []
    seen = [number_of_bits(each[REASONS]) or 0 for each in (told.before, told.after)]
    ours = set(reading.throttle.value or ())
    always, ever = _words(seen[0] & seen[1]), _words(seen[0] | seen[1])
    return [] if always <= ours <= ever else [f"{REASONS}: {seen} and {sorted(ours)}"]


def number_of_bits(cell: str) -> int | None:
    """The bits of a cell such as ``0x0000000000000004``; None where the GPU tells none."""
    return int(cell, 16) if cell.startswith("0x") else None


def _words(bits: int) -> set[str]:
    return {words for bit, words in THROTTLES.items() if bits & bit}


def _mig(reading: GpuReading, told: Bracket) -> list[str]:
    mode = told.after.get(MIG, "[N/A]")
    if mode == "Enabled" or not reading.mig.value:
        return []
    return [f"{MIG}: {mode}, and there are instances: {reading.mig.value}"]
