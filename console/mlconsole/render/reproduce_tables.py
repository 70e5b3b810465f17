"""Differences of runs, and reproductions, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.reproduce import Reproduction, Verdict
from mlconsole.domain.run_diff import Difference, RunDiff
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

GLYPHS = {Verdict.IDENTICAL: "✔", Verdict.WITHIN: "✔", Verdict.DIVERGED: "✖", Verdict.NOT_RUN: "?"}


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of such a result; None for any other."""
    if isinstance(result, RunDiff):
        if not result.rows:
            return [clean(f"{result.before.name} and {result.after.name} differ in nothing that was recorded.", 300)]
        return diff_lines(result.rows, result.before.name, result.after.name)
    if isinstance(result, Reproduction):
        return _reproduction(result)
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """None: there are no lists of these."""
    return None


def diff_lines(rows: Sequence[Difference], before: str, after: str) -> list[str]:
    """One row a difference, causes first."""
    cells = [(row.axis.value, row.key, row.before or "-", row.after or "-") for row in rows]
    return table(("AXIS", "WHAT", clean(before, 40), clean(after, 40)), cells)


def _reproduction(result: Reproduction) -> list[str]:
    again = f"  again as {result.again.id}" if result.again else ""
    out = [clean(f"{GLYPHS[result.verdict]} {result.verdict.value}: {result.words}{again}", 1000)]
    if result.first is not None:
        first = result.first
        out.append(clean(f"first difference: {first.axis.value} {first.key}: {first.before} -> {first.after}", 1000))
    rows = [*result.inputs, *result.outputs]
    out += diff_lines(rows, result.run.name, "again") if rows else []
    return out + [clean(f"note: {note}", 1000) for note in result.notes]
