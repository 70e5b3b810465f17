"""Runs as one HTML page that needs nothing but itself: curves, params, parallel coordinates, and how each run ended."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime

from mlconsole.domain.compare import ComparedRow, Comparison
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import Run
from mlconsole.domain.times import iso
from mlconsole.records import record
from mlconsole.render import numbers
from mlconsole.render.figures import COLOURS, Curve, curves_figure, escaped, parallel_figure
from mlconsole.render.pages import document, figure_div, table
from mlconsole.render.states import mark_of

MOST_WORDS = 60


@record
class Report:
    """What a report shows.

    Attributes:
        runs: the runs, in their order; their place gives each one its colour.
        comparison: params and metrics side by side, what differs first.
        curves: for each metric its curves.
        parallel: the metric at the end of the parallel coordinates, empty for none.
        notes: what was left out, and why.
    """

    runs: tuple[RunDetails, ...]
    comparison: Comparison
    curves: Mapping[str, Sequence[Curve]]
    parallel: str
    notes: tuple[str, ...]


def page(report: Report, now: datetime) -> str:
    """The report as one HTML document, plotly included."""
    names = [details.run.name for details in report.runs]
    title = escaped(names[0]) if len(names) == 1 else f"{len(names)} runs"
    parts = [
        *(f'<p class="note">{escaped(note, 400)}</p>' for note in report.notes),
        "<h2>Runs</h2>",
        _runs(report.runs, now),
        *_tracebacks(report.runs),
        *_parallel(report),
        *_curves(report),
        *_compared("Params", "param", report.comparison),
        *_compared("Metrics, last values", "metric", report.comparison),
    ]
    return document(title, now, parts)


def _runs(runs: Sequence[RunDetails], now: datetime) -> str:
    titles = ("Run", "State", "Experiment", "Started (UTC)", "Time", "Where", "Commit", "Command")
    return table(titles, (_run(place, details, now) for place, details in enumerate(runs)))


def _run(place: int, details: RunDetails, now: datetime) -> str:
    run = details.run
    mark = mark_of(run)
    tone = {"state.good": "good", "state.bad": "bad"}.get(mark.token, "")
    commit = (run.commit or "")[:10] + (" with changes" if details.code.get("dirty") else "")
    argv = " ".join(f"<span>{escaped(shlex.quote(word), 400)}</span>" for word in run.command[:MOST_WORDS])
    cells = (
        f'<span class="dot" style="background:{_colour(place)}"></span>{escaped(run.name)}'
        f'<br><code class="dim">{escaped(run.id)}</code>',
        f'<span class="{tone}">{mark.glyph} {mark.word}</span><br><span class="dim">{escaped(run.reason, 200)}</span>',
        escaped(run.experiment),
        (iso(run.started_at) or "")[:19].replace("T", " "),
        numbers.duration(run.duration_s(now)),
        escaped(f"{run.user}@{run.host}"),
        f"<code>{escaped(commit)}</code>",
        f"<code>{argv}</code>",
    )
    classes = {1: "reason", len(cells) - 1: "argv"}
    return "<tr>" + "".join(f'<td class="{classes.get(i, "")}">{cell}</td>' for i, cell in enumerate(cells)) + "</tr>"


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _tracebacks(runs: Sequence[RunDetails]) -> list[str]:
    return [
        f"<details><summary>Traceback of {escaped(d.run.name)}</summary><pre>{_lines(d.traceback)}</pre></details>"
        for d in runs
        if d.traceback
    ]


def _lines(text: str) -> str:
    return "\n".join(escaped(line, 500) for line in text.splitlines()[:400])


def _parallel(report: Report) -> list[str]:
    runs = [d.run for d in report.runs if _is_finite(d.run, report.parallel)]
    if not report.parallel or len(runs) < 2 or not report.comparison.differing:
        return []
    left_out = [d.run.name for d in report.runs if d.run not in runs]
    note = f"Without a finite {report.parallel}, not drawn here: {', '.join(left_out)}." if left_out else ""
    figure = parallel_figure(runs, report.comparison.differing, report.parallel)
    return [
        "<h2>Params and outcome</h2>",
        '<p class="dim">A line is a run. Drag along an axis to select, drag an axis to move it.</p>',
        f'<p class="dim">{escaped(note, 600)}</p>' if note else "",
        figure_div("parallel", figure),
    ]


def _is_finite(run: Run, key: str) -> bool:
    import math

    return key in run.metrics and math.isfinite(run.metrics[key].last)


def _curves(report: Report) -> list[str]:
    out = ["<h2>Curves</h2>"] if report.curves else []
    for number, (key, curves) in enumerate(report.curves.items()):
        out += [f"<h3>{escaped(key)}</h3>", figure_div(f"curve-{number}", curves_figure(key, curves))]
        out += [
            f'<p class="note">{escaped(one.run.name)}: {one.gaps:,} of {one.count:,} points are NaN or infinite: '
            "gaps in its line.</p>"
            for one in curves
            if one.gaps
        ]
    return out


def _compared(title: str, kind: str, comparison: Comparison) -> list[str]:
    rows = [row for row in comparison.rows if row.kind == kind]
    if not rows:
        return []
    names = (escaped(run.name, 40) for run in comparison.runs)
    return [f"<h2>{title}</h2>", table(("", *names), (_row(row) for row in rows))]


def _row(row: ComparedRow) -> str:
    cells = "".join(f'<td class="number">{_value(value)}</td>' for value in row.values)
    return f'<tr class="{"differs" if row.differs else "same"}"><td>{escaped(row.key)}</td>{cells}</tr>'


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, (int, float)):
        return numbers.number(value)
    return escaped(value if isinstance(value, str) else json.dumps(value), 200)
