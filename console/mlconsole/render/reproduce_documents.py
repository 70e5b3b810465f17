"""Differences of runs, and reproductions, as JSON documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlconsole.domain.reproduce import Reproduction
from mlconsole.domain.run_diff import Difference, RunDiff

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of such a result; None for any other."""
    if isinstance(result, RunDiff):
        first = result.first_input
        return {
            "kind": "run_diff",
            "before": result.before.id,
            "after": result.after.id,
            "first_input": _row(first) if first else None,
            "rows": _rows(result.rows),
        }
    if isinstance(result, Reproduction):
        return {
            "kind": "reproduction",
            "run": result.run.id,
            "again": result.again.id if result.again else None,
            "verdict": result.verdict.value,
            "first_difference": _row(result.first) if result.first else None,
            "words": result.words,
            "inputs": _rows(result.inputs),
            "outputs": _rows(result.outputs),
            "notes": list(result.notes),
        }
    return None


def item(thing: object) -> Document | None:
    """None: there are no lists of these."""
    return None


def _rows(rows: Sequence[Difference]) -> list[Document]:
    return [_row(row) for row in rows]


def _row(row: Difference) -> Document:
    return {"axis": row.axis.value, "key": row.key, "before": row.before, "after": row.after}
