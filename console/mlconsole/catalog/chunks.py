"""The bytes of metric histories: points packed into chunks, and thinned into buckets.

A chunk holds up to 4,096 consecutive points of one metric from one writer: values and times as little-endian
float64, steps as int64 unless they are ``step_first + i * stride``. Beside them stand buckets: for every 128 points
(step, time, low, high, last, gaps) as six float64, enough to draw a chart without reading the points.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

CHUNK = 4096
BUCKET = 128
LARGEST = (1 << 63) - 1
_BUCKET = struct.Struct("<6d")


class Points(NamedTuple):
    """Columns of consecutive points: ``steps`` (int64), ``times`` (seconds since the epoch) and ``values``."""

    steps: array[int]
    times: array[float]
    values: array[float]

    @classmethod
    def none(cls) -> Points:
        """No points."""
        return cls(array("q"), array("d"), array("d"))

    def extend(self, more: Points) -> None:
        """Add points behind these."""
        self.steps.extend(more.steps)
        self.times.extend(more.times)
        self.values.extend(more.values)


def pack(points: Points) -> Iterator[dict[str, object]]:
    """The columns of each chunk that the points make."""
    for start in range(0, len(points.values), CHUNK):
        end = start + CHUNK
        yield _chunk(points.steps[start:end], points.times[start:end], points.values[start:end])


def _chunk(steps: array[int], times: array[float], values: array[float]) -> dict[str, object]:
    stride = stride_of(steps)
    return {
        "count": len(values),
        "step_first": steps[0],
        "stride": stride,
        "buckets": b"".join([_bucket(steps, times, values, i) for i in range(0, len(values), BUCKET)]),
        "vals": values.tobytes(),
        "times": times.tobytes(),
        "steps": steps.tobytes() if stride is None else None,
    }


def stride_of(steps: array[int]) -> int | None:
    """The distance between all neighbours, None when it varies (or fits no column)."""
    if len(steps) < 2:
        return 0
    stride = steps[1] - steps[0]
    if abs(stride) > LARGEST or steps[-1] - steps[0] != stride * (len(steps) - 1):
        return None
    expected = array("q", range(steps[0], steps[-1] + (1 if stride > 0 else -1), stride) if stride else [steps[0]])
    if not stride:
        expected *= len(steps)
    return stride if steps == expected else None


def unpack(count: int, step_first: int, stride: int | None, vals: bytes, times: bytes, steps: bytes | None) -> Points:
    """The points of a stored chunk."""
    out = Points.none()
    if steps is not None:
        out.steps.frombytes(steps)
    elif stride:
        out.steps.extend(range(step_first, step_first + stride * count, stride))
    else:
        out.steps.extend([step_first] * count)
    out.times.frombytes(times)
    out.values.frombytes(vals)
    return out


def floats_of(blobs: Iterable[bytes]) -> array[float]:
    """The float64 numbers of many blobs, one after the other."""
    out = array("d")
    for blob in blobs:
        out.frombytes(blob)
    return out


def steps_of(rows: Iterable[tuple[Any, ...]]) -> Sequence[int]:
    """The steps of stored chunks (count, step_first, stride, vals, times, steps), one after the other.

    One range where they go on evenly throughout, as most do, which takes no time at all.
    """
    parts: list[range | array[int]] = []
    for count, first, stride, _, _, blob in rows:
        part = _chunk_steps(count, first, stride, blob)
        before = parts[-1] if parts else None
        if isinstance(part, range) and isinstance(before, range) and _goes_on(before, part):
            parts[-1] = range(before.start, before.stop + before.step * count, before.step)
        else:
            parts.append(part)
    if len(parts) == 1:
        return parts[0]
    out = array("q")
    for part in parts:
        out.extend(part)
    return out


def _goes_on(before: range, part: range) -> bool:
    return part.start == before.stop and (part.step == before.step or len(part) == 1)


def _chunk_steps(count: int, first: int, stride: int | None, blob: bytes | None) -> range | array[int]:
    """The steps of one chunk; a range where they differ."""
    if blob is not None:
        irregular = array("q")
        irregular.frombytes(blob)
        return irregular
    if stride:
        return range(first, first + stride * count, stride)
    return range(first, first + 1) if count == 1 else array("q", [first]) * count


def _bucket(steps: array[int], times: array[float], values: array[float], start: int) -> bytes:
    part = values[start : start + BUCKET]
    low, high, gaps = extremes(part)
    return _BUCKET.pack(
        steps[start], times[start], math.nan if low is None else low, math.nan if high is None else high, part[-1], gaps
    )


def extremes(values: array[float]) -> tuple[float | None, float | None, int]:
    """Lowest and highest finite value (None if there is none), and how many are NaN or infinite."""
    if math.isfinite(sum(values)):
        return min(values), max(values), 0
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None, None, len(values)
    return min(finite), max(finite), len(values) - len(finite)
