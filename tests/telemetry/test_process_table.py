from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlconsole.domain.gpu import NOT_VISIBLE
from mlconsole.telemetry.cpu import CpuMeter
from mlconsole.telemetry.processes import ProcessTable


def process(
    proc: Path,
    pid: int,
    command: str = "python",
    utime: int = 250,
    starttime: int = 777,
    parent: int = 1,
    waited: int = 0,
) -> Path:
    """A process of the caller's in a made-up process table; times are in clock ticks."""
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True, exist_ok=True)
    times = [str(utime), "50", str(waited), "0"]
    fields = ["S", str(parent), *["0"] * 9, *times, *["0"] * 4, str(starttime), *["0"] * 20]
    (folder / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n")
    return folder


def test_a_process_is_known_by_its_start_time_owner_command_and_cpu_seconds(tmp_path: Path) -> None:
    process(tmp_path, 42)

    found = ProcessTable(str(tmp_path), is_first_namespace=True).look(42)

    assert found is not None
    assert (found.pid, found.started_ticks, found.command) == (42, 777, "python")
    assert found.user == Path(tmp_path).owner()
    assert found.cpu_s == 300 / os.sysconf("SC_CLK_TCK")


def test_a_command_with_parentheses_and_spaces_in_it_is_read_whole(tmp_path: Path) -> None:
    process(tmp_path, 42, command="a) b (c")

    found = ProcessTable(str(tmp_path), is_first_namespace=True).look(42)

    assert found is not None
    assert (found.command, found.started_ticks) == ("a) b (c", 777)


def test_this_process_is_found_in_the_real_table() -> None:
    found = ProcessTable().look(os.getpid())

    assert found is not None
    assert found.cpu_s > 0


def test_a_pid_that_is_not_there_or_not_readable_is_nobody(tmp_path: Path) -> None:
    process(tmp_path, 43).joinpath("stat").write_text("43 (half a line")
    table = ProcessTable(str(tmp_path), is_first_namespace=True)

    assert (table.look(42), table.look(43)) == (None, None)


def test_in_a_container_a_pid_is_ours_only_when_it_has_the_gpu_open(tmp_path: Path) -> None:
    process(tmp_path, 42)
    (process(tmp_path, 43) / "fd" / "5").symlink_to("/dev/nvidia0")
    table = ProcessTable(str(tmp_path), is_first_namespace=False)

    assert table.look_on_gpu(42) is None
    assert table.look_on_gpu(43) is not None


def test_in_a_container_a_process_whose_files_cannot_be_listed_is_not_taken_for_ours(tmp_path: Path) -> None:
    folder = process(tmp_path, 42)
    (folder / "fd").rmdir()

    assert ProcessTable(str(tmp_path), is_first_namespace=False).look_on_gpu(42) is None


def test_on_the_host_a_pid_of_the_driver_is_a_pid_of_ours(tmp_path: Path) -> None:
    process(tmp_path, 42)

    assert ProcessTable(str(tmp_path), is_first_namespace=True).look_on_gpu(42) is not None


def test_an_unknown_namespace_is_not_taken_for_the_host_s(tmp_path: Path) -> None:
    process(tmp_path, 42)

    assert ProcessTable(str(tmp_path)).look_on_gpu(42) is None


def test_an_owner_without_a_name_is_shown_by_number(tmp_path: Path) -> None:
    folder = process(tmp_path, 42)
    if os.getuid() == 0:
        os.chown(folder, 3_999_999, -1)

    found = ProcessTable(str(tmp_path), is_first_namespace=True).look(42)

    assert found is not None
    assert found.user == ("uid3999999" if os.getuid() == 0 else Path(tmp_path).owner())


def meter(proc: Path) -> CpuMeter:
    return CpuMeter(ProcessTable(str(proc), is_first_namespace=True))


def test_processor_time_is_that_of_a_process_and_all_below_it(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    process(tmp_path, 42)
    process(tmp_path, 43, parent=42)
    process(tmp_path, 99, parent=1)
    cpu = meter(tmp_path)
    assert cpu.percent("run", [42], 100.0).value is None

    process(tmp_path, 42, utime=250 + ticks)
    process(tmp_path, 43, utime=250 + 3 * ticks, parent=42)
    process(tmp_path, 44, utime=2 * ticks - 50, parent=43)
    process(tmp_path, 99, utime=10**6, parent=1)

    assert cpu.percent("run", [42], 110.0).value == pytest.approx(100 * (1 + 3 + 2) / 10)


def test_a_worker_that_came_and_went_between_two_looks_is_counted_through_its_parent(tmp_path: Path) -> None:
    process(tmp_path, 42)
    cpu = meter(tmp_path)
    cpu.percent("run", [42], 100.0)

    process(tmp_path, 42, waited=5 * os.sysconf("SC_CLK_TCK"))

    assert cpu.percent("run", [42], 110.0).value == pytest.approx(50.0)


def test_a_reused_pid_is_another_process(tmp_path: Path) -> None:
    process(tmp_path, 42, utime=10**6)
    cpu = meter(tmp_path)
    cpu.percent("run", [42], 100.0)

    process(tmp_path, 42, utime=0, starttime=9999)

    assert cpu.percent("run", [42], 110.0).value == pytest.approx(100 * 50 / os.sysconf("SC_CLK_TCK") / 10)


def test_processor_time_is_unknown_when_one_of_the_processes_cannot_be_seen(tmp_path: Path) -> None:
    process(tmp_path, 42)
    cpu = meter(tmp_path)
    cpu.percent("run", [42], 100.0)

    assert cpu.percent("run", [42, 4711], 110.0).why == NOT_VISIBLE
    assert cpu.percent("run", [42], 120.0).value is None
    assert cpu.percent("nobody", [], 120.0).why == NOT_VISIBLE


def test_a_table_whose_parents_form_a_ring_does_not_hang(tmp_path: Path) -> None:
    process(tmp_path, 42, parent=43)
    process(tmp_path, 43, parent=42)

    found = ProcessTable(str(tmp_path), is_first_namespace=True).family([42])

    assert sorted(each.pid for each in found) == [42, 43]
