from __future__ import annotations

from pathlib import Path

import pytest

from mlconsole.telemetry.host import HostSampler


def write(proc: Path, busy: int, idle: int) -> HostSampler:
    (proc / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    (proc / "meminfo").write_text("MemTotal:  2097152 kB\nMemFree: 4 kB\nMemAvailable: 524288 kB\n")
    (proc / "loadavg").write_text("1.25 0.90 0.50 2/345 6789\n")
    return HostSampler(str(proc))


def test_cpu_is_what_was_spent_between_two_looks(tmp_path: Path) -> None:
    sampler = write(tmp_path, busy=1000, idle=1000)
    assert sampler.read().cpu_percent.value is None

    write(tmp_path, busy=1075, idle=1025)

    assert sampler.read().cpu_percent.value == pytest.approx(75.0)


def test_two_looks_in_the_same_tick_give_no_figure_instead_of_a_zero(tmp_path: Path) -> None:
    sampler = write(tmp_path, busy=1000, idle=1000)
    sampler.read()

    assert sampler.read().cpu_percent.why == "no time has passed"


def test_memory_is_what_a_new_program_could_not_have(tmp_path: Path) -> None:
    reading = write(tmp_path, 1, 1).read()

    assert (reading.memory_used_mib.value, reading.memory_total_mib.value, reading.load_1m.value) == (1536, 2048, 1.25)


@pytest.mark.parametrize("content", [None, "", "nonsense\n"])
def test_what_cannot_be_read_is_missing_with_a_word(tmp_path: Path, content: str | None) -> None:
    for name in ("stat", "meminfo", "loadavg"):
        if content is not None:
            (tmp_path / name).write_text(content)

    reading = HostSampler(str(tmp_path)).read()

    for value in (reading.cpu_percent, reading.memory_used_mib, reading.memory_total_mib, reading.load_1m):
        assert (value.value, value.why) == (None, "cannot be read")


def test_this_host_can_be_read() -> None:
    reading = HostSampler().read()

    assert (reading.memory_total_mib.value or 0) > (reading.memory_used_mib.value or 0) > 0
