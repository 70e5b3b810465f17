"""Profiles and reports as bytes: what is kept of them is counts, edges and names.

A profile is JSON with its arrays in base64, compressed. The counts of a window are numbers alone, in the order of the
baseline's columns, so that a thousand windows are read as one table.
"""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from collections.abc import Iterator
from typing import Any

from mlconsole.domain.drift import (
    Bin,
    CategoryShape,
    ColumnProfile,
    ColumnResult,
    DriftReport,
    Kind,
    NumberShape,
    Profile,
    SchemaFinding,
    SliceProfile,
    Verdict,
)

FACTS = 12
"""Numbers of a column before its cells: rows, nulls, empties, nans, infinities, invalid, mean, std, low, high, below,
above; of categories the mean is how many are distinct."""


def packed(profile: Profile) -> bytes:
    """A profile as bytes."""
    document = {
        "source": profile.source,
        "rows": profile.rows,
        "digest": profile.digest,
        "files": profile.files,
        "notes": profile.notes,
        "columns": [_column(column) for column in profile.columns],
        "slices": [[s.column, s.value, s.rows, [_column(column) for column in s.columns]] for s in profile.slices],
    }
    return zlib.compress(json.dumps(document).encode())


def unpacked(data: bytes) -> Profile:
    """The profile that :func:`packed` made bytes of."""
    found = json.loads(zlib.decompress(data))
    columns = tuple(_profile(column) for column in found["columns"])
    slices = tuple(SliceProfile(c, v, n, tuple(_profile(one) for one in own)) for c, v, n, own in found["slices"])
    return Profile(
        found["source"], found["rows"], columns, slices, found["digest"], found["files"], tuple(found["notes"])
    )


def _column(column: ColumnProfile) -> dict[str, Any]:
    shape: dict[str, Any] | None = None
    if isinstance(column.shape, NumberShape):
        own = column.shape
        shape = {
            "edges": base64.b64encode(own.edges.tobytes()).decode(),
            "counts": base64.b64encode(own.counts.tobytes()).decode(),
            "facts": [own.mean, own.std, own.low, own.high, own.below, own.above],
        }
    elif isinstance(column.shape, CategoryShape):
        other = column.shape
        named = {"values": other.values, "counts": other.counts, "other": other.other}
        shape = {**named, "distinct": other.distinct, "more": other.is_more, "drawers": other.drawers}
    lost = [column.nulls, column.empties, column.nans, column.infinities, column.invalid]
    return {"name": column.name, "kind": column.kind.value, "rows": column.rows, "lost": lost, "shape": shape}


def _profile(found: dict[str, Any]) -> ColumnProfile:
    own = found["shape"]
    shape: NumberShape | CategoryShape | None = None
    if own is not None and "edges" in own:
        edges, counts = (array("d", base64.b64decode(own[name])) for name in ("edges", "counts"))
        shape = NumberShape(edges, counts, *own["facts"])
    elif own is not None:
        values = (tuple(own["values"]), tuple(own["counts"]), own["other"], own["distinct"], own["more"])
        shape = CategoryShape(*values, tuple(own.get("drawers", ())))
    nulls, empties, nans, infinities, invalid = found["lost"]
    head = (found["name"], Kind(found["kind"]), found["rows"])
    return ColumnProfile(*head, nulls, empties, nans, infinities, invalid, shape)


def _every(profile: Profile) -> Iterator[ColumnProfile]:
    yield from profile.columns
    for one in profile.slices:
        yield from one.columns


def window_counts(baseline: Profile, window: Profile) -> bytes:
    """The counts of a window that was counted on its baseline's grid, as bytes.

    The cells of a column are those of the baseline, also where a column that had no value there has some now: all that
    is read of a window again is told by its place.
    """
    out = array("d")
    own = {("", "", column.name): column for column in window.columns}
    own |= {(s.column, s.value, column.name): column for s in window.slices for column in s.columns}
    for column, place in zip(_every(baseline), _places(baseline), strict=True):
        found = own.get(place, ColumnProfile(column.name, column.kind, 0))
        out.extend(_facts(found))
        shape, wanted = found.shape, column.shape
        if isinstance(wanted, NumberShape):
            out.extend(shape.counts if isinstance(shape, NumberShape) else [0.0] * len(wanted.counts))
        elif isinstance(wanted, CategoryShape):
            rest = len(wanted.drawers) or 1
            if isinstance(shape, CategoryShape):
                out.extend([*shape.counts, *(shape.drawers if wanted.drawers else (shape.other,))])
            else:
                out.extend([0.0] * (len(wanted.values) + rest))
    return zlib.compress(out.tobytes(), 1)


def _places(profile: Profile) -> Iterator[tuple[str, str, str]]:
    yield from (("", "", column.name) for column in profile.columns)
    for one in profile.slices:
        yield from ((one.column, one.value, column.name) for column in one.columns)


def _facts(column: ColumnProfile) -> list[float]:
    lost = [column.rows, column.nulls, column.empties, column.nans, column.infinities, column.invalid]
    shape = column.shape
    if isinstance(shape, NumberShape):
        return [*lost, shape.mean, shape.std, shape.low, shape.high, shape.below, shape.above]
    if isinstance(shape, CategoryShape):
        return [*lost, shape.distinct, 0, 0, 0, 0, 0]
    return [*lost, 0, 0, 0, 0, 0, 0]


def window_numbers(data: bytes) -> array[float]:
    """What :func:`window_counts` made bytes of."""
    out = array("d")
    out.frombytes(zlib.decompress(data))
    return out


def window_profile(baseline: Profile, data: bytes, label: str, rows: int) -> Profile:
    """The profile of a window, from its counts and its baseline."""
    numbers = window_numbers(data)
    columns = []
    place = 0
    for column in baseline.columns:
        facts = numbers[place : place + FACTS]
        place += FACTS
        shape: NumberShape | CategoryShape | None = None
        wanted = column.shape
        if isinstance(wanted, NumberShape):
            cells = numbers[place : place + len(wanted.counts)]
            place += len(cells)
            shape = NumberShape(wanted.edges, cells, *facts[6:]) if sum(cells) else None
        elif isinstance(wanted, CategoryShape):
            named = len(wanted.values)
            cells = numbers[place : place + named + (len(wanted.drawers) or 1)]
            place += len(cells)
            counts, rest = ([int(count) for count in part] for part in (cells[:named], cells[named:]))
            told = (wanted.values, tuple(counts), sum(rest), int(facts[6]))
            drawers = tuple(rest) if wanted.drawers else ()
            shape = CategoryShape(*told, drawers=drawers) if sum(cells) else None
        own, nulls, empties, nans, infinities, invalid = (int(fact) for fact in facts[:6])
        head = (column.name, column.kind, own)
        columns.append(ColumnProfile(*head, nulls, empties, nans, infinities, invalid, shape))
    return Profile(label, rows, tuple(columns))


def packed_report(report: DriftReport) -> bytes:
    """A report as bytes."""
    document = {
        "head": [report.reference, report.current, report.verdict.value, report.rows_reference, report.rows],
        "columns": [_result(one) for one in report.columns],
        "schema": [[one.column, one.level, one.message] for one in report.schema],
        "notes": report.notes,
        "tail": [report.level, report.monitor, report.window],
    }
    return zlib.compress(json.dumps(document).encode(), 1)


def _result(one: ColumnResult) -> list[Any]:
    worst = None if one.worst is None else [one.worst.label, one.worst.reference, one.worst.current]
    sizes = [one.n_reference, one.n_current, one.floor, one.q_value]
    return [one.column, one.test, one.effect, one.p_value, one.verdict.value, *sizes, worst, one.note, one.slice]


def unpacked_report(data: bytes) -> DriftReport:
    """The report that :func:`packed_report` made bytes of."""
    found = json.loads(zlib.decompress(data))
    reference, current, verdict, rows_reference, rows = found["head"]
    columns = []
    for column, test, effect, chance, own, n, m, floor, q, worst, note, piece in found["columns"]:
        moved = None if worst is None else Bin(*worst)
        columns.append(ColumnResult(column, test, effect, chance, Verdict(own), n, m, floor, q, moved, note, piece))
    schema = tuple(SchemaFinding(*one) for one in found["schema"])
    head = (reference, current, Verdict(verdict), rows_reference, rows)
    return DriftReport(*head, tuple(columns), schema, tuple(found["notes"]), *found["tail"])
