from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot, Source, known
from mlconsole.errors import NotFound, UsageError
from mlconsole.telemetry.replay import Recording, Replay
from mlconsole.telemetry.simulation import Simulation

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def snapshot(number: int) -> GpuSnapshot:
    reading = GpuReading("gpu-07", 0, "GPU-1", "H100", START, utilization_percent=known(float(number)))
    return GpuSnapshot("gpu-07", DriverState.OK, "", "580.1", (reading,), number)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Ten moments, two seconds apart, with loads 0 to 9."""
    with Recording(tmp_path / "gpus.jsonl") as file:
        for number in range(10):
            assert file.add(snapshot(number), START + timedelta(seconds=2 * number))
    return tmp_path / "gpus.jsonl"


def load(source: Replay) -> float | None:
    return source.latest().gpus[0].utilization_percent.value


def test_a_replay_shows_each_moment_for_as_long_as_it_lasted(recording: Path, clock: Clock) -> None:
    replay = Replay(recording, clock=clock)

    seen = []
    for _ in range(10):
        seen.append(load(replay))
        clock.now_s += 2.0
    assert seen == [float(n) for n in range(10)]


def test_what_is_replayed_says_so_everywhere(recording: Path, clock: Clock) -> None:
    latest = Replay(recording, clock=clock).latest()

    assert (latest.state, latest.gpus[0].source) == (DriverState.REPLAYED, Source.REPLAY)
    assert latest.words == "replayed from a recording (gpus.jsonl)"
    assert (latest.host, latest.driver, latest.gpus[0].at) == ("gpu-07", "580.1", START)


def test_a_replay_runs_at_the_speed_that_was_asked_for(recording: Path, clock: Clock) -> None:
    replay = Replay(recording, speed=4.0, clock=clock)

    clock.now_s += 3.5

    assert load(replay) == 7.0


def test_a_replayed_reading_is_as_old_as_its_moment_is_shown(recording: Path, clock: Clock) -> None:
    replay = Replay(recording, speed=2.0, clock=clock)

    clock.now_s += 0.75

    assert replay.latest().gpus[0].age_s == pytest.approx(0.75)


def test_a_replay_begins_anew_at_its_end_and_its_number_goes_on(recording: Path, clock: Clock) -> None:
    replay = Replay(recording, clock=clock)
    clock.now_s += 19.0
    before = replay.latest().number

    clock.now_s += 2.0

    assert load(replay) == 0.0
    assert replay.latest().number == before + 1


def test_a_damaged_moment_is_passed_over_and_counted(recording: Path, clock: Clock) -> None:
    lines = recording.read_bytes().splitlines(keepends=True)
    lines[1] = b'{"at":1772352002,"gpus":[{}]}\n'
    lines[5] = b"\xff\xfe nonsense\n"
    recording.write_bytes(b"".join(lines) + b'{"at":1772352099,"driver":"half a l')
    replay = Replay(recording, clock=clock)

    seen = []
    for _ in range(10):
        seen.append(load(replay))
        clock.now_s += 2.0

    assert seen == [0, 0, 2, 3, 4, 4, 6, 7, 8, 9]
    assert replay.damaged == 1


def test_a_recording_whose_first_moment_is_damaged_still_plays(recording: Path, clock: Clock) -> None:
    lines = recording.read_bytes().splitlines(keepends=True)
    recording.write_bytes(lines[0].replace(b'"gpus":[', b'"gpus":[7,') + b"".join(lines[1:]))
    replay = Replay(recording, clock=clock)

    assert (replay.latest().gpus, replay.latest().detail) == ((), "this part of the recording is damaged")
    clock.now_s += 2.0
    assert load(replay) == 1.0


def test_a_snapshot_is_recorded_once_and_only_with_readings(tmp_path: Path) -> None:
    with Recording(tmp_path / "r") as file:
        assert file.add(snapshot(1))
        assert not file.add(snapshot(1))
        assert not file.add(replace(snapshot(2), state=DriverState.HUNG))


def test_a_recording_goes_on_where_it_was_left_and_stops_at_its_bound(tmp_path: Path) -> None:
    path, at = tmp_path / "r", datetime(2026, 1, 1, tzinfo=UTC)
    with Recording(path) as file:
        file.add(snapshot(1), at)
    size = path.stat().st_size

    with Recording(path, most_bytes=2 * size) as file:
        assert [file.add(snapshot(number), at) for number in (1, 2, 3)] == [True, False, False]
    assert path.stat().st_size == 2 * size


def test_a_recording_of_a_simulation_stays_simulated(tmp_path: Path, clock: Clock) -> None:
    with Recording(tmp_path / "r") as file:
        file.add(Simulation(clock=clock).latest())

    latest = Replay(tmp_path / "r", clock=clock).latest()

    assert latest.state is DriverState.SIMULATED
    assert {each.source for each in latest.gpus} == {Source.SIMULATED}


def test_a_recording_that_is_missing_or_empty_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        Replay(tmp_path / "nowhere")
    (tmp_path / "empty").write_bytes(b"no readings here\n")
    with pytest.raises(UsageError, match="holds no GPU readings"):
        Replay(tmp_path / "empty")
    with pytest.raises(UsageError, match="cannot be read"):
        Replay(tmp_path)


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_a_speed_that_goes_nowhere_is_refused(recording: Path, speed: float) -> None:
    with pytest.raises(UsageError, match="above zero"):
        Replay(recording, speed=speed)


def test_a_simulation_says_so_and_shows_every_situation(clock: Clock) -> None:
    latest = Simulation(run_ids=("r1", "r2"), clock=clock).latest()

    assert latest.state is DriverState.SIMULATED
    assert {each.source for each in latest.gpus} == {Source.SIMULATED}
    assert all(each.uuid.startswith("SIM-") for each in latest.gpus)
    assert [p.run_id for each in latest.gpus[:3] for p in each.processes.value or ()] == ["r1", "r2", ""]
    assert any(each.mig.value for each in latest.gpus)
    assert any(each.xids for each in latest.gpus)


def test_a_simulation_changes_once_a_second_and_stays_within_its_bounds(clock: Clock) -> None:
    simulation = Simulation(clock=clock)
    loads = set()
    for _ in range(120):
        latest = simulation.latest()
        for each in latest.gpus:
            assert 0 <= (each.utilization_percent.value or 0) <= 100
            assert 0 < (each.power_w.value or 0) <= (each.power_limit_w.value or 0) * 1.02
        loads.add(latest.gpus[2].utilization_percent.value)
        clock.now_s += 1.0
        assert simulation.latest().number == latest.number + 1

    assert len(loads) > 10
