"""Line charts of characters: curves in, lines of spans out. Pure; a chart's worth of a long metric takes a few ms."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from mlconsole.records import record
from mlconsole.render.canvas import Grid, Span
from mlconsole.render.chart_spec import ChartSpec, View
from mlconsole.render.curves import NAN, POSITIVE_INF, Curve, XAxis, colours, smoothed
from mlconsole.render.legend import SHAPES, Readout, draw_title, legend, plain, readout
from mlconsole.render.plot import crossing, plot
from mlconsole.render.raster import ASCII_MARKS, Dots, Raster
from mlconsole.render.sanitise import clean
from mlconsole.render.scale import Scale, fitted, number_label, time_label

__all__ = ["Canvas", "ChartSpec", "Readout", "View", "draw"]

LEAST_WIDTH, LEAST_HEIGHT = 16, 4
FEW_TICKS, MOST_IN_LOW = 3, 5
"""With fewer values at its side than that, a low chart gets up to so many, though they stand less evenly."""
NEAR_ZERO = 0.05
"""A least value of so little of the greatest stands on an axis that begins at zero, and says so."""
_SHAPE_EVERY = 20


@record
class Canvas:
    """A drawn chart: its lines, the field that curves are in, and what is read out.

    ``left`` and ``columns`` are the cells of the field; ``x`` and ``y`` are its scales, None when nothing is drawn.
    """

    lines: list[list[Span]]
    readouts: tuple[Readout, ...] = ()
    left: int = 0
    columns: int = 0
    x: Scale | None = None
    y: Scale | None = None

    def x_at(self, cell: int) -> float | None:
        """The x that stands in a column of cells; None outside the field."""
        if self.x is None or not self.left <= cell < self.left + self.columns:
            return None
        return self.x.value((cell - self.left) / max(1, self.columns - 1))


def draw(curves: Sequence[Curve], spec: ChartSpec) -> Canvas:
    """Draw curves over each other, the last on top."""
    grid = Grid(max(1, spec.width), max(1, spec.height))
    shown = [curve for curve in curves if len(curve.xs) or curve.marks]
    x = _x_scale(shown, spec)
    if x is None or spec.width < LEAST_WIDTH or spec.height < LEAST_HEIGHT:
        title = clean(spec.title)
        grid.write(0, 0, plain(title, spec.width), "strong")
        words = "no points yet" if x is None else "too small for a chart"
        grid.write(0, min(1, spec.height - 1), words, "dim")
        return Canvas(grid.lines())
    readouts = tuple(readout(curve, spec, x) for curve in shown)
    is_told_apart = len(shown) > 1 or spec.is_scatter
    keys = legend(shown, readouts, spec) if is_told_apart else []
    y = _y_scale(shown, spec, x)
    field_height = spec.height - 3 - len(keys)
    labels = _labelled(_y_ticks(y, field_height), number_label, is_log=spec.is_y_log)
    left = max((len(label) for _, label in labels), default=0) + 1
    area = _Area(left, 1, spec.width - left, field_height, spec.dots)
    _draw_axes(grid, area, labels, x, y, spec)
    _draw_curves(grid, area, shown, x, y, spec)
    _draw_marks(grid, area, shown, x, spec)
    _draw_cursor(grid, area, x, spec)
    draw_title(grid, readouts, is_told_apart, spec)
    lines = grid.lines()
    if keys:
        lines[-len(keys) :] = keys
    return Canvas(lines, readouts, left, area.width, x, y)


@record
class _Area:
    """The cells of the field, and the cell in which a value's dot stands."""

    left: int
    top: int
    width: int
    height: int
    dots: Dots

    def column(self, x: Scale, value: float) -> int:
        """The column of cells of an x."""
        across = self.dots.value[0]
        return self.left + round(x.at(value) * (self.width * across - 1)) // across

    def row(self, y: Scale, value: float) -> int:
        """The row of cells of a y."""
        down = self.dots.value[1]
        return self.top + round((1 - y.at(value)) * (self.height * down - 1)) // down

    def x_in(self, x: Scale, column: int) -> float:
        """The x in the middle of a column of cells."""
        across = self.dots.value[0]
        middle = (column - self.left) * across + (across - 1) / 2
        return x.value(middle / max(1, self.width * across - 1))


def _x_scale(curves: Sequence[Curve], spec: ChartSpec) -> Scale | None:
    ends = [x for curve in curves for x in (*curve.xs[:1], *curve.xs[-1:], *(x for x, _ in curve.marks))]
    if not ends:
        return None
    low = min(ends) if spec.view.x0 is None else spec.view.x0
    high = max(ends) if spec.view.x1 is None else spec.view.x1
    if spec.is_x_log and low <= 0:
        low = min((x for x in ends if x > 0), default=1.0)
    return fitted(low, high, is_log=spec.is_x_log)


def _y_scale(curves: Sequence[Curve], spec: ChartSpec, x: Scale) -> Scale:
    lows: list[float] = []
    highs: list[float] = []
    for curve in curves:
        start, stop = bisect_left(curve.xs, x.low), bisect_right(curve.xs, x.high)
        inside = curve.lows[start:stop]
        if spec.is_y_log:
            inside = [low for low in inside if low > 0]
        lows += [min(inside)] if inside else []
        highs += [max(curve.highs[start:stop])] if start < stop else []
        if start == stop and 0 < start < len(curve.xs):
            ends = [crossing(curve, curve.values, start, at) for at in (x.low, x.high)]
            lows.append(min(ends))
            highs.append(max(ends))
    low = min(lows, default=0.0) if spec.view.y0 is None else spec.view.y0
    high = max(highs, default=1.0) if spec.view.y1 is None else spec.view.y1
    if spec.view.y0 is None and not spec.is_y_log and 0 < low < NEAR_ZERO * high:
        low = 0.0
    return fitted(low, high, is_log=spec.is_y_log)


def _y_ticks(y: Scale, rows: int) -> list[float]:
    """Round values two rows apart; closer ones where there would hardly be any."""
    even = y.ticks(max(2, rows // 2))
    return even if len(even) >= FEW_TICKS else y.ticks(max(2, min(rows * 3 // 4, MOST_IN_LOW)))


def _labelled(
    ticks: Sequence[float], label: Callable[[float, float], str], *, is_log: bool = False
) -> list[tuple[float, str]]:
    """Ticks and their words: as many digits as tell them apart, on a logarithmic scale as many as each needs."""
    if is_log:
        return [(tick, label(tick, tick)) for tick in ticks]
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=abs(ticks[0]) if ticks else 1.0)
    return [(tick, label(tick, step)) for tick in ticks]


def _draw_axes(
    grid: Grid, area: _Area, labels: Sequence[tuple[float, str]], x: Scale, y: Scale, spec: ChartSpec
) -> None:
    side, tick, corner, floor, foot = "|++-+" if spec.dots is Dots.ASCII else "│┤└─┬"
    axis = area.left - 1
    for row in range(area.height):
        grid.put(axis, area.top + row, side, "axis")
    for value, label in labels:
        row = area.row(y, value)
        grid.write(axis - len(label), row, label, "label")
        grid.put(axis, row, tick, "axis")
    bottom = area.top + area.height
    grid.write(axis, bottom, corner + floor * area.width, "axis")
    is_time = spec.x_axis is XAxis.TIME
    x_ticks = x.ticks(max(2, area.width // 10), is_time=is_time)
    x_labels = _labelled(x_ticks, time_label if is_time else number_label, is_log=spec.is_x_log)
    free = 0
    for value, label in x_labels:
        column = area.column(x, value)
        grid.put(column, bottom, foot, "axis")
        start = min(column - len(label) // 2, grid.width - len(label))
        if start >= free:
            grid.write(start, bottom + 1, label, "label")
            free = start + len(label) + 1
    name = f" {_axis_name(spec)}"
    grid.write(grid.width - len(name), bottom, name, "dim")


def _axis_name(spec: ChartSpec) -> str:
    return f"{clean(spec.x_name, 40) or spec.x_axis.value}{' log' if spec.is_x_log else ''}"


def _draw_curves(grid: Grid, area: _Area, curves: Sequence[Curve], x: Scale, y: Scale, spec: ChartSpec) -> None:
    raster = Raster(area.width, area.height, spec.dots)
    chosen = colours(curve.key for curve in curves)
    for index, curve in enumerate(curves):
        plot(raster, curve, curve.lows, curve.highs, curve.values, x, y, index)
    if spec.smoothing > 0:
        for index, curve in enumerate(curves):
            line = smoothed(curve, spec.smoothing)
            plot(raster, curve, line, line, line, x, y, len(curves) + index)
    looks = []
    for curve in curves:
        token = f"series.{chosen[curve.key]}"
        looks.append((f"{token}.faint" if spec.smoothing > 0 else token, "." if spec.smoothing > 0 else ""))
    looks += [(f"series.{chosen[curve.key]}", "") for curve in curves]
    for column, row, char, layer in raster.cells():
        token, plain_char = looks[layer]
        if spec.dots is Dots.ASCII:
            colour = chosen[curves[layer % len(curves)].key] if len(curves) > 1 or spec.is_scatter else 0
            char = plain_char or ASCII_MARKS[colour]
        grid.chars[area.top + row][area.left + column] = char
        grid.tokens[area.top + row][area.left + column] = token
    if (len(curves) > 1 or spec.is_scatter) and spec.dots is not Dots.ASCII:
        for index, curve in enumerate(curves):
            _draw_shapes(grid, area, curve, x, y, spec, index, chosen[curve.key])


def _draw_shapes(
    grid: Grid, area: _Area, curve: Curve, x: Scale, y: Scale, spec: ChartSpec, index: int, colour: int
) -> None:
    """Put the curve's shape on it at its end and now and then before, so that it is known without its colour."""
    values = smoothed(curve, spec.smoothing) if spec.smoothing > 0 else curve.values
    start, stop = bisect_left(curve.xs, x.low), bisect_right(curve.xs, x.high)
    if start >= stop:
        return
    last = area.column(x, curve.xs[stop - 1])
    shown = [(last, values[stop - 1])]
    for column in range(last - _SHAPE_EVERY - 3 * index % _SHAPE_EVERY, area.left - 1, -_SHAPE_EVERY):
        at = area.x_in(x, column)
        point = bisect_right(curve.xs, at, start, stop)
        if start < point < stop and point not in curve.breaks:
            shown.append((column, crossing(curve, values, point, at)))
    for column, value in shown:
        row = area.row(y, value)
        if area.top <= row < area.top + area.height:
            grid.put(column, row, SHAPES[colour], f"series.{colour}")


def _draw_marks(grid: Grid, area: _Area, curves: Sequence[Curve], x: Scale, spec: ChartSpec) -> None:
    """Show what is not finite at the edge it left by: NaN on the x axis, infinities at the top and the bottom."""
    nan, up, down = "x^v" if spec.dots is Dots.ASCII else "×▲▼"
    for curve in curves:
        for at, kind in curve.marks:
            if not x.low <= at <= x.high:
                continue
            column = area.column(x, at)
            if kind == NAN:
                grid.put(column, area.top + area.height, nan, "mark.nan")
            elif kind == POSITIVE_INF:
                grid.put(column, area.top, up, "mark.inf")
            else:
                grid.put(column, area.top + area.height - 1, down, "mark.inf")


def _draw_cursor(grid: Grid, area: _Area, x: Scale, spec: ChartSpec) -> None:
    if spec.cursor is None or not x.low <= spec.cursor <= x.high:
        return
    column = area.column(x, spec.cursor)
    for row in range(area.top, area.top + area.height):
        if grid.is_blank(column, row):
            grid.put(column, row, "|" if spec.dots is Dots.ASCII else "│", "cursor.line")
