"""Drift, checks and monitors as JSON documents."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mlconsole.domain.drift import Bin, CheckFinding, CheckReport, ColumnResult, DriftReport, SchemaFinding
from mlconsole.domain.monitors import Baseline, MonitorCheck, MonitorPage, MonitorState, Replay, WindowSummary
from mlconsole.domain.parity import Parity
from mlconsole.domain.performance import PerformanceReport
from mlconsole.domain.times import iso
from mlconsole.records import asdict
from mlconsole.render import parity, performance

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about drift; None for any other."""
    if isinstance(result, DriftReport):
        kind = "monitor_check" if result.monitor else "drift"
        return {"kind": kind, **report_document(result)}
    if isinstance(result, MonitorCheck):
        windows = [window_document(window) for window in result.windows]
        return {
            "kind": "monitor_check",
            **report_document(result.report),
            "windows": windows,
            "waiting": result.waiting,
            "unread": list(result.unread),
        }
    if isinstance(result, MonitorPage):
        report = None if result.report is None else report_document(result.report)
        baselines = [_baseline(one) for one in result.baselines]
        return {"kind": "monitor", **monitor_document(result.state), "baselines": baselines, "report": report}
    if isinstance(result, Replay):
        return _replay(result)
    if isinstance(result, CheckReport):
        return {"kind": "check", **check_document(result)}
    if isinstance(result, Parity):
        return parity.document(result)
    if isinstance(result, PerformanceReport):
        return performance.document(result)
    return None


def item(thing: object) -> Document | None:
    """An element of a list about drift; None for any other."""
    if isinstance(thing, MonitorState):
        return monitor_document(thing)
    return report_document(thing) if isinstance(thing, DriftReport) else None


def report_document(report: DriftReport) -> Document:
    """A comparison, with the field names that scripts rely on."""
    verdicts = Counter(result.verdict.value for result in report.columns)
    return {
        **({"monitor": report.monitor, "window": report.window} if report.monitor else {}),
        "reference": report.reference,
        "current": report.current,
        "verdict": report.verdict.value,
        "rows": report.rows,
        "rows_reference": report.rows_reference,
        "level": report.level,
        "verdicts": dict(sorted(verdicts.items())),
        "columns": [result_document(result) for result in report.columns],
        "schema": [_schema(finding) for finding in report.schema],
        "notes": list(report.notes),
    }


def result_document(result: ColumnResult) -> Document:
    """What one test says of one column."""
    return {
        "column": result.column,
        "test": result.test,
        "effect": result.effect,
        "p_value": result.p_value,
        "verdict": result.verdict.value,
        "n_reference": result.n_reference,
        "n_current": result.n_current,
        "floor": result.floor,
        "q_value": result.q_value,
        "worst": None if result.worst is None else _bin(result.worst),
        "note": result.note,
        "slice": result.slice,
    }


def _bin(worst: Bin) -> Document:
    return {"label": worst.label, "reference": worst.reference, "current": worst.current}


def _schema(finding: SchemaFinding) -> Document:
    return {"column": finding.column, "level": finding.level, "message": finding.message}


def check_document(report: CheckReport) -> Document:
    """A check of data: ``verdict`` is ok or failed."""
    failures = [finding for finding in report.findings if finding.level == "failure"]
    return {
        "source": report.source,
        "verdict": "failed" if failures else "ok",
        "rows": report.rows,
        "files": report.files,
        "expectations": report.expectations,
        "failed": len(failures),
        "findings": [_finding(finding) for finding in report.findings],
        "suppressed": list(report.suppressed),
    }


def _finding(finding: CheckFinding) -> Document:
    return {
        "check": finding.check,
        "column": finding.column,
        "level": finding.level,
        "message": finding.message,
        "count": finding.count,
        "expected": finding.expected,
        "found": finding.found,
    }


def monitor_document(state: MonitorState) -> Document:
    """A monitor and how it stands; ``verdict`` is that of its newest window."""
    monitor, newest = state.monitor, state.newest
    return {
        "name": monitor.name,
        "verdict": newest.verdict.value if newest else None,
        "alert": state.alert or "ok",
        "worst": newest.worst if newest else "",
        "rows": newest.rows if newest else 0,
        "windows": state.total,
        "baseline": monitor.baseline.source,
        "baseline_rows": monitor.baseline.rows,
        "baseline_digest": monitor.baseline.digest,
        "baseline_since": iso(monitor.baseline.since),
        "live": monitor.live,
        "window": monitor.window.text,
        "tests": list(monitor.tests),
        "watched": list(monitor.columns),
        "slices": list(monitor.slices),
        "predictions": None if monitor.predictions is None else asdict(monitor.predictions),
        "level": monitor.rule.level,
        "floors": dict(monitor.rule.floors),
        "every_s": monitor.every_s,
        "opens": list(monitor.opens),
        "closes": monitor.closes,
        "created_at": iso(monitor.created_at),
        "created_by": monitor.created_by,
        "checked_at": iso(monitor.checked_at),
        "fed_at": iso(monitor.fed_at),
        "silent_after_s": state.silent_after_s,
        "silence": state.silence or "ok",
        "trouble": monitor.trouble,
        "recent": [window_document(window) for window in state.windows],
    }


def _baseline(one: Baseline) -> Document:
    facts = {"number": one.number, "baseline": one.source, "rows": one.rows, "digest": one.digest}
    return {**facts, "since": iso(one.since), "by": one.set_by, "why": one.why}


def window_document(window: WindowSummary) -> Document:
    """A judged window."""
    return {
        "window": window.label,
        "verdict": window.verdict.value,
        "rows": window.rows,
        "drifted": window.drifted,
        "worst": window.worst,
        "test": window.worst_test,
        "effect": window.worst_effect,
        "began_at": iso(window.began_at),
        "ended_at": iso(window.ended_at),
        "judged_at": iso(window.judged_at),
        "baseline": window.baseline,
    }


def _replay(found: Replay) -> Document:
    rows = [
        {
            "factor": row.factor,
            "level": row.level,
            "windows": row.windows,
            "drift": row.drift,
            "alerts": row.alerts,
            "alerts_per_week": row.alerts_per_week,
        }
        for row in found.rows
    ]
    windows = [window_document(window) for window in found.windows]
    return {"kind": "replay", "monitor": found.monitor, "span_s": found.span_s, "thresholds": rows, "windows": windows}
