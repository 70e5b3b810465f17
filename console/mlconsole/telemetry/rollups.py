"""Folds live readings into buckets of ten seconds, to be kept when they are over."""

from __future__ import annotations

from mlconsole.domain.gpu import GpuReading, GpuSnapshot
from mlconsole.domain.gpu_history import KEPT_FIGURES, WIDTHS_S, Bucket, PastGpu, Stat

WIDTH_S = WIDTHS_S[0]
FRESH_S = 3.0


class Fold:
    """Takes snapshots, gives buckets. Holds at most one open bucket a GPU.

    Args:
        fresh_s: the age up to which a reading counts.
    """

    def __init__(self, fresh_s: float = FRESH_S) -> None:
        self._fresh_s = fresh_s
        self._open: dict[PastGpu, _OpenBucket] = {}
        self._energy_j: dict[PastGpu, float] = {}
        self._number = -1

    def add(self, snapshot: GpuSnapshot, now_s: float) -> list[Bucket]:
        """Fold a snapshot in; returns the buckets that are over. Old readings and repeated snapshots add nothing."""
        start_s = int(now_s // WIDTH_S) * WIDTH_S
        closed = [each.close() for each in self._open.values() if each.start_s != start_s]
        self._open = {gpu: each for gpu, each in self._open.items() if each.start_s == start_s}
        if snapshot.number != self._number:
            self._number = snapshot.number
            for reading in snapshot.gpus:
                if reading.age_s <= self._fresh_s and reading.uuid:
                    self._fold(reading, start_s)
        return closed

    def close(self) -> list[Bucket]:
        """The buckets that are still open, to be kept before the end; what follows is folded anew."""
        closed = [each.close() for each in self._open.values()]
        self._open.clear()
        return closed

    def _fold(self, reading: GpuReading, start_s: int) -> None:
        gpu = PastGpu(reading.host, reading.uuid, reading.name, reading.source)
        bucket = self._open.setdefault(gpu, _OpenBucket(gpu, start_s))
        bucket.add(reading, self._used_j(gpu, reading))

    def _used_j(self, gpu: PastGpu, reading: GpuReading) -> float | None:
        """Joules since the reading before; None when the counter is unknown, new or began anew."""
        now_j = reading.energy_j.value
        before_j = self._energy_j.pop(gpu, None)
        if now_j is None:
            return None
        self._energy_j[gpu] = now_j
        return now_j - before_j if before_j is not None and now_j >= before_j else None


class _OpenBucket:
    def __init__(self, gpu: PastGpu, start_s: int) -> None:
        self.start_s = start_s
        self._gpu = gpu
        self._stats = dict.fromkeys(KEPT_FIGURES, Stat())
        self._energy_j: float | None = None

    def add(self, reading: GpuReading, used_j: float | None) -> None:
        for name in KEPT_FIGURES:
            value = reading.figure(name).value
            if value is not None:
                self._stats[name] = self._stats[name].with_value(value)
        if used_j is not None:
            self._energy_j = (self._energy_j or 0.0) + used_j

    def close(self) -> Bucket:
        return Bucket(self._gpu, self.start_s, WIDTH_S, self._stats, self._energy_j)
