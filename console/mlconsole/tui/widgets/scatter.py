"""A param against a metric: one mark for each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from mlconsole.domain.runs import Run
from mlconsole.render.chart import ChartSpec, draw
from mlconsole.render.curves import Curve
from mlconsole.render.raster import Dots
from mlconsole.tui.widgets.look import look_of

EPOCH = "epoch"


def numeric_params(runs: Sequence[Run]) -> list[str]:
    """Names of the params that are numbers and not the same in every run; the one with the most values first."""
    values: dict[str, set[float]] = {}
    for run in runs:
        for key, value in run.params.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                values.setdefault(key, set()).add(float(value))
    return sorted((key for key, found in values.items() if len(found) > 1), key=lambda key: (-len(values[key]), key))


def points(runs: Sequence[Run], param: str, metric: str) -> list[Curve]:
    """A curve of one point for each run that has both; what is not finite is a mark at the axis."""
    out = []
    for run in runs:
        x, summary = run.params.get(param), run.metrics.get(metric)
        if not isinstance(x, (int, float)) or isinstance(x, bool) or summary is None:
            continue
        last = [summary.last] if math.isfinite(summary.last) else []
        kind = "nan" if math.isnan(summary.last) else "inf" if summary.last > 0 else "-inf"
        marks = () if last else ((float(x), kind),)
        out.append(Curve(run.id, run.name, [float(x)] * len(last), last, last, last, frozenset(), marks))
    return out


class Scatter(Widget, can_focus=True):
    """The chosen param against the chosen metric."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Scatter { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,p", "param(1)", "next param"),
        Binding("left", "param(-1)", "param before"),
        Binding("down,m", "metric(1)", "next metric"),
        Binding("up", "metric(-1)", "metric before"),
        Binding("X", "log('x')", "logarithmic x"),
        Binding("Y", "log('y')", "logarithmic y"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._runs: tuple[Run, ...] = ()
        self._params: list[str] = []
        self._metrics: list[str] = []
        self._param = self._metric = 0
        self._is_x_log = self._is_y_log = False

    def show(self, runs: Sequence[Run]) -> None:
        """Show these runs."""
        self._runs = tuple(runs)
        self._params = numeric_params(runs)
        keys = dict.fromkeys(key for run in runs for key in run.metrics if key != EPOCH)
        self._metrics = sorted(keys, key=lambda key: ("val" not in key, "loss" not in key, key))
        self.refresh()

    def action_param(self, step: int) -> None:
        """Turn to another param."""
        self._param += step
        self.refresh()

    def action_metric(self, step: int) -> None:
        """Turn to another metric."""
        self._metric += step
        self.refresh()

    def action_log(self, axis: str) -> None:
        """Turn an axis to logarithmic or back."""
        self._is_x_log ^= axis == "x"
        self._is_y_log ^= axis == "y"
        self.refresh()

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("p", "param"), ("m", "metric"), ("X Y", "log")]

    @property
    def chosen(self) -> tuple[str, str]:
        """The param and the metric that are shown; empty where there is none."""
        param = self._params[self._param % len(self._params)] if self._params else ""
        return param, self._metrics[self._metric % len(self._metrics)] if self._metrics else ""

    def render_lines(self, crop: object) -> list[Strip]:
        """The chart, or the words why there is none."""
        width, height = self.size
        look = look_of(self.app)
        param, metric = self.chosen
        if not param or not metric:
            words = "Nothing to lay out: no number among the params differs between these runs."
            lines = [[], [Segment(f"  {words}"[:width], look.style("dim"))]]
        else:
            drawn_points = points(self._runs, param, metric)
            lacking = len(self._runs) - len(drawn_points)
            spec = ChartSpec(
                width,
                height,
                f"{metric} by {param}"
                + (f"   {lacking} of {len(self._runs)} runs lack one of them" if lacking else ""),
                is_x_log=self._is_x_log,
                is_y_log=self._is_y_log,
                dots=Dots.ASCII if look.is_ascii else Dots.BRAILLE,
                x_name=param,
                is_scatter=True,
            )
            drawn = draw(drawn_points, spec).lines
            lines = [[Segment(span.text, look.style(span.token)) for span in line] for line in drawn]
        strips = [Strip(line).adjust_cell_length(width) for line in lines[:height]]
        return strips + [Strip.blank(width)] * (height - len(strips))
