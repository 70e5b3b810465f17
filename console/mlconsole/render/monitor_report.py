"""A monitor as one HTML page that needs nothing but itself: its windows, and its columns before and now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlconsole.domain.drift import ColumnResult, Histogram, Verdict
from mlconsole.domain.monitors import MonitorPage
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.drift_tables import ORDER, WORDS, moved
from mlconsole.render.figures import escaped
from mlconsole.render.pages import POLICY, STYLE

MOST_DRAWN = 40
BEFORE, NOW, BAD = "#8a8f98", "#2563eb", "#b00020"


def page(found: MonitorPage, drawn: Mapping[str, Histogram], now: datetime) -> str:
    """The page, plotly included."""
    from plotly.offline import get_plotlyjs  # 80 ms

    monitor = found.state.monitor
    name = escaped(monitor.name)
    head = f"{escaped(monitor.live)}, in windows of {escaped(monitor.window.text)}, against {escaped(found.against)}"
    body = [f"<h1>Monitor {name}</h1>", f'<p class="dim">{head}. Written {iso(now)}.</p>']
    body += ["<h2>Windows</h2>", _figure(_course(found))] if found.state.windows else ["<p>No window yet.</p>"]
    if found.report is not None:
        results = sorted(found.report.columns, key=lambda one: (ORDER.index(one.verdict), -one.weight))
        body += [f"<h2>{escaped(found.report.window)}: {escaped(WORDS[found.report.verdict])}</h2>", _table(results)]
        shown = [one for one in results if one.column in drawn and not one.slice][:MOST_DRAWN]
        body += [_figure(_histogram(one, drawn[one.column])) for one in shown]
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    top = f'<!doctype html><html lang="en"><head><meta charset="utf-8">{policy}<title>Monitor {name}</title>'
    return f"{top}<style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>{''.join(body)}</body></html>\n"


def _figure(figure: Any) -> str:
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False}))


def _course(found: MonitorPage) -> Any:
    from plotly import graph_objects as go

    windows = found.state.windows
    bad = (Verdict.DRIFT, Verdict.SCHEMA)
    colours = [BAD if window.verdict in bad else NOW for window in windows]
    text = [f"{escaped(w.worst)} ({escaped(w.worst_test)} {numbers.number(w.worst_effect)})" for w in windows]
    labels = [escaped(window.label) for window in windows]
    weights = [window.worst_weight for window in windows]
    figure = go.Figure(go.Bar(x=labels, y=weights, marker_color=colours, hovertext=text))
    figure.add_hline(y=1.0, line_dash="dot", line_color=BEFORE)
    figure.update_layout(height=280, margin={"t": 20, "b": 40}, yaxis_title="worst effect, in floors")
    return figure


def _histogram(one: ColumnResult, drawn: Histogram) -> Any:
    from plotly import graph_objects as go

    labels = [escaped(label) for label in drawn.labels]
    colour = BAD if one.verdict is Verdict.DRIFT else NOW
    figure = go.Figure()
    figure.add_bar(x=labels, y=drawn.reference, name="baseline", marker_color=BEFORE)
    figure.add_bar(x=labels, y=drawn.current, name="now", marker_color=colour)
    title = f"{escaped(one.column)}  {escaped(one.test)} {numbers.number(one.effect)}  {escaped(WORDS[one.verdict])}"
    figure.update_layout(title=title, height=260, margin={"t": 40, "b": 40}, yaxis_tickformat=".0%", barmode="group")
    return figure


def _table(results: list[ColumnResult]) -> str:
    titles = ("column", "slice", "verdict", "test", "effect", "p adjusted", "rows", "moved most")
    rows = []
    for one in results:
        chance = "" if one.q_value is None else f"{one.q_value:.2g}"
        cells = (one.column, one.slice, WORDS[one.verdict], one.test, numbers.number(one.effect), chance)
        words = (*cells, f"{one.n_current:,}", moved(one) or one.note)
        rows.append("<tr>" + "".join(f"<td>{escaped(word)}</td>" for word in words) + "</tr>")
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
