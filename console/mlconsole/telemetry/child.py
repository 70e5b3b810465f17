"""The sampler's child process: reads the GPUs and says what it read, a JSON object a line, until nobody listens.

It may hang in a driver call for ever: it is made to be abandoned. In the first turn each line is written as soon as its
GPU was read, so that whoever reads them knows how far it has come; later the lines of a turn are written together,
which wakes the reader once. Which GPU is being asked for, and so may hang, a :class:`Marker` tells. It says ``hello``
with the driver's version and the number of GPUs, then on every turn a ``gpu`` line each and a ``tick``; ``found``
comes before a GPU's first one; ``state`` is its last word when the driver as a whole refuses.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mlconsole.domain.gpu import DriverState, GpuHealth, GpuReading, missing
from mlconsole.telemetry import codec
from mlconsole.telemetry.device import Device, DriverGone, Turn
from mlconsole.telemetry.marker import Marker
from mlconsole.telemetry.nvml import Nvml, Refusal
from mlconsole.telemetry.processes import ProcessTable
from mlconsole.telemetry.xid import XidWatch


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample until standard input ends."""
    options = _options(arguments)
    try:
        _sample(options)
    except DriverGone as gone:
        _say({"kind": "state", "state": gone.refusal.state.value, "detail": gone.refusal.word})
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - the worker's top: whoever listens must hear why it ended
        _say({"kind": "state", "state": DriverState.FAILED.value, "detail": _where(error)})
        return 1
    return 0


def _sample(options: argparse.Namespace) -> None:
    signal.alarm(options.give_up_s)
    nvml = Nvml()
    refused = nvml.open()
    if refused is not None:
        raise DriverGone(refused)
    _Rounds(nvml, options).run()


def _where(error: BaseException) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = f" at {os.path.basename(last.tb_frame.f_code.co_filename)}:{last.tb_lineno}" if last else ""
    return f"the sampler failed: {error!r}{place}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="")
    parser.add_argument("--interval-s", type=float, default=1.0)
    parser.add_argument("--medium-s", type=float, default=5.0, help="seconds between the slower figures")
    parser.add_argument("--slow-s", type=float, default=60.0, help="seconds between the slowest")
    parser.add_argument("--give-up-s", type=int, default=60, help="end when one turn takes longer")
    parser.add_argument("--marker", type=int, help="descriptor of the marker that the parent looks at")
    parser.add_argument("--avoid", type=int, action="append", default=[], help="index of a GPU to leave alone")
    return parser.parse_args(arguments)


class _Rounds:
    def __init__(self, nvml: Nvml, options: argparse.Namespace) -> None:
        self._nvml, self._options = nvml, options
        self._watch = XidWatch(nvml)
        self._medium_at = self._slow_at = 0.0
        self._number = 0
        self._devices: list[Device] = []
        self._marker = None if options.marker is None else Marker(options.marker)
        self._unsaid: list[bytes] = []

    def run(self) -> None:
        self._devices = self._count()
        due = time.monotonic()
        while True:
            # A turn that hangs ends this process, whether or not somebody is left who would.
            signal.alarm(self._options.give_up_s)
            self._turn()
            signal.alarm(0)
            due = max(due + self._options.interval_s, time.monotonic())
            if _is_over(due):
                return

    def _count(self) -> list[Device]:
        version = self._checked(self._nvml.ask("nvmlSystemGetDriverVersion"))
        count = self._checked(self._nvml.ask("nvmlDeviceGetCount"))
        total = 0 if isinstance(count, Refusal) else count
        _say({"kind": "hello", "driver": "" if isinstance(version, Refusal) else str(version), "count": total})
        table = ProcessTable()
        return [Device(self._nvml, index, self._options.host, table) for index in range(total)]

    def _has_lost_one(self) -> bool:
        return any(each.handle is None for each in self._devices if each.index not in self._options.avoid)

    def _has_more(self) -> bool:
        """Whether the driver counts GPUs that were not there at first."""
        count = self._checked(self._nvml.ask("nvmlDeviceGetCount"))
        return not isinstance(count, Refusal) and count > len(self._devices)

    def _open_anew(self) -> None:
        """Open the driver anew: a GPU that was lost and reset, or that is new, is found by a fresh library only."""
        self._nvml.close()
        refused = self._nvml.open()
        if refused is not None:
            raise DriverGone(refused)
        self._watch = XidWatch(self._nvml)

    def _checked(self, answer: Any) -> Any:
        if isinstance(answer, Refusal) and answer.ends_driver:
            raise DriverGone(answer)
        return answer

    def _turn(self) -> None:
        now_s, calls = time.monotonic(), self._nvml.calls
        turn = self._due(now_s)
        if turn.is_slow and self._number:
            if self._has_more():
                self._open_anew()
                self._devices = self._count()
            elif self._has_lost_one():
                self._open_anew()
                for device in self._devices:
                    device.renew()
        for device in self._devices:
            if self._marker is not None:
                self._marker.index = device.index
            self._tell({"kind": "gpu", **codec.encode(self._read(device, turn))})
        if self._marker is not None:
            self._marker.index = None
        if turn.is_medium:
            self._watch.watch(each for each in self._devices if each.index not in self._options.avoid)
            self._watch.collect(datetime.now(UTC))
        self._number += 1
        self._unsaid.append(_line({"kind": "tick", "number": self._number, "calls": self._nvml.calls - calls}))
        _write(b"".join(self._unsaid))
        self._unsaid.clear()

    def _tell(self, message: dict[str, object]) -> None:
        """Say it, with the rest of the turn where the marker tells how far that has come."""
        if self._marker is None or not self._number:
            _say(message)
        else:
            self._unsaid.append(_line(message))

    def _read(self, device: Device, turn: Turn) -> GpuReading:
        at = datetime.now(UTC)
        if device.index in self._options.avoid:
            unread = missing(GpuHealth.HUNG.words)
            return GpuReading(self._options.host, device.index, "", "", at, health=GpuHealth.HUNG, processes=unread)
        if device.find(turn):
            # Said before anything else is asked: who hangs on the next call is known by name, and so is the run on it.
            _say({"kind": "found", "index": device.index, "uuid": device.uuid, "name": device.name})
        return device.read(time.monotonic(), at, turn)

    def _due(self, now_s: float) -> Turn:
        turn = Turn(now_s >= self._medium_at, now_s >= self._slow_at)
        early_s = self._options.interval_s / 2
        if turn.is_medium:
            self._medium_at = now_s + self._options.medium_s - early_s
        if turn.is_slow:
            self._slow_at = now_s + self._options.slow_s - early_s
        return turn


def _is_over(until_s: float) -> bool:
    """Wait for the next turn; True when standard input has ended: nobody is left who would read."""
    while True:
        left_s = max(0.0, until_s - time.monotonic())
        ready, _, _ = select.select([0], [], [], left_s)
        if not ready:
            return False
        if not os.read(0, 4096):
            return True


def _say(message: dict[str, object]) -> None:
    _write(_line(message))


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    sys.exit(main())
