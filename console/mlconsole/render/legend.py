"""The words of a chart: its title, what is read out of each curve, and the legend."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from mlconsole.records import record
from mlconsole.render import numbers
from mlconsole.render.canvas import Grid, Span
from mlconsole.render.chart_spec import ChartSpec
from mlconsole.render.curves import Curve, XAxis, colours, smoothed
from mlconsole.render.raster import ASCII_MARKS, Dots
from mlconsole.render.sanitise import clean
from mlconsole.render.scale import Scale
from mlconsole.render.width import cell_width, head, middle

SHAPES = "●▲■◆○△□◇"
_NAME_WIDTH = 28


@record
class Readout:
    """What one curve shows at the cursor, or at its end without one. ``value`` is as logged or smoothed."""

    key: str
    name: str
    x: float | None
    value: float | None
    low: float | None = None
    high: float | None = None


def draw_title(grid: Grid, readouts: Sequence[Readout], has_legend: bool, spec: ChartSpec) -> None:
    """Write what the chart is of at its left, and what is read out at its right."""
    notes = [f"[{spec.unit}]"] if spec.unit else []
    notes += ["log"] if spec.is_y_log else []
    notes += [f"smooth {spec.smoothing:g}"] if spec.smoothing > 0 else []
    first = next((one for one in readouts if one.x is not None), None)
    right = ""
    if first is not None and first.x is not None:
        at = f"@ {_x_text(first.x if spec.cursor is None else spec.cursor, spec)}"
        right = at if has_legend else f"{_value_text(first)}  {at}"
    if has_legend and spec.cursor is None:
        right = ""
    room = spec.width - len(right) - 1
    note = " ".join(["", *notes])
    title = plain(clean(spec.title), max(1, room - len(note)))
    grid.write(0, 0, title, "strong")
    grid.write(len(title), 0, note[: max(0, room - len(title))], "dim")
    grid.write(spec.width - len(right), 0, right, "readout")


def readout(curve: Curve, spec: ChartSpec, x: Scale) -> Readout:
    """The last point at or before the cursor, with the extremes of the points in its column."""
    at = spec.cursor if spec.cursor is not None else x.high
    index = bisect_right(curve.xs, at) - 1
    if index < 0:
        return Readout(curve.key, curve.name, None, None)
    values = smoothed(curve, spec.smoothing) if spec.smoothing > 0 else curve.values
    low, high = curve.lows[index], curve.highs[index]
    return Readout(curve.key, curve.name, curve.xs[index], values[index], low, high)


def _value_text(readout: Readout) -> str:
    if readout.value is None:
        return "-"
    text = numbers.number(readout.value)
    if readout.low is not None and readout.high is not None and readout.low < readout.high:
        text += f" ({numbers.number(readout.low)} to {numbers.number(readout.high)})"
    return text


def _x_text(x: float, spec: ChartSpec) -> str:
    if spec.x_axis is XAxis.TIME:
        return numbers.duration(x)
    return f"{round(x):,}" if spec.x_axis is XAxis.STEP else f"{x:.4g}"


def legend(curves: Sequence[Curve], readouts: Sequence[Readout], spec: ChartSpec) -> list[list[Span]]:
    """Shape, name and value of every curve, packed into at most a third of the height; the rest is counted."""
    chosen = colours(curve.key for curve in curves)
    rows: list[list[Span]] = [[]]
    used = 0
    most = max(1, spec.height // 3)
    for index, (curve, shown) in enumerate(zip(curves, readouts, strict=True)):
        colour = chosen[curve.key]
        shape = ASCII_MARKS[colour] if spec.dots is Dots.ASCII else SHAPES[colour]
        name = middle(clean(curve.name), _NAME_WIDTH)
        value = numbers.number(shown.value) if shown.value is not None else "-"
        width = 2 + cell_width(name) + 1 + len(value) + 2
        if used and used + width > spec.width:
            if len(rows) == most:
                rows[-1] = [*rows[-1], Span(f"+{len(curves) - index}"[: max(0, spec.width - used)], "dim")]
                return rows
            rows.append([])
            used = 0
        spans = [Span(f"{shape} ", f"series.{colour}"), Span(name, "label"), Span(f" {value}  ", "value")]
        rows[-1] += spans if width <= spec.width else [Span(head(f"{shape} {name}", spec.width), f"series.{colour}")]
        used += width
    return rows


def plain(text: str, width: int) -> str:
    """Text in single cells: a grid has no room for wide characters."""
    return middle("".join(char if cell_width(char) == 1 else "?" for char in text if cell_width(char)), width)
