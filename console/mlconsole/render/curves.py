"""Metric histories as curves: in order of x, gaps told apart from points, ready to be drawn many times."""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from mlconsole.domain.histories import MetricBuckets, MetricHistory

COLOURS = 8
NAN, POSITIVE_INF, NEGATIVE_INF = "nan", "inf", "-inf"


class XAxis(Enum):
    """What the points of a chart are laid out by."""

    STEP = "step"
    TIME = "time"
    EPOCH = "epoch"


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The finite points of one metric of one run, and the places of the others.

    ``xs`` ascends; ``lows``, ``highs`` and ``values`` go with it (equal where nothing was thinned). ``breaks`` are
    indices with something not finite just before them. ``marks`` are (x, kind), kind one of ``nan``, ``inf``,
    ``-inf``. ``key`` decides colour and shape, ``name`` is foreign text.
    """

    key: str
    name: str
    xs: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    values: Sequence[float]
    breaks: frozenset[int]
    marks: tuple[tuple[float, str], ...]


def from_history(
    history: MetricHistory,
    name: str,
    axis: XAxis = XAxis.STEP,
    epochs: MetricHistory | None = None,
    origin: float | None = None,
) -> Curve:
    """A curve of every point. ``epochs`` is the run's ``epoch`` metric; without it steps stand for epochs.

    Time is counted from ``origin``, or else from the first point.
    """
    xs = _positions(history.steps, history.times, axis, epochs, origin)
    values = history.values
    return _curve(history.run_id, name, xs, values, values, values, [0] * len(values))


def from_buckets(
    buckets: MetricBuckets,
    name: str,
    axis: XAxis = XAxis.STEP,
    epochs: MetricHistory | None = None,
    origin: float | None = None,
) -> Curve:
    """A curve of a thinned metric: each bucket stands at its first point, with its extremes and its last value."""
    xs = _positions(buckets.steps, buckets.times, axis, epochs, origin)
    return _curve(buckets.run_id, name, xs, buckets.lows, buckets.highs, buckets.lasts, buckets.gaps)


def _positions(
    steps: Sequence[int],
    times: Sequence[float],
    axis: XAxis,
    epochs: MetricHistory | None,
    origin: float | None = None,
) -> Sequence[float]:
    if axis is XAxis.TIME:
        start = min(times, default=0.0) if origin is None else origin
        return [time - start for time in times]
    if axis is XAxis.EPOCH and epochs is not None and epochs.steps:
        return [_epoch_at(step, epochs.steps, epochs.values) for step in steps]
    return steps


def _epoch_at(step: int, steps: Sequence[int], values: Sequence[float]) -> float:
    """The epoch at a step, in a straight line between the two logged ones round it."""
    after = bisect_right(steps, step)
    if after == 0:
        return values[0]
    if after == len(steps) or steps[after] == steps[after - 1]:
        return values[after - 1]
    part = (step - steps[after - 1]) / (steps[after] - steps[after - 1])
    return values[after - 1] + part * (values[after] - values[after - 1])


def _curve(
    key: str,
    name: str,
    xs: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    lasts: Sequence[float],
    gaps: Sequence[int],
) -> Curve:
    if any(later < earlier for earlier, later in pairwise(xs)):
        order = sorted(range(len(xs)), key=xs.__getitem__)
        xs, lows, highs, lasts = ([column[i] for i in order] for column in (xs, lows, highs, lasts))
        gaps = [gaps[i] for i in order]
    if not any(gaps) and all(map(math.isfinite, lasts)):
        return Curve(key, name, xs, lows, highs, lasts, frozenset(), ())
    kept = [index for index, low in enumerate(lows) if math.isfinite(low) and math.isfinite(highs[index])]
    marks = tuple((xs[i], kind) for i in range(len(xs)) if (kind := _kind(lasts[i], gaps[i])))
    marked = [index for index in range(len(xs)) if _kind(lasts[index], gaps[index])]
    values = [lasts[i] if math.isfinite(lasts[i]) else highs[i] for i in kept]
    return Curve(
        key,
        name,
        [xs[i] for i in kept],
        [lows[i] for i in kept],
        [highs[i] for i in kept],
        values,
        _breaks(kept, marked),
        marks,
    )


def _kind(last: float, gaps: int) -> str:
    if math.isfinite(last):
        return NAN if gaps else ""
    if math.isnan(last):
        return NAN
    return POSITIVE_INF if last > 0 else NEGATIVE_INF


def _breaks(kept: Sequence[int], marked: Sequence[int]) -> frozenset[int]:
    """Indices into ``kept`` that have something in ``marked`` between them and the one before."""
    breaks = set()
    for mark in marked:
        after = bisect_right(kept, mark)
        if 0 < after < len(kept):
            breaks.add(after)
    return frozenset(breaks)


@lru_cache(maxsize=128)
def smoothed(curve: Curve, weight: float) -> Sequence[float]:
    """The exponential moving average of a curve's values, without its pull towards zero at the start.

    Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), section 3, for the correction.
    """
    out = []
    mean, left = 0.0, 1.0
    for value in curve.values:
        mean = weight * mean + (1.0 - weight) * value
        left *= weight
        out.append(mean / (1.0 - left))
    return out


def colours(keys: Iterable[str]) -> dict[str, int]:
    """A colour for each key: its own wherever that is free, the same whenever the same keys meet."""
    taken: dict[str, int] = {}
    for key in sorted(set(keys)):
        wanted = zlib.crc32(key.encode("utf-8", "surrogatepass")) % COLOURS
        free = [(wanted + step) % COLOURS for step in range(COLOURS)]
        used = set(taken.values())
        taken[key] = next((colour for colour in free if colour not in used), wanted)
    return taken
