"""A GPU's past: its figures folded into buckets of ten seconds, five minutes and an hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlconsole.domain.gpu import Source
from mlconsole.records import record

#: The widths of the buckets in seconds; each is a multiple of the one before.
WIDTHS_S = (10, 300, 3600)
#: The figures that have a past.
KEPT_FIGURES = ("utilization_percent", "memory_used_mib", "power_w", "temperature_c")


@record
class Stat:
    """A figure over one bucket. ``count`` 0: it was never known; ``least`` and ``most`` then say nothing."""

    count: int = 0
    total: float = 0.0
    least: float = 0.0
    most: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean of what was known; None when nothing was."""
        return self.total / self.count if self.count else None

    def with_value(self, value: float) -> Stat:
        """One value more."""
        return self.joined(Stat(1, value, value, value))

    def joined(self, other: Stat) -> Stat:
        """Both together."""
        if not self.count or not other.count:
            return self if self.count else other
        return Stat(
            self.count + other.count,
            self.total + other.total,
            min(self.least, other.least),
            max(self.most, other.most),
        )


@record
class PastGpu:
    """A GPU that has a past. ``source`` must be said wherever it is shown, unless it is ``NVML``."""

    host: str
    uuid: str
    name: str
    source: Source


@record
class Bucket:
    """One GPU over ``width_s`` seconds from ``start_s`` (seconds since the epoch, a multiple of the width).

    ``energy_j`` is what it used meanwhile by its own counter; None when that was never known.
    """

    gpu: PastGpu
    start_s: int
    width_s: int
    stats: Mapping[str, Stat]
    energy_j: float | None = None


@record
class PastPoint:
    """One figure over one bucket, ready for a chart."""

    start_s: int
    mean: float
    least: float
    most: float
    count: int


def thinned(points: Sequence[PastPoint], width_s: int, parts: int) -> list[PastPoint]:
    """The points in buckets that are ``parts`` times as wide."""
    wide: dict[int, list[PastPoint]] = {}
    for point in points:
        wide.setdefault(point.start_s // (width_s * parts) * (width_s * parts), []).append(point)
    return [_joined(start_s, each) for start_s, each in wide.items()]


def _joined(start_s: int, points: Sequence[PastPoint]) -> PastPoint:
    count = sum(point.count for point in points)
    mean = sum(point.mean * point.count for point in points) / count
    return PastPoint(start_s, mean, min(p.least for p in points), max(p.most for p in points), count)
