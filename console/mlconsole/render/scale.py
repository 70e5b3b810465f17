"""Scales of an axis: where a value stands, linear or logarithmic, and which values get a tick and a label."""

from __future__ import annotations

import math
from collections.abc import Callable

from mlconsole.records import record

Label = Callable[[float, float], str]
_NICE = (1.0, 2.0, 5.0, 10.0)
_NICE_TIMES_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_LOG_FLOOR = 1e-300
_MOST = 1e300
"""Where any scale ends: what is added or multiplied on the way to ticks must stay a number."""


@record
class Scale:
    """Maps ``low`` to 0 and ``high`` to 1. A logarithmic scale puts what is not positive at its lower end."""

    low: float
    high: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Where a finite value stands; below 0 or above 1 outside the scale."""
        if self.is_log:
            return (_log(value) - _log(self.low)) / (_log(self.high) - _log(self.low))
        return (value - self.low) / (self.high - self.low)

    def value(self, fraction: float) -> float:
        """The value that stands at a fraction."""
        if self.is_log:
            return math.pow(10.0, _log(self.low) + fraction * (_log(self.high) - _log(self.low)))
        return self.low + fraction * (self.high - self.low)

    def ticks(self, most: int, *, is_time: bool = False) -> list[float]:
        """At most ``most`` round values inside the scale."""
        if most < 1:
            return []
        if self.is_log:
            return _log_ticks(self.low, self.high, most)
        size = self.high - self.low
        # One more step than ticks fits where neither end is round.
        close = _inside(self.low, self.high, _step(size / (most + 1), is_time))
        return close if len(close) <= most else _inside(self.low, self.high, _step(size / most, is_time))


def fitted(low: float, high: float, *, is_log: bool = False) -> Scale:
    """A scale that holds both values, as far as they are no larger than 1e300, and is never of no width."""
    low, high = (min(max(value, -_MOST), _MOST) for value in (low, high))
    if is_log:
        high = max(high, _LOG_FLOOR * 100)
        low = min(max(low, _LOG_FLOOR), high)
        return Scale(low / 2, high * 2, True) if low >= high * 0.999 else Scale(low, high, True)
    if high - low <= abs(high) * 1e-12 or high <= low:
        if high == 0.0 == low:
            return Scale(0.0, 1.0)
        pad = abs(high) / 10
        return Scale(low - pad, high + pad)
    return Scale(low, high)


def number_label(value: float, step: float) -> str:
    """A tick's number, with as many digits as its step needs: ``0.25``, ``12k``, ``3e-05``."""
    size = abs(value)
    if value == 0:
        return "0"
    for factor, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4 if step < 1e3 else 1e3, "k")):
        if size >= factor:
            factor = min(factor, 1e3) if suffix == "k" else factor
            return f"{_digits(value / factor, step / factor)}{suffix}" if size < 1e15 else f"{value:.3g}"
    return f"{value:.2g}" if size < 1e-3 else _digits(value, step)


def time_label(value: float, step: float) -> str:
    """A tick's duration: ``0``, ``45s``, ``5m``, ``1h30m``, ``2d``; ``-5m`` is five minutes before."""
    if value < 0:
        later = time_label(-value, step)
        return later if later == "0" else f"-{later}"
    seconds = round(value)
    if seconds == 0:
        return "0" if step >= 1 else f"{value:.2g}s"
    parts = [(seconds // 86400, "d"), (seconds % 86400 // 3600, "h"), (seconds % 3600 // 60, "m"), (seconds % 60, "s")]
    shown = [f"{count}{unit}" for count, unit in parts if count]
    return "".join(shown[:2])


def _log(value: float) -> float:
    return math.log10(value) if value > _LOG_FLOOR else math.log10(_LOG_FLOOR)


def _digits(value: float, step: float) -> str:
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value:.{min(places, 6)}f}"


def _step(raw: float, is_time: bool) -> float:
    if is_time and 0.5 < raw <= _NICE_TIMES_S[-1]:
        return next(step for step in _NICE_TIMES_S if step >= raw)
    unit = 86400.0 if is_time and raw > 1 else 1.0
    power = 10.0 ** math.floor(math.log10(raw / unit))
    return unit * next(nice * power for nice in _NICE if nice * power >= raw / unit * 0.999999)


def _inside(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(_log(low) - 1e-9), math.floor(_log(high) + 1e-9)
    decades = list(range(first, last + 1))
    if len(decades) < 2:
        fine = [mantissa * 10.0**power for power in range(first - 1, last + 2) for mantissa in (1, 2, 5)]
        inside = [value for value in fine if low <= value <= high]
        return inside[:most] if len(inside) > 1 else _inside(low, high, _step((high - low) / most, False))
    every = -(-len(decades) // most)
    return [10.0**power for power in decades[::every]]
