"""Comparing runs: which params and metrics differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from mlconsole.domain.runs import Run
from mlconsole.records import record


@record
class Comparison:
    """Runs side by side: for every param and metric its value in each run, what differs first."""

    runs: tuple[Run, ...]
    differing: tuple[str, ...]
    rows: tuple[ComparedRow, ...]


@record
class ComparedRow:
    """One param or metric across the compared runs; None where a run does not have it."""

    kind: str
    key: str
    values: tuple[object, ...]
    differs: bool


def compare(runs: Sequence[Run]) -> Comparison:
    """Every param and metric of the runs, the differing ones first, each kind in the order of its names."""
    rows = [
        *_rows("param", runs, lambda run: dict(run.params)),
        *_rows("metric", runs, lambda run: {key: summary.last for key, summary in run.metrics.items()}),
    ]
    rows.sort(key=lambda row: not row.differs)
    return Comparison(tuple(runs), tuple(row.key for row in rows if row.differs and row.kind == "param"), tuple(rows))


def _rows(kind: str, runs: Sequence[Run], values: Callable[[Run], dict[str, object]]) -> list[ComparedRow]:
    columns = [values(run) for run in runs]
    keys = sorted({key for column in columns for key in column})
    out = []
    for key in keys:
        found = tuple(column.get(key) for column in columns)
        differs = len({json.dumps(value) for value in found}) > 1
        out.append(ComparedRow(kind, key, found, differs))
    return out
