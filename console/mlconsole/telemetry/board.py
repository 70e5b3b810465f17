"""What the parent knows: the last good reading of every GPU, whatever became of the process that read it."""

from __future__ import annotations

import json

from mlconsole.domain.gpu import DriverState, GpuHealth, GpuReading, GpuSnapshot, XidEvent
from mlconsole.records import replace
from mlconsole.telemetry import codec

MOST_XIDS = 16


class Board:
    """Takes the lines of one child after another. Pure: times are given to it.

    Attributes:
        state: what stands between us and the readings.
        turns: how many turns were complete, over all children.
        is_complete: whether the present child has read every GPU at least once.
        has_spoken_last: whether the present child has said why it ends.
        damaged: how many lines could not be read.
    """

    def __init__(self, host: str) -> None:
        self.state = DriverState.STARTING
        self.turns = self.damaged = 0
        self.is_complete = self.has_spoken_last = False
        self._host, self._detail, self._driver = host, "", ""
        self._readings: dict[str, tuple[GpuReading, float]] = {}
        self._expected: int | None = None
        self._seen: dict[int, str] = {}
        self._found: dict[int, tuple[str, str]] = {}
        self._hung_at_s: dict[int, float] = {}
        self._changes = self._calls = 0

    def begin(self) -> None:
        """A new child has been started."""
        self._expected, self.is_complete, self.has_spoken_last = None, False, False
        self._seen.clear()

    def say(self, state: DriverState, detail: str = "") -> None:
        """Note what was found out beside the child's readings."""
        if (state, detail) != (self.state, self._detail):
            self.state, self._detail = state, detail
            self._changes += 1

    def take(self, line: bytes, now_s: float) -> None:
        """One line of the child's."""
        try:
            message = json.loads(line)
            kind = message.pop("kind")
            if kind == "gpu":
                self._put(codec.decode(message), now_s)
            elif kind == "found":
                self._found[int(message["index"])] = str(message["uuid"]), str(message["name"])
            elif kind == "hello":
                self._driver, self._expected = str(message["driver"]), int(message["count"])
            elif kind == "tick":
                self._end_turn(int(message["calls"]))
            elif kind == "state":
                self.say(DriverState(message["state"]), str(message["detail"]))
                self.has_spoken_last = True
        except (ValueError, KeyError, TypeError, AttributeError):
            self.damaged += 1

    def hangs_on(self) -> int | None:
        """The index of the GPU that the child's present call is about; None when it is about none."""
        return next((index for index in range(self._expected or 0) if index not in self._seen), None)

    def found(self, index: int) -> tuple[str, str]:
        """The uuid and the name of the GPU of that index, as far as they were read."""
        return self._found.get(index, ("", ""))

    def recall(self, index: int, uuid: str, name: str, hung_at_s: float) -> None:
        """Note what is known of a GPU that is left alone because a call for it hung at that time."""
        self._found.setdefault(index, (uuid, name))
        self._hung_at_s[index] = hung_at_s

    def snapshot(self, now_s: float) -> GpuSnapshot:
        """What is known now; every reading with its age."""
        held = sorted(self._readings.values(), key=lambda each: (each[0].index, each[0].uuid))
        gpus = tuple(reading.aged(max(0.0, now_s - read_at_s)) for reading, read_at_s in held)
        return GpuSnapshot(self._host, self.state, self._words(), self._driver, gpus, self._changes, self._calls)

    def _words(self) -> str:
        """What was found; while the first turn goes on, how far it has come."""
        if self.state is DriverState.STARTING and self._expected:
            return f"{len(self._seen)} of {self._expected} so far"
        return self._detail

    def _put(self, reading: GpuReading, now_s: float) -> None:
        if reading.health is GpuHealth.HUNG:
            uuid, name = self.found(reading.index)
            reading = replace(reading, uuid=uuid, name=name)
        key = self._key(reading)
        self._seen[reading.index] = key
        self._changes += 1
        if key not in self._readings:
            hung_at_s = self._hung_at_s.get(reading.index, now_s)
            self._readings[key] = (reading, hung_at_s if reading.health is GpuHealth.HUNG else now_s)
            return
        old, read_at_s = self._readings[key]
        if reading.health is GpuHealth.HUNG:
            self._readings[key] = (replace(old, health=GpuHealth.HUNG), read_at_s)
            return
        uuid, name = reading.uuid or old.uuid, reading.name or old.name
        xids = _joined(old.xids, reading.xids)
        self._readings[key] = (replace(reading, uuid=uuid, name=name, xids=xids), now_s)

    def _key(self, reading: GpuReading) -> str:
        """Its uuid; while that cannot be read, the one that its index had last."""
        if reading.uuid:
            self._readings.pop(f"#{reading.index}", None)
            return reading.uuid
        of_index = [(read_at_s, key) for key, (old, read_at_s) in self._readings.items() if old.index == reading.index]
        return max(of_index)[1] if of_index else f"#{reading.index}"

    def _end_turn(self, calls: int) -> None:
        """Whatever this turn did not bring is lost: the driver does not count it any more."""
        seen = set(self._seen.values())
        for key, (reading, read_at_s) in self._readings.items():
            if key not in seen:
                self._readings[key] = (replace(reading, health=GpuHealth.LOST), read_at_s)
        self._seen.clear()
        self._calls = calls
        self.turns += 1
        self._changes += 1
        self.is_complete = True
        self.say(DriverState.OK if self._readings else DriverState.NO_GPU)


def _joined(old: tuple[XidEvent, ...], new: tuple[XidEvent, ...]) -> tuple[XidEvent, ...]:
    together = dict.fromkeys((*old, *new))
    return tuple(sorted(together, key=lambda each: each.at))[-MOST_XIDS:]
