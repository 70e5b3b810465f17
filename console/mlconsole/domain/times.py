"""Times and durations as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UTC = UTC
UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def parse_duration(text: str) -> float | None:
    """Seconds of ``90s``, ``2h30m``, ``1.5d``; a bare number is seconds; None if it is neither."""
    body = text.strip().lower()
    parts = _PART.findall(body)
    if parts and "".join(n + u for n, u in parts) == body:
        return sum(float(n) * UNIT_S[u] for n, u in parts)
    try:
        return float(body)
    except ValueError:
        return None


def parse_when(text: str, now: datetime) -> datetime | None:
    """A moment: ``2h ago``, ``2h`` or ``-2h`` (that long ago), ``now``, ``today``, ``yesterday``, an ISO date or time.

    A date without a zone is UTC. None when the text is none of these.
    """
    body = text.strip().lower()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if body in named:
        return named[body]
    length = body.removeprefix("-").removesuffix("ago").rstrip()
    if any(length.endswith(unit) for unit in UNIT_S):
        ago = parse_duration(length)
        if ago is not None and ago < 1e11:
            return now - timedelta(seconds=ago)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return round(moment.timestamp() * 1_000_000)


def from_us(value: int) -> datetime:
    """The aware UTC datetime of microseconds since the epoch."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a ``Z``, to the millisecond; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
