"""Plotly figures of runs: curves, and parallel coordinates over params and a metric.

Plotly draws markup in labels, so every foreign text is cleaned and escaped before it becomes one.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.runs import ParamValue, Run
from mlconsole.records import record
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

POINTS = 4000
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#997700", "#555555")
OUTCOME_SCALE = ((0.0, "#440154"), (0.5, "#21918c"), (1.0, "#7cad00"))
# Curves whose values span more than this are shown on a logarithmic axis at first.
WIDE_SPAN = 1e4
MOST_NAMES = 40
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@record
class Curve:
    """One metric of one run as it is drawn: at most about :data:`POINTS` points, no spike lost.

    ``place`` is the run's place in the report, which gives it the same colour and dash in every figure.
    """

    run: Run
    place: int
    steps: list[int]
    values: list[float]
    count: int
    gaps: int


def escaped(text: str, limit: int = 80) -> str:
    """Foreign text as it may stand in HTML and in a plotly label."""
    return html.escape(clean(text, limit))


def curve(run: Run, place: int, history: MetricHistory) -> Curve:
    """The curve of a history: thinned to the extremes of each stretch when it is long, gaps kept."""
    steps, values = history.steps, history.values
    gaps = sum(not math.isfinite(value) for value in values)
    if len(values) <= POINTS:
        return Curve(run, place, list(steps), list(values), len(values), gaps)
    width = math.ceil(2 * len(values) / POINTS)
    kept: list[int] = []
    for start in range(0, len(values), width):
        kept += _extremes(values, start, min(start + width, len(values)))
    return Curve(run, place, [steps[i] for i in kept], [values[i] for i in kept], len(values), gaps)


def _extremes(values: Sequence[float], start: int, end: int) -> list[int]:
    """Indices of the lowest and highest value of a stretch, and of a gap if it has one, in order."""
    finite = [i for i in range(start, end) if math.isfinite(values[i])]
    gap = [i for i in range(start, end) if not math.isfinite(values[i])][:1] if len(finite) < end - start else []
    ends = [min(finite, key=values.__getitem__), max(finite, key=values.__getitem__)] if finite else []
    return sorted({*ends, *gap})


def curves_figure(key: str, curves: Sequence[Curve]) -> Figure:
    """All runs' curves of one metric over one another, with a button for a logarithmic axis."""
    import plotly.graph_objects as go  # 80 ms

    figure = go.Figure(layout=_layout())
    logarithmic = _is_wide(curves)
    for one in curves:
        line = {"color": COLOURS[one.place % len(COLOURS)], "dash": DASHES[one.place // len(COLOURS) % len(DASHES)]}
        mode = "lines+markers" if len(one.values) == 1 else "lines"
        name = escaped(one.run.name, 40)
        figure.add_trace(
            go.Scatter(x=one.steps, y=one.values, name=name, mode=mode, line={**line, "width": 1.6}, connectgaps=False)
        )
    figure.update_layout(
        xaxis_title="step",
        yaxis_title=escaped(key),
        showlegend=True,
        legend={"orientation": "h", "y": -0.25},
        updatemenus=[_axis_buttons(logarithmic)],
        height=420,
    )
    if logarithmic:
        figure.update_yaxes(type="log")
    return figure


def _is_wide(curves: Sequence[Curve]) -> bool:
    finite = [value for one in curves for value in one.values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) / min(finite) > WIDE_SPAN


def _layout() -> dict[str, Any]:
    grid = {"gridcolor": "#e4e4e4", "zerolinecolor": "#cccccc", "linecolor": "#999999", "ticks": "outside"}
    return {
        "template": "none",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#222222"},
        "margin": {"l": 70, "r": 20, "t": 36, "b": 50},
        "hovermode": "x unified",
        "xaxis": grid,
        "yaxis": {**grid, "exponentformat": "power"},
    }


def _axis_buttons(logarithmic: bool) -> dict[str, Any]:
    buttons = [{"label": kind, "method": "relayout", "args": [{"yaxis.type": kind}]} for kind in ("linear", "log")]
    place = {"x": 0.0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"t": 0, "b": 4}}
    return {"type": "buttons", "direction": "right", "active": int(logarithmic), "buttons": buttons, **place}


def parallel_figure(runs: Sequence[Run], params: Sequence[str], key: str) -> Figure:
    """Parallel coordinates: a line a run, an axis a param that differs, and the last value of a metric at the end.

    Args:
        runs: those with a finite last value of the metric.
        params: the params to show; one that does not differ among these runs is left out.
        key: the metric.
    """
    import plotly.graph_objects as go  # 80 ms

    last = [run.metrics[key].last for run in runs]
    columns = {name: [run.params.get(name) for run in runs] for name in params}
    axes = [_categories("run", [run.name for run in runs])] if len(runs) <= MOST_NAMES else []
    axes += [_axis(escaped(name, 24), values) for name, values in columns.items() if len(set(map(repr, values))) > 1]
    axes.append(_axis(escaped(key, 24), last))
    line = {"color": last, "colorscale": OUTCOME_SCALE, "showscale": len(set(last)) > 1}
    figure = go.Figure(go.Parcoords(line=line, dimensions=axes), layout=_layout())
    figure.update_layout(height=460, margin={"l": 120, "r": 60, "t": 70, "b": 40})
    return figure


def _axis(label: str, values: Sequence[ParamValue]) -> dict[str, Any]:
    found = [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e300]
    if len(found) < len(values) or not all(map(math.isfinite, found)):
        return _categories(label, values)
    low, high = min(found), max(found)
    if low > 0 and high / low > 50:
        return _logarithmic(label, found)
    pad = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return {"label": label, "values": found, "range": [low - pad, high + pad]}


def _categories(label: str, values: Sequence[ParamValue]) -> dict[str, Any]:
    shown = [_category(value) for value in values]
    names = sorted(set(shown))
    places = list(range(len(names)))
    axis = {"tickvals": places, "ticktext": names, "range": [-0.3, len(names) - 0.7]}
    return {"label": label, "values": [names.index(text) for text in shown], **axis}


def _category(value: ParamValue) -> str:
    if value is None:
        return "-"
    return escaped(numbers.number(value) if isinstance(value, (int, float)) else str(value), 24)


def _logarithmic(label: str, values: Sequence[float]) -> dict[str, Any]:
    logs = [math.log10(value) for value in values]
    ticks = sorted(set(logs)) if len(set(logs)) <= 8 else list(range(math.floor(min(logs)), math.ceil(max(logs)) + 1))
    names = [numbers.number(10.0**tick) for tick in ticks]
    return {"label": f"{label} (log)", "values": logs, "tickvals": ticks, "ticktext": names}
