"""Recording readings, and playing a recording back as if it were live; whatever is replayed says so.

A recording is a file of JSON objects, one a line and moment: ``at`` (seconds since the epoch, always first), ``driver``
and ``gpus`` (readings as :mod:`mlconsole.telemetry.codec` writes them).
"""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot, Source
from mlconsole.errors import NotFound, UsageError
from mlconsole.records import replace
from mlconsole.telemetry import codec

PREFIX = b'{"at":'
MOST_BYTES = 256 << 20


class Recording:
    """Appends snapshots to a file; a moment is written whole or not at all.

    Args:
        path: the file; made when it is missing.
        most_bytes: no more is written once it has grown to this.

    Raises:
        OSError: the file cannot be written, by any of its methods.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
        self._left = most_bytes - self._file.seek(0, os.SEEK_END)
        self._number = -1

    def add(self, snapshot: GpuSnapshot, now: datetime | None = None) -> bool:
        """Write a snapshot, unless it was written already, has no readings, or there is no room; True when it was."""
        if snapshot.number == self._number or not snapshot.state.has_readings:
            return False
        self._number = snapshot.number
        moment = {
            "at": round((now or datetime.now(UTC)).timestamp(), 3),
            "driver": snapshot.driver,
            "gpus": [codec.encode(reading) for reading in snapshot.gpus],
        }
        line = json.dumps(moment, separators=(",", ":")).encode() + b"\n"
        return len(line) <= self._left and self._write(line)

    def _write(self, line: bytes) -> bool:
        end = self._file.seek(0, os.SEEK_END)
        if self._file.write(line) < len(line):
            self._file.truncate(end)
            return False
        self._left -= len(line)
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Replay:
    """A recording as a source of readings; begins anew at its end.

    Args:
        path: the recording.
        speed: how many recorded seconds pass in one.
        clock: seconds that never jump.

    Attributes:
        damaged: how many lines could not be read, as far as it was played.

    Raises:
        NotFound: there is no such file.
        UsageError: it holds no readings, or the speed is not above zero.
    """

    def __init__(self, path: Path, speed: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        if speed <= 0:
            raise UsageError(f'The speed of a replay must be above zero, not "{speed}".')
        self.damaged = 0
        self._path, self._speed, self._clock = path, speed, clock
        self._at, self._places = _moments(path)
        self._length_s = self._at[-1] - self._at[0] + _usual_step_s(self._at)
        self._began_s = clock()
        self._held: tuple[int, GpuSnapshot] | None = None

    def latest(self) -> GpuSnapshot:
        """What was known at the moment that is played now."""
        position_s = (self._clock() - self._began_s) * self._speed
        laps, within_s = divmod(position_s, self._length_s)
        index = bisect_right(self._at, self._at[0] + within_s) - 1
        if self._held is None or self._held[0] != index:
            self._held = (index, self._read(index))
        snapshot = self._held[1]
        age_s = (self._at[0] + within_s - self._at[index]) / self._speed
        return replace(
            snapshot,
            number=int(laps) * len(self._at) + index,
            gpus=tuple(reading.aged(age_s) for reading in snapshot.gpus),
        )

    def stop(self) -> None:
        """Nothing is held."""

    def _read(self, index: int) -> GpuSnapshot:
        """The moment of that index; while its line is damaged, what was shown before it."""
        place, length = self._places[index]
        try:
            with open(self._path, "rb") as file:
                file.seek(place)
                moment = json.loads(file.read(length))
            gpus = tuple(_replayed(codec.decode(each)) for each in moment["gpus"])
        except (OSError, ValueError, KeyError, TypeError):
            self.damaged += 1
            nothing = GpuSnapshot("", DriverState.REPLAYED, "this part of the recording is damaged")
            return self._held[1] if self._held else nothing
        is_simulated = any(each.source is Source.SIMULATED for each in gpus)
        state = DriverState.SIMULATED if is_simulated else DriverState.REPLAYED
        host = gpus[0].host if gpus else ""
        return GpuSnapshot(host, state, f"{self._path.name}", str(moment.get("driver", "")), gpus)


def _replayed(reading: GpuReading) -> GpuReading:
    return reading if reading.source is Source.SIMULATED else replace(reading, source=Source.REPLAY)


def _moments(path: Path) -> tuple[list[float], list[tuple[int, int]]]:
    """The times of a recording's moments, never going back, and where each is in the file."""
    times: list[float] = []
    places: list[tuple[int, int]] = []
    place = 0
    try:
        with open(path, "rb") as file:
            for line in file:
                at = _time(line)
                if at is not None and (not times or at >= times[-1]):
                    times.append(at)
                    places.append((place, len(line)))
                place += len(line)
    except FileNotFoundError as error:
        raise NotFound(f'There is no recording "{path}".') from error
    except OSError as error:
        raise UsageError(f'The recording "{path}" cannot be read: {error.strerror}.') from error
    if not times:
        raise UsageError(f'"{path}" holds no GPU readings.')
    return times, places


def _time(line: bytes) -> float | None:
    """The time of a line, read off its beginning: parsing each line of an hour's recording takes a second."""
    if not line.startswith(PREFIX) or not line.endswith(b"\n"):
        return None
    try:
        return float(line[len(PREFIX) : line.index(b",")])
    except ValueError:
        return None


def _usual_step_s(times: list[float]) -> float:
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 and times[-1] > times[0] else 1.0
