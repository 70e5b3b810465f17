"""The figures that the driver gives many at a time: one call a GPU, with an answer of its own for each."""

from __future__ import annotations

from collections.abc import Callable

from mlconsole.telemetry.nvml import ALL_LINKS, Field, Refusal

#: Field ids and scopes of nvml.h. The instantaneous power takes microseconds to read, the averaged one milliseconds.
FAST_FIELDS = {
    "power_w": (186, 0),
    "energy_j": (83, 0),
    "pcie_tx_bytes_per_s": (197, 0),
    "pcie_rx_bytes_per_s": (198, 0),
    "nvlink_tx_bytes_per_s": (138, ALL_LINKS),
    "nvlink_rx_bytes_per_s": (139, ALL_LINKS),
}
SLOW_FIELDS = {"memory_temperature_c": (82, 0), "ecc_corrected": (3, 0), "ecc_uncorrected": (4, 0)}
COUNTERS = {
    "pcie_tx_bytes_per_s": 1.0,
    "pcie_rx_bytes_per_s": 1.0,
    "nvlink_tx_bytes_per_s": 1024.0,
    "nvlink_rx_bytes_per_s": 1024.0,
}
SCALES = {"power_w": 1e-3, "energy_j": 1e-3}
NARROWEST_COUNTER_BITS = 48
TOO_NARROW = "the counter is too narrow"
Wanted = list[tuple[int, int]]
Ask = Callable[[object, Wanted], "list[Field | Refusal] | Refusal"]
#: A figure or None, when it was read, and the word why there is none.
HeldValue = tuple[object, float, str]


def held(answer: object, now_s: float) -> HeldValue:
    """A figure to keep; a refusal replaces it, because an old figure would look like a new one."""
    return (None, now_s, answer.word) if isinstance(answer, Refusal) else (answer, now_s, "")


class Batch:
    """Reads the fields of one GPU that it has, and turns its counters into rates.

    Args:
        ask: reads many fields of a handle in one call.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._refused: set[str] = set()
        self._counted: dict[str, tuple[float, float]] = {}
        self._narrow: set[str] = set()

    def read(self, handle: object, now_s: float, *, is_slow: bool) -> dict[str, HeldValue]:
        """The figures of this turn, by name."""
        wanted = {**FAST_FIELDS, **SLOW_FIELDS} if is_slow else FAST_FIELDS
        names = [name for name in wanted if name not in self._refused]
        answers = self._ask(handle, [wanted[name] for name in names]) if names else []
        each = [answers] * len(names) if isinstance(answers, Refusal) else answers
        return {name: self._value(name, answer, now_s) for name, answer in zip(names, each, strict=True)}

    def has_no(self, name: str) -> bool:
        """True when the GPU has refused that field for good."""
        return name in self._refused

    def forget(self) -> None:
        """Ask again for everything, and begin the rates anew."""
        self._refused.clear()
        self._counted.clear()
        self._narrow.clear()

    def _value(self, name: str, answer: Field | Refusal, now_s: float) -> HeldValue:
        if isinstance(answer, Refusal):
            if answer.is_for_good:
                self._refused.add(name)
            return held(answer, now_s)
        if name not in COUNTERS:
            return held(answer.number * SCALES.get(name, 1.0), now_s)
        if answer.bits < NARROWEST_COUNTER_BITS or name in self._narrow:
            # At 60 GB/s a 32-bit counter of bytes begins anew fifteen times a second: its rate cannot be known.
            return None, now_s, TOO_NARROW
        return self._rate(name, answer.number * COUNTERS[name], now_s)

    def _rate(self, name: str, count: float, now_s: float) -> HeldValue:
        before = self._counted.get(name)
        self._counted[name] = (count, now_s)
        if before is None or now_s <= before[1]:
            return None, now_s, "needs two readings"
        if count < before[0]:
            if before[0] < COUNTERS[name] * 2**32:
                # "Value can be wrapped" (nvml.h): 32 bits of the 64 that it is handed over in.
                self._narrow.add(name)
                return None, now_s, TOO_NARROW
            return None, now_s, "the counter began anew"
        return held((count - before[0]) / (now_s - before[1]), now_s)
