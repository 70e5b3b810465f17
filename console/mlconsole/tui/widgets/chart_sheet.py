"""Many charts on one sheet: which run's metric is in which chart, where each stands, and what part of x all show."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlconsole.domain.histories import MetricBuckets, MetricHistory
from mlconsole.render.chart import Canvas, ChartSpec, View, draw
from mlconsole.render.curves import Curve, XAxis, from_buckets, from_history
from mlconsole.render.raster import Dots
from mlconsole.render.scale import Scale, fitted

Points = MetricBuckets | MetricHistory
SMOOTHINGS = (0.0, 0.6, 0.9, 0.97)
EPOCH_KEY = "epoch"
_LEAST_WIDTH = 48
_LEAST_HEIGHT = 10
_GAP = 2
_CLOSEST = 1e-6  # The smallest part of the whole x that can be zoomed to.


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one run.

    ``epochs`` is the same run's ``epoch`` metric, where it has one. ``origin`` is where time is counted from, in
    seconds since the epoch; the first point where it is not given.
    """

    name: str
    points: Points
    epochs: Points | None = None
    origin: float | None = None


@dataclass(frozen=True, slots=True)
class ChartData:
    """One chart: its title, usually a metric's key, and what is drawn over each other in it."""

    title: str
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chart stands on the sheet, in cells."""

    index: int
    x: int
    y: int
    width: int
    height: int


def of_run(name: str, metrics: Sequence[Points]) -> list[ChartData]:
    """A chart for each metric of one run, by key; ``epoch`` itself is an axis, not a chart, unless it is alone."""
    epochs = next((one for one in metrics if one.key == EPOCH_KEY), None)
    shown = [one for one in metrics if one is not epochs] or list(metrics)
    return [ChartData(one.key, (Series(name, one, epochs),)) for one in sorted(shown, key=lambda one: one.key)]


def places(count: int, first: int, width: int, height: int) -> list[Place]:
    """Stand charts in rows from chart ``first`` on, as many as fit, each as large as that leaves room for."""
    across = max(1, min(count, (width + _GAP) // (_LEAST_WIDTH + _GAP)))
    down_all = -(-count // across)
    down = max(1, min(down_all, height // _LEAST_HEIGHT))
    cell_width = (width - _GAP * (across - 1)) // across
    cell_height = height // down
    out = []
    for index in range(first, min(count, first + across * down)):
        row, column = divmod(index - first, across)
        out.append(Place(index, column * (cell_width + _GAP), row * cell_height, cell_width, cell_height))
    return out


class Sheet:
    """The charts' data and the state that all of them share."""

    def __init__(self) -> None:
        self.charts: list[ChartData] = []
        self.axis = XAxis.STEP
        self.smoothing = 0.0
        self.is_y_log = False
        self.is_x_log = False
        self.view = View()
        self.cursor: float | None = None
        self._curves: dict[tuple[int, int], tuple[Points, XAxis, Curve]] = {}
        self._drawn: dict[int, tuple[tuple[Curve, ...], ChartSpec, Canvas]] = {}

    def show(self, charts: Sequence[ChartData]) -> bool:
        """Take other data; returns whether anything changed. Curves of points that did not change are kept."""
        if self.charts == list(charts):
            return False
        self.charts = list(charts)
        return True

    def curves(self, index: int) -> tuple[Curve, ...]:
        """The curves of one chart, on the present axis."""
        return tuple(self._curve(index, at, series) for at, series in enumerate(self.charts[index].series))

    def _curve(self, index: int, at: int, series: Series) -> Curve:
        kept = self._curves.get((index, at))
        if kept is not None and kept[0] is series.points and kept[1] is self.axis:
            return kept[2]
        curve = _made(series, self.axis)
        self._curves[index, at] = (series.points, self.axis, curve)
        return curve

    def draw(self, place: Place, dots: Dots) -> Canvas:
        """The chart of a place, drawn anew only if something it shows has changed."""
        spec = ChartSpec(
            place.width,
            place.height,
            self.charts[place.index].title,
            self.axis,
            self.is_y_log,
            self.is_x_log,
            self.smoothing,
            self.view,
            self.cursor,
            dots,
        )
        curves = self.curves(place.index)
        kept = self._drawn.get(place.index)
        if kept is not None and kept[0] == curves and kept[1] == spec:
            return kept[2]
        canvas = draw(curves, spec)
        self._drawn[place.index] = (curves, spec, canvas)
        return canvas

    def whole(self) -> Scale | None:
        """All of x, over every chart."""
        ends = [
            x
            for index in range(len(self.charts))
            for curve in self.curves(index)
            for x in (*curve.xs[:1], *curve.xs[-1:])
        ]
        if not ends:
            return None
        low = min((x for x in ends if x > 0 or not self.is_x_log), default=1.0)
        return fitted(low, max(ends), is_log=self.is_x_log)

    def zoom(self, factor: float) -> None:
        """Show a part of x so many times as wide, round the cursor or the middle; all of it when that is wider."""
        whole = self.whole()
        if whole is None:
            return
        start, stop = self._seen(whole)
        width = (stop - start) * factor
        if width >= 1:
            self.view = View()
        elif width >= _CLOSEST:
            at = whole.at(self.cursor) if self.cursor is not None else (start + stop) / 2
            part = (at - start) / (stop - start) if start <= at <= stop else 0.5
            at = start + part * (stop - start)
            self._see(whole, at - part * width, at + (1 - part) * width)

    def pan(self, part: float) -> None:
        """Move the view by a part of its width, as far as there are points."""
        whole = self.whole()
        if whole is not None:
            start, stop = self._seen(whole)
            step = max(-start, min(part * (stop - start), 1 - stop))
            if step:
                self._see(whole, start + step, stop + step)

    def move_cursor(self, index: int, canvas: Canvas, columns: int) -> None:
        """Move the read-out by columns of a drawn chart, at least as far as its next point."""
        if canvas.x is None:
            return
        if self.cursor is None or not canvas.x.low <= self.cursor <= canvas.x.high:
            self.cursor = canvas.x.high
            return
        near = canvas.x.value(canvas.x.at(self.cursor) + columns / max(1, canvas.columns - 1))
        curves = self.curves(index)
        xs = curves[0].xs if curves else ()
        if columns > 0:
            after = bisect_right(xs, self.cursor)
            near = max(near, xs[after]) if after < len(xs) else near
        else:
            before = bisect_left(xs, self.cursor) - 1
            near = min(near, xs[before]) if before >= 0 else near
        self.cursor = max(canvas.x.low, min(near, canvas.x.high))

    def turn_axis(self) -> None:
        """Lay points out by the next of step, time and epoch."""
        axes = list(XAxis)
        self.axis = axes[(axes.index(self.axis) + 1) % len(axes)]
        if self.axis is XAxis.EPOCH and not any(one.epochs for chart in self.charts for one in chart.series):
            self.axis = XAxis.STEP
        self.view, self.cursor = View(), None

    def turn_smoothing(self) -> None:
        """Smooth by the next weight."""
        self.smoothing = SMOOTHINGS[(SMOOTHINGS.index(self.smoothing) + 1) % len(SMOOTHINGS)]

    def _seen(self, whole: Scale) -> tuple[float, float]:
        start = 0.0 if self.view.x0 is None else whole.at(self.view.x0)
        stop = 1.0 if self.view.x1 is None else whole.at(self.view.x1)
        return start, stop

    def _see(self, whole: Scale, start: float, stop: float) -> None:
        if start < 0:
            start, stop = 0.0, stop - start
        elif stop > 1:
            start, stop = start - (stop - 1), 1.0
        self.view = replace(self.view, x0=whole.value(start), x1=whole.value(stop))


def _made(series: Series, axis: XAxis) -> Curve:
    epochs = _as_history(series.epochs)
    if isinstance(series.points, MetricHistory):
        return from_history(series.points, series.name, axis, epochs, series.origin)
    return from_buckets(series.points, series.name, axis, epochs, series.origin)


def _as_history(points: Points | None) -> MetricHistory | None:
    if isinstance(points, MetricBuckets):
        return MetricHistory(points.run_id, points.key, points.steps, points.times, points.lasts)
    return points
