"""Numbers, times, durations, sizes and money as people read them: with units and a fixed precision."""

from __future__ import annotations

import math
from datetime import datetime


def number(value: float | None) -> str:
    """A metric or param value in at most eight characters or so, four significant digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**9 else f"{value:.4g}" if abs(value) < 10**300 else str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    if value == 0 or 1e-4 <= size < 1e5:
        return f"{value:.4g}" if size < 1000 else f"{value:,.1f}"
    return f"{value:.3e}"


def measured(value: float | None) -> str:
    """A metric in a column of such: zeros at its end stay, so that decimals stand in line; 12.0 epochs are 12."""
    if isinstance(value, float) and (value == 0 or 0.01 <= abs(value) < 999.95):
        is_whole = value.is_integer() and abs(value) > 1
        return number(value) if is_whole else f"{value:#.4g}"
    return number(value)


def counted(count: int, thing: str) -> str:
    """``1 file``, ``1,000 files``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


_SIZES = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: float | None) -> str:
    """``12s``, ``3m05s``, ``2h14m``, ``3d04h``, and from a hundred days on ``100d``: never more than seven cells."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    days = whole // 86_400
    return f"{days}d{whole % 86_400 // 3600:02}h" if days < 100 else f"{days}d"


def age(seconds: float) -> str:
    """How old something is, coarse: ``35s`` in steps of five, then ``12m``, ``3h``, ``2d``."""
    if seconds < 60:
        return f"{max(5, -(-int(seconds) // 5) * 5)}s"
    return next(f"{int(seconds) // size}{unit}" for unit, size in _SIZES if seconds >= size)


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, coarse: ``now``, ``42s ago``, ``5m ago``, ``3h ago``, ``2d ago``, or the date beyond a month."""
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    if seconds < 1:
        return "now"
    for unit, size in _SIZES:
        if seconds >= size:
            count = int(seconds // size)
            return moment.strftime("%Y-%m-%d") if unit == "d" and count > 30 else f"{count}{unit} ago"
    return "now"


def money(microusd: int | None) -> str:
    """``$1,234.56``; empty when the cost is not known."""
    return "" if microusd is None else f"${microusd / 1_000_000:,.2f}"


def size(count: int | None) -> str:
    """Bytes in binary units: ``512 B``, ``1.4 MiB``."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
