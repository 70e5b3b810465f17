"""Performance before and now as lines of text and as a JSON document."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.drift import ColumnResult, Verdict
from mlconsole.domain.performance import PerformanceReport
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

ORDER = (Verdict.DRIFT, Verdict.INSUFFICIENT, Verdict.OK)
WORDS = {Verdict.DRIFT: "▲ worse", Verdict.INSUFFICIENT: "? insufficient", Verdict.OK: "✔ ok"}
RELATIVE = ("mae", "rmse")


def lines(found: PerformanceReport) -> list[str]:
    """The metrics, what got worse most first."""
    rows = f"{found.labelled:,} labelled rows against {found.labelled_reference:,}"
    of = f"  positive class {clean(found.positive)}" if found.positive else ""
    out = [f"{WORDS[found.verdict]}  {rows}{of}", *(f"  {clean(note, 300)}" for note in found.notes), ""]
    has_slices = any(one.slice for one in found.metrics)
    ranked = sorted(found.metrics, key=lambda one: (ORDER.index(one.verdict), -one.weight))
    titles = ("METRIC", "BEFORE", "NOW", "WORSE BY", "FLOOR", "P", "P ADJUSTED", "VERDICT", "LABELS", "")
    cells = [((one.slice,) if has_slices else ()) + _row(one) for one in ranked]
    right = {place + has_slices for place in (1, 2, 3, 4, 5, 6, 8)}
    return out + table(("SLICE", *titles) if has_slices else titles, cells, right)


def _row(one: ColumnResult) -> tuple[str, ...]:
    before, now = (
        numbers.number(value) for value in ((one.worst.reference, one.worst.current) if one.worst else (None, None))
    )
    chances = (f"{value:.2g}" if value is not None else "" for value in (one.p_value, one.q_value))
    worse = "" if one.effect is None else f"{one.effect:+.1%}" if one.column in RELATIVE else f"{one.effect:+.4f}"
    floor = f"{one.floor:.0%}" if one.column in RELATIVE else f"{one.floor:g}"
    return (one.column, before, now, worse, floor, *chances, WORDS[one.verdict], f"{one.n_current:,}", one.note)


def document(found: PerformanceReport) -> dict[str, Any]:
    """The document."""
    return {
        "kind": "performance",
        "reference": found.reference,
        "current": found.current,
        "verdict": "worse" if found.verdict is Verdict.DRIFT else found.verdict.value,
        "task": found.task.value,
        "positive": found.positive or None,
        "rows": found.rows,
        "rows_reference": found.rows_reference,
        "labelled": found.labelled,
        "labelled_reference": found.labelled_reference,
        "metrics": [_metric(one) for one in found.metrics],
        "notes": list(found.notes),
    }


def _metric(one: ColumnResult) -> dict[str, Any]:
    return {
        "metric": one.column,
        "slice": one.slice,
        "reference": one.worst.reference if one.worst else None,
        "current": one.worst.current if one.worst else None,
        "effect": one.effect,
        "floor": one.floor,
        "p_value": one.p_value,
        "q_value": one.q_value,
        "verdict": "worse" if one.verdict is Verdict.DRIFT else one.verdict.value,
        "n_reference": one.n_reference,
        "n_current": one.n_current,
        "note": one.note,
    }
