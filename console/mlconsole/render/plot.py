"""One curve into a raster: every dot column gets its extremes, so that no spike is lost."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from mlconsole.records import record
from mlconsole.render.curves import Curve
from mlconsole.render.raster import Raster
from mlconsole.render.scale import Scale


@record
class _Column:
    """The points that fall into one dot column."""

    column: int
    first: float
    last: float
    low: float
    high: float
    is_broken: bool


def plot(
    raster: Raster,
    curve: Curve,
    lows: Sequence[float],
    highs: Sequence[float],
    values: Sequence[float],
    x: Scale,
    y: Scale,
    layer: int,
) -> None:
    """Draw a curve, or its smoothed line, whose y are given beside it.

    Points are joined by straight lines, except over a gap. A line enters from and leaves to points out of
    view.
    """
    start, stop = bisect_left(curve.xs, x.low), bisect_right(curve.xs, x.high)
    bottom = raster.rows - 1

    def row(value: float) -> int:
        return round((1 - min(2.0, max(-1.0, y.at(value)))) * bottom)

    def entered(index: int, at: float) -> bool:
        """True when a line runs over the view's edge ``at`` to the point at ``index``."""
        return 0 < index < len(curve.xs) and index not in curve.breaks and curve.xs[index - 1] < at

    before: tuple[int, int] | None = None
    if entered(start, x.low):
        before = (-1, row(crossing(curve, values, start, x.low)))
    for column in _columns(curve, lows, highs, values, start, stop, x, raster.columns):
        top, low = row(column.high), row(column.low)
        if before is not None and not column.is_broken:
            at, level = before
            if column.column - at > 1:
                goal = row(column.first)
                raster.line(at, level, column.column, goal, layer)
                level = round(level + (goal - level) * (column.column - 1 - at) / (column.column - at))
            top = min(top, level + 1) if level < top else top
            low = max(low, level - 1) if level > low else low
        raster.column(column.column, top, low, layer)
        before = (column.column, row(column.last))
    if before is not None and 0 < stop < len(curve.xs) and stop not in curve.breaks:
        raster.line(*before, raster.columns, row(crossing(curve, values, stop, x.high)), layer)


def _columns(
    curve: Curve,
    lows: Sequence[float],
    highs: Sequence[float],
    values: Sequence[float],
    start: int,
    stop: int,
    x: Scale,
    count: int,
) -> Iterator[_Column]:
    xs, breaks, last = curve.xs, curve.breaks, count - 1
    index = start
    while index < stop:
        column = round(x.at(xs[index]) * last)
        after = bisect_right(xs, x.value((column + 0.5) / last), index + 1, stop) if last else stop
        if after == index + 1:
            low, high = lows[index], highs[index]
        else:
            low, high = min(lows[index:after]), max(highs[index:after])
        yield _Column(column, values[index], values[after - 1], low, high, index in breaks)
        index = after


def crossing(curve: Curve, values: Sequence[float], index: int, at: float) -> float:
    """The value where the line from point ``index - 1`` to ``index`` passes ``at``."""
    x0, x1 = curve.xs[index - 1], curve.xs[index]
    part = (at - x0) / (x1 - x0) if x1 > x0 else 0.0
    return values[index - 1] + part * (values[index] - values[index - 1])
