"""Charts of what GPUs did: from the least to the most of each bucket of their past, with gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlconsole.actions.gpu import SPANS_S
from mlconsole.actions.gpu_use import GpuUse
from mlconsole.catalog.gpu_rollups import KEPT_S, GpuHistory
from mlconsole.domain.gpu_history import PastGpu, PastPoint
from mlconsole.domain.histories import MetricBuckets
from mlconsole.tui.widgets.chart_sheet import ChartData, Series

TITLES = {
    "utilization_percent": "use (%)",
    "memory_used_mib": "memory (GiB)",
    "power_w": "power (W)",
    "temperature_c": "temperature (C)",
}
PARTS = {"memory_used_mib": 1 / 1024}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in seconds since the epoch, and the width of the buckets that it is drawn from."""

    start_s: int
    end_s: int
    width_s: int


def span(start_s: float, end_s: float, now_s: float) -> Span:
    """The stretch with the narrowest buckets that are still kept of it, and few enough to draw."""
    for width_s, most_s in SPANS_S:
        if end_s - start_s <= most_s and now_s - start_s <= KEPT_S[width_s]:
            break
    return Span(int(start_s) // width_s * width_s, int(end_s) + 1, width_s)


def charts(
    past: GpuHistory | GpuUse, gpus: Iterable[tuple[PastGpu, str]], over: Span, *, is_back: bool = False
) -> tuple[ChartData, ...]:
    """A chart for each figure that these GPUs have a past of, each GPU under its own name.

    Time is counted from the stretch's begin, or where ``is_back``, back from its end.
    """
    known = list(gpus)
    origin = float(over.end_s if is_back else over.start_s)
    out = []
    for figure, title in TITLES.items():
        series = []
        for gpu, name in known:
            points = past.points(gpu, figure, over.start_s, over.end_s, over.width_s)
            if points:
                buckets = _buckets(gpu, figure, points, over.width_s)
                series.append(Series(name, buckets, origin=origin))
        if series:
            out.append(ChartData(f"{title}{_note(known)}", tuple(series)))
    return tuple(out)


def _note(gpus: Sequence[tuple[PastGpu, str]]) -> str:
    """Whatever is not of a live GPU says so."""
    sources = sorted({gpu.source.value for gpu, _ in gpus} - {"nvml"})
    return f"  [{', '.join(sources)}]" if sources else ""


def _buckets(gpu: PastGpu, figure: str, points: Sequence[PastPoint], width_s: int) -> MetricBuckets:
    part = PARTS.get(figure, 1.0)
    rows: list[tuple[int, float, float, float, int]] = []
    for before, point in zip([None, *points], points, strict=False):
        if before is not None and point.start_s - before.start_s > 2 * width_s:
            middle = (before.start_s + point.start_s) // 2
            rows.append((middle, float("nan"), float("nan"), float("nan"), 1))
        rows.append((point.start_s, point.least * part, point.most * part, point.mean * part, 0))
    starts, lows, highs, means, gaps = (list(column) for column in zip(*rows, strict=True))
    return MetricBuckets(gpu.uuid, figure, starts, [float(s) for s in starts], lows, highs, means, gaps, len(rows))
