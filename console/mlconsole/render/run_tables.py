"""Runs in full, side by side and point by point, and experiments, as lines of plain text."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.compare import Comparison
from mlconsole.domain.experiments import Experiment
from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.columns import spent_text, tags_text
from mlconsole.render.sanitise import clean
from mlconsole.render.states import mark_of
from mlconsole.render.tables import table


def lines(result: object, now: datetime) -> list[str] | None:
    """The result as lines, None for what is not known here."""
    if isinstance(result, Comparison):
        return _comparison(result)
    if isinstance(result, RunDetails):
        return _details(result, now)
    if isinstance(result, MetricHistory):
        rows = zip(result.steps, result.times, result.values, strict=True)
        return table(
            ("STEP", "TIME", clean(result.key)),
            [(str(s), f"{t:.3f}", repr(v)) for s, t, v in rows],
            {0, 1, 2},
        )
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The things as one table, None for things that are not known here."""
    experiments = [item for item in items if isinstance(item, Experiment)]
    if not experiments:
        return None
    titles = ("EXPERIMENT", "RUNS", "RUNNING", "FAILED", "LAST RUN")
    rows = [(e.name, str(e.runs), str(e.running), str(e.failed), numbers.ago(e.last_run_at, now)) for e in experiments]
    return table(titles, rows, {1, 2, 3, 4})


def _comparison(comparison: Comparison) -> list[str]:
    titles = ("", "", *(clean(run.name, 24) for run in comparison.runs))
    rows = [
        ("*" if row.differs else "", f"{row.kind} {row.key}", *(_compared(value) for value in row.values))
        for row in comparison.rows
    ]
    states = ("", "state", *(mark_of(run).word for run in comparison.runs))
    return [*table(titles, [states, *rows], set(range(2, len(titles)))), "* differs"]


def _compared(value: object) -> str:
    if value is None:
        return "-"
    return numbers.number(value) if isinstance(value, (int, float)) else str(value)


def _details(details: RunDetails, now: datetime) -> list[str]:
    run = details.run
    mark = mark_of(run)
    pairs = [
        ("run", f"{run.name}  ({run.id})"),
        ("state", " ".join(part for part in (mark.glyph, mark.word, run.why) if part)),
        ("exit code", "" if run.exit_code is None else str(run.exit_code)),
        ("experiment", run.experiment),
        ("tags", tags_text(run)),
        ("started", iso(run.started_at) or ""),
        ("ended", iso(run.ended_at) or ""),
        ("time", numbers.duration(run.duration_s(now))),
        ("cost", spent_text(run)),
        ("where", f"{run.user}@{run.host}:{run.cwd}  backend {run.backend or 'none'}"),
        ("command", shlex.join(run.command)),
        ("commit", (run.commit or "") + (" with changes" if details.code.get("dirty") else "")),
        ("cleanup", run.cleanup),
    ]
    out = [f"{title:12}{clean(text, 2000)}" for title, text in pairs if text]
    if run.params:
        out += ["", *table(("PARAM", "VALUE"), [(k, _compared(v)) for k, v in run.params.items()])]
    if run.metrics:
        rows = [
            (
                k,
                numbers.number(m.last),
                numbers.number(m.min),
                numbers.number(m.max),
                str(m.step),
                str(m.count),
            )
            for k, m in run.metrics.items()
        ]
        out += ["", *table(("METRIC", "LAST", "MIN", "MAX", "STEP", "POINTS"), rows, {1, 2, 3, 4, 5})]
    if details.artifacts:
        rows2 = [(a.kind, a.name, numbers.size(a.size_bytes), a.path) for a in details.artifacts]
        out += ["", *table(("ARTIFACT", "NAME", "SIZE", "PATH"), rows2, {2})]
    out += [
        clean(f"teardown    {shlex.join(each.command)}: {each.message or each.state.value}", 1000)
        for each in details.teardown
    ]
    out += ["", "Timeline"]
    out += [
        f"  {iso(c.at)}  {c.outcome.value if c.outcome else c.state.value:14}{clean(c.evidence)}"
        for c in details.timeline
    ]
    if details.traceback:
        out += ["", *clean(details.traceback, 65_536, 400).splitlines()]
    return out + [clean(f"damaged: {text}", 1000) for text in details.damage]
