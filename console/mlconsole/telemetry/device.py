"""Reads one GPU: a few calls on every turn, more on the slower ones, and none twice that was refused for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from mlconsole.domain.gpu import (
    FIGURES,
    NOT_READ,
    GpuHealth,
    GpuReading,
    Value,
    XidEvent,
)
from mlconsole.records import record
from mlconsole.telemetry.fields import Batch, HeldValue, held
from mlconsole.telemetry.holders import Holders
from mlconsole.telemetry.mig import Slices
from mlconsole.telemetry.nvml import (
    GPU_NOT_FOUND_CODE,
    NOT_FOUND_CODE,
    NOT_SUPPORTED_CODE,
    Nvml,
    Refusal,
)
from mlconsole.telemetry.processes import ProcessTable

MIB = 1 << 20
MOST_XIDS = 16

CLOCK_SM, CLOCK_MEMORY = 1, 2
THROTTLES = {
    0x2: "clocks set by a program",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "synchronised with other GPUs",
    0x20: "too hot, slowed by the driver",
    0x40: "too hot, slowed by the hardware",
    0x80: "power brake",
    0x100: "display clock setting",
}


@record
class Turn:
    """What is read this time beyond the fast figures."""

    is_medium: bool = False
    is_slow: bool = False


class DriverGone(Exception):
    """The driver as a whole refused; this process cannot read any more."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.word)
        self.refusal = refusal


class _GpuGone(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.word)
        self.refusal = refusal


class Device:
    """One GPU, found by its index and afterwards by its uuid.

    Attributes:
        handle: the driver's handle, None while the GPU cannot be reached.
        uuid: empty until it was read once, as is its name.
        xids: the last errors that the driver reported for it.
    """

    def __init__(self, nvml: Nvml, index: int, host: str, table: ProcessTable) -> None:
        self._nvml, self.index, self._host = nvml, index, host
        self.handle: Any = None
        self.uuid = self.name = ""
        self.xids: tuple[XidEvent, ...] = ()
        self._health = GpuHealth.OK
        self._values: dict[str, HeldValue] = {}
        self._refused: set[str] = set()
        self._batch = Batch(lambda handle, wanted: self._checked(nvml.fields(handle, wanted)))
        self._answered = self._tried = False
        self._slices = Slices(self._ask)
        self._holders = Holders(nvml, self._once, table)

    def find(self, turn: Turn) -> bool:
        """Look the GPU up where it is not known and this turn is one for that; True when it was found.

        Raises:
            DriverGone: no call of this process can succeed any more.
        """
        if self.handle is not None or not (turn.is_medium or not self._tried):
            return False
        try:
            self._find()
        except _GpuGone as gone:
            self._lose(gone.refusal)
        return self.handle is not None

    def read(self, now_s: float, at: datetime, turn: Turn) -> GpuReading:
        """Read what this turn asks for; ``now_s`` is a clock that never jumps, ``at`` the time of day.

        Raises:
            DriverGone: no call of this process can succeed any more.
        """
        try:
            if self.handle is not None:
                self._read(now_s, at, turn)
        except _GpuGone as gone:
            self._lose(gone.refusal)
        return self._reading(now_s, at)

    def add_xid(self, event: XidEvent) -> None:
        """Note an error that the driver reported."""
        self.xids = (*self.xids, event)[-MOST_XIDS:]

    def renew(self) -> None:
        """Look the GPU up again at the next reading: the library has been opened anew."""
        self.handle, self._tried = None, False

    def _find(self) -> None:
        """Find the GPU; once its uuid is known by that alone, because indices move up when a GPU is gone."""
        self._tried = True
        if self.uuid:
            found = self._nvml.ask("nvmlDeviceGetHandleByUUID", self.uuid)
            if isinstance(found, Refusal) and found.code == NOT_FOUND_CODE:
                found = Refusal(GPU_NOT_FOUND_CODE)
        else:
            found = self._nvml.ask("nvmlDeviceGetHandleByIndex", self.index)
        if isinstance(found, Refusal):
            self._lose(found)
            return
        self.handle = found
        self._forget()
        self.uuid = self._text("nvmlDeviceGetUUID") or self.uuid
        self.name = self._text("nvmlDeviceGetName") or self.name

    def _forget(self) -> None:
        self._refused.clear()
        self._batch.forget()

    def _lose(self, refusal: Refusal) -> None:
        if refusal.ends_driver:
            raise DriverGone(refusal)
        self.handle, self._health = None, refusal.health
        self._batch.forget()
        self._values = dict.fromkeys((*FIGURES, "throttle", "processes", "mig"), (None, 0.0, refusal.word))

    def _read(self, now_s: float, at: datetime, turn: Turn) -> None:
        self._answered, self._health = False, GpuHealth.OK
        self._fast(now_s, turn)
        if turn.is_slow:
            self._slow(now_s)
        if turn.is_medium:
            self._medium(now_s)
            self._holders.look_closer(self.handle, now_s, at)
        self._hold("processes", self._holders.read(self.handle, self._slices, now_s), now_s)
        if self._answered:
            self._health = GpuHealth.OK

    def _fast(self, now_s: float, turn: Turn) -> None:
        rates = self._ask("utilization", "nvmlDeviceGetUtilizationRates", self.handle)
        self._hold("utilization_percent", _part(rates, lambda r: float(r.gpu)), now_s)
        memory = self._memory(self.handle)
        self._hold("memory_used_mib", _part(memory, lambda m: m.used / MIB), now_s)
        self._hold("memory_total_mib", _part(memory, lambda m: m.total / MIB), now_s)
        self._values |= self._batch.read(self.handle, now_s, is_slow=turn.is_slow)
        if self._batch.has_no("power_w"):
            power = self._ask("power", "nvmlDeviceGetPowerUsage", self.handle)
            self._hold("power_w", _part(power, lambda p: p / 1000), now_s)

    def _memory(self, handle: object) -> Any:
        version = self._nvml.constant("nvmlMemory_v2")
        answer = self._ask("memory v2", "nvmlDeviceGetMemoryInfo", handle, version=version)
        if isinstance(answer, Refusal) and answer.is_for_good:
            return self._ask("memory", "nvmlDeviceGetMemoryInfo", handle)
        return answer

    def _medium(self, now_s: float) -> None:
        for name, clock in (("sm_clock_mhz", CLOCK_SM), ("memory_clock_mhz", CLOCK_MEMORY)):
            answer = self._ask(name, "nvmlDeviceGetClockInfo", self.handle, clock)
            self._hold(name, _part(answer, float), now_s)
        temperature = self._ask("temperature_c", "nvmlDeviceGetTemperature", self.handle, 0)
        self._hold("temperature_c", _part(temperature, float), now_s)
        bits = self._ask("clock events", "nvmlDeviceGetCurrentClocksEventReasons", self.handle)
        if isinstance(bits, Refusal) and bits.is_for_good:
            bits = self._ask("throttle", "nvmlDeviceGetCurrentClocksThrottleReasons", self.handle)
        self._hold("throttle", _part(bits, _words), now_s)
        self._hold("mig", self._slices.read(self._memory), now_s)

    def _slow(self, now_s: float) -> None:
        limit = self._ask("power_limit_w", "nvmlDeviceGetEnforcedPowerLimit", self.handle)
        self._hold("power_limit_w", _part(limit, lambda p: p / 1000), now_s)
        if self._slices.find(self.handle):
            self._forget()

    def _ask(self, metric: str, name: str, *arguments: object, **options: object) -> Any:
        return self._once(metric, lambda: self._nvml.ask(name, *arguments, **options))

    def _once(self, metric: str, call: Callable[[], Any]) -> Any:
        """What the call answers; it is not made when the metric was refused for good before."""
        if metric in self._refused:
            return Refusal(NOT_SUPPORTED_CODE)
        answer = self._checked(call())
        if isinstance(answer, Refusal) and answer.is_for_good:
            self._refused.add(metric)
        return answer

    def _checked(self, answer: Any) -> Any:
        """The answer; one that ends the driver or this GPU leaves the turn instead."""
        if not isinstance(answer, Refusal):
            self._answered = True
        elif answer.ends_driver:
            raise DriverGone(answer)
        elif answer.ends_gpu:
            raise _GpuGone(answer)
        elif not answer.is_for_good and self._health is GpuHealth.OK:
            self._health = answer.health
        return answer

    def _text(self, name: str) -> str:
        answer = self._checked(self._nvml.ask(name, self.handle))
        if isinstance(answer, Refusal):
            return ""
        return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)

    def _hold(self, name: str, answer: object, now_s: float) -> None:
        """Keep a figure; a refusal replaces it, because an old figure would look like a new one."""
        self._values[name] = held(answer, now_s)

    def _reading(self, now_s: float, at: datetime) -> GpuReading:
        values: dict[str, Any] = {}
        for name in (*FIGURES, "throttle", "processes", "mig"):
            value, read_at_s, why = self._values.get(name, (None, now_s, NOT_READ))
            values[name] = Value(value, round(now_s - read_at_s, 3) if why == "" else 0.0, why)
        return GpuReading(
            self._host,
            self.index,
            self.uuid,
            self.name,
            at,
            health=self._health,
            xids=self.xids,
            **values,
        )


def _part(answer: Any, take: Any) -> Any:
    return answer if isinstance(answer, Refusal) else take(answer)


def _words(bits: int) -> tuple[str, ...]:
    return tuple(words for bit, words in THROTTLES.items() if bits & bit)
