"""How a chart is to be drawn."""

from __future__ import annotations

from mlconsole.records import field, record
from mlconsole.render.curves import XAxis
from mlconsole.render.raster import Dots


@record
class View:
    """The part of the plane that is shown; None is as far as the points go."""

    x0: float | None = None
    x1: float | None = None
    y0: float | None = None
    y1: float | None = None


@record
class ChartSpec:
    """How a chart is to be drawn.

    Attributes:
        width: cells across.
        height: cells down.
        title: foreign text, usually the metric's name.
        x_axis: what x is; names the axis and chooses its labels.
        is_y_log: a logarithmic y axis; values that are not positive stand at its lower end.
        is_x_log: the same for x.
        smoothing: weight of the moving average, from 0 (none) to 0.99.
        view: the part that is shown.
        cursor: the x whose values are read out.
        dots: what curves are drawn with.
        unit: unit of y, if any.
        x_name: name of the x axis, where it is none of ``x_axis``.
        is_scatter: each curve is a point: it has its shape and its line in the legend even where it is the only one.
    """

    width: int
    height: int
    title: str = ""
    x_axis: XAxis = XAxis.STEP
    is_y_log: bool = False
    is_x_log: bool = False
    smoothing: float = 0.0
    view: View = field(default_factory=View)
    cursor: float | None = None
    dots: Dots = Dots.BRAILLE
    unit: str = ""
    x_name: str = ""
    is_scatter: bool = False
