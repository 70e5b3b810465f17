"""Costs as one HTML page that needs nothing but itself: days, the month and its end, who spent what, budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from mlconsole.domain.budgets import BudgetState, Period, Scope
from mlconsole.domain.costs import Axis, Burn, CostItem, CostReport, DayCost, month_of
from mlconsole.domain.times import iso
from mlconsole.records import record
from mlconsole.render.figures import COLOURS, escaped
from mlconsole.render.money_tables import per_hour, usd
from mlconsole.render.pages import document, figure_div, table

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_KEYS = len(COLOURS)
MOST_BARS, MOST_ROWS = 15, 200
IDLE_COLOUR, OTHERS_COLOUR, LIMIT_COLOUR = "#d9a441", "#bbbbbb", "#b00020"
OTHERS = "\0others"
NAMES = {
    Axis.RUN: "runs",
    Axis.EXPERIMENT: "experiments",
    Axis.USER: "users",
    Axis.GPU: "GPUs",
    Axis.HOST: "machines",
}


@record
class CostPage:
    """What the page shows.

    Attributes:
        by: whose part of each day is drawn.
        since: from when on; None: from the first day that was written.
        reports: sums by several axes.
        days: each day's parts.
        budgets: how every budget stands.
    """

    by: Axis
    since: datetime | None
    reports: tuple[CostReport, ...]
    days: tuple[DayCost, ...]
    budgets: tuple[BudgetState, ...]


def page(found: CostPage, now: datetime) -> str:
    """The page, plotly included."""
    first = found.reports[0]
    parts = [
        _head(first, found.since),
        *(f'<p class="note">{escaped(words, 400)}</p>' for words in _notes(first)),
        f"<h2>Each day, by {found.by.value}</h2>",
        figure_div("days", days_figure(found.days, _labels(found))),
        *_month(found, first.burn, now),
        *_budgets(found.budgets),
        *(part for report in found.reports if report.items for part in _axis(report)),
    ]
    return document("Cost", now, parts)


def _head(report: CostReport, since: datetime | None) -> str:
    total, idle = report.total_microusd or 0, report.idle_microusd or 0
    part = f" ({idle / total:.0%})" if total else ""
    when = f"since {iso(since)}" if since else "in all"
    cells = [(f"spent {when}", usd(total), ""), ("of that IDLE", usd(idle) + part, "note" if idle else "")]
    if (burn := report.burn) is not None:
        cells += [
            ("burns now", per_hour(burn.microusd_per_h), ""),
            ("of that idle", per_hour(burn.idle_microusd_per_h), "note" if burn.idle_microusd_per_h else ""),
            ("today", usd(burn.today_microusd), ""),
            ("this month", usd(burn.month_microusd), ""),
            ("by its end, burning as now", usd(burn.forecast_microusd), ""),
        ]
    words = "".join(f'<td><span class="dim">{title}</span><br><b class="{tone}">{text}</b></td>'
                    for title, text, tone in cells)  # fmt: skip
    return f'<div class="wide"><table><tr>{words}</tr></table></div>'


def _notes(report: CostReport) -> list[str]:
    if not report.unpriced:
        return []
    return [f"What {', '.join(report.unpriced)} costs is not known and in no sum."]


def _labels(found: CostPage) -> dict[str, str]:
    """What the keys of the days are called; a run has a name besides its id."""
    return {item.key: _label(item) for report in found.reports if report.by is found.by for item in report.items}


def _label(item: CostItem) -> str:
    return item.label or item.key or "(none)"


def days_figure(days: Sequence[DayCost], labels: Mapping[str, str]) -> Figure:
    """A bar a day, its parts the dearest keys, all others, and what nobody had leased."""
    import plotly.graph_objects as go  # 80 ms

    sums: dict[str, int] = {}
    for each in days:
        if each.key is not None:
            sums[each.key] = sums.get(each.key, 0) + each.microusd
    dearest = sorted(sums, key=lambda key: (-sums[key], key))[:MOST_KEYS]
    names = sorted({each.day for each in days})
    parts: dict[str | None, dict[str, int]] = {}
    for each in days:
        key = each.key if each.key is None or each.key in dearest else OTHERS
        row = parts.setdefault(key, {})
        row[each.day] = row.get(each.day, 0) + each.microusd
    figure = go.Figure(layout=_layout("a day"))
    for key in (*dearest, *({OTHERS} & set(parts)), *({None} & set(parts))):
        name, colour = _drawn(key, dearest, labels)
        bars = [parts[key].get(day, 0) / 1e6 for day in names]
        marker = {"color": colour, "pattern": {"shape": "/" if key is None else ""}}
        figure.add_bar(x=names, y=bars, name=name, marker=marker, hovertemplate="$%{y:,.2f}")
    figure.update_layout(barmode="stack", showlegend=True, height=380)
    figure.update_xaxes(type="date", tickformat="%b %-d", hoverformat="%A %Y-%m-%d")
    return figure


def _drawn(key: str | None, dearest: Sequence[str], labels: Mapping[str, str]) -> tuple[str, str]:
    """The name and the colour of a part of the days."""
    if key is None:
        return "IDLE", IDLE_COLOUR
    if key == OTHERS:
        return "all others", OTHERS_COLOUR
    return escaped(labels.get(key, key), 40), COLOURS[dearest.index(key)]


def _month(found: CostPage, burn: Burn | None, now: datetime) -> list[str]:
    start, end = month_of(now)
    if burn is None or (found.since is not None and found.since > start):
        return []
    return [f"<h2>{start:%B %Y}, and what it comes to</h2>", figure_div("month", _course(found, burn, start, end, now))]


def _course(found: CostPage, burn: Burn, start: datetime, end: datetime, now: datetime) -> Figure:
    """The sum of the month day by day, on to its end as it burns now, under the budgets of a month for everything."""
    import plotly.graph_objects as go

    spent: dict[str, int] = {}
    for each in found.days:
        if each.day >= f"{start:%Y-%m-%d}":
            spent[each.day] = spent.get(each.day, 0) + each.microusd
    days = [start + timedelta(days=day) for day in range((now - start).days + 1)]
    sums = [micro / 1e6 for micro in accumulate(spent.get(f"{day:%Y-%m-%d}", 0) for day in days)]
    moments = [start, *(min(day + timedelta(days=1), now) for day in days)]
    figure = go.Figure(layout=_layout("since the first"))
    dollars = "$%{y:,.2f}"
    figure.add_scatter(x=moments, y=[0.0, *sums], name="spent", line={"color": COLOURS[0]}, hovertemplate=dollars)
    line = {"color": COLOURS[0], "dash": "dot"}
    ahead = [sums[-1], burn.forecast_microusd / 1e6]
    figure.add_scatter(x=[now, end], y=ahead, name="burning as now", line=line, hovertemplate=dollars)
    for state in found.budgets:
        budget = state.budget
        if budget.scope is Scope.ALL and budget.period is Period.MONTH:
            label = f"{escaped(budget.name, 40)} {usd(budget.microusd)}"
            figure.add_hline(
                y=budget.microusd / 1e6, line_color=LIMIT_COLOUR, line_dash="dash", annotation_text=label,
                annotation_position="top left",
            )  # fmt: skip
    figure.update_layout(showlegend=True, xaxis_range=[start, end], height=320)
    figure.update_yaxes(rangemode="tozero")
    return figure


def _budgets(states: Sequence[BudgetState]) -> list[str]:
    if not states:
        return []
    titles = ("Budget", "Allows", "Kind", "Spent", "Committed", "Used")
    return ["<h2>Budgets</h2>", table(titles, (_budget(state) for state in states))]


def _budget(state: BudgetState) -> str:
    budget = state.budget
    tone = "bad" if state.percent >= 100 else "note" if state.level else ""
    used = f'<span class="{tone}">{state.percent:.0f} %</span>'
    kind = "hard" if budget.is_hard else "soft"
    texts = (escaped(budget.name), escaped(budget.words, 200), kind, usd(state.spent), usd(state.committed), used)
    return _row(texts, 3)


def _axis(report: CostReport) -> list[str]:
    name = NAMES[report.by]
    rows = (_item(item) for item in report.items[:MOST_ROWS])
    rest = len(report.items) - MOST_ROWS
    left_out = (
        f'<p class="dim">... and {rest:,} more: mlconsole cost show --by {report.by.value}</p>' if rest > 0 else ""
    )
    return [
        f"<h2>By {report.by.value}</h2>",
        figure_div(f"by-{report.by.value}", _bars(report)),
        f"<details><summary>All {len(report.items):,} {name} as a table</summary>",
        table((report.by.value.capitalize(), "", "Cost", "GPU-hours", "kWh"), rows),
        f"{left_out}</details>",
    ]


def _item(item: CostItem) -> str:
    kwh = "-" if item.kwh is None else f"{item.kwh:,.1f}"
    key = f'<code class="dim">{escaped(item.key)}</code>' if item.label and item.label != item.key else ""
    return _row((escaped(_label(item)), key, usd(item.microusd), f"{item.gpu_hours:,.1f}", kwh), 2)


def _row(texts: Sequence[str], words: int) -> str:
    """A row of HTML; from the cell after ``words`` on they are figures."""
    cells = (f'<td class="{"number" if at >= words else ""}">{text}</td>' for at, text in enumerate(texts))
    return f"<tr>{''.join(cells)}</tr>"


def _bars(report: CostReport) -> Figure:
    import plotly.graph_objects as go

    items = [item for item in report.items if item.microusd is not None][:MOST_BARS][::-1]
    places = list(range(len(items)))
    dollars = [(item.microusd or 0) / 1e6 for item in items]
    hover = [f"{escaped(item.key)}: {usd(item.microusd)}, {item.gpu_hours:,.1f} GPU-hours" for item in items]
    figure = go.Figure(layout=_layout(""))
    figure.add_bar(
        x=dollars, y=places, orientation="h", marker_color=COLOURS[0], text=[usd(item.microusd) for item in items],
        textposition="auto", hovertext=hover, hoverinfo="text",
    )  # fmt: skip
    names = [escaped(_label(item), 32) for item in items]
    figure.update_layout(height=70 + 26 * len(items), hovermode="closest", margin={"l": 240, "r": 20, "t": 30, "b": 40})
    figure.update_xaxes(tickprefix="$", separatethousands=True)
    figure.update_yaxes(tickvals=places, ticktext=names, showgrid=False)
    return figure


def _layout(title: str) -> dict[str, Any]:
    grid = {"gridcolor": "#e4e4e4", "zerolinecolor": "#cccccc", "linecolor": "#999999"}
    return {
        "template": "none",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#222222"},
        "margin": {"l": 90, "r": 20, "t": 30, "b": 50},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": -0.2},
        "xaxis": grid,
        "yaxis": {**grid, "title": title, **({"tickprefix": "$"} if title else {})},
    }
