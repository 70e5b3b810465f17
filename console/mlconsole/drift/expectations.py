"""Expectations as TOML: read with the line of every mistake, and written from what data looks like."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from mlconsole.domain.drift import CategoryShape, ColumnProfile, Kind, NumberShape, Profile
from mlconsole.domain.expectations import ColumnExpectation, Expectations
from mlconsole.domain.times import parse_duration
from mlconsole.drift.grid import FEWEST_TO_NAME
from mlconsole.errors import UsageError

MOST_LISTED = 50
ROOM = 0.25
"""Inferred limits lie beyond the extremes by this share of what is between them."""
HEAD = """\
# What this data is expected to be like. Made from what it looked like: edit it to what it has to be like.
# max_age = "24h" under [table] wants fresh files; a column without a line here is not looked at.
"""
TABLE_KEYS: dict[str, type | tuple[type, ...]] = {
    "formats": list,
    "min_rows": int,
    "max_rows": int,
    "min_bytes": int,
    "max_bytes": int,
    "max_age": str,
    "new_columns": bool,
    "duplicate_files": bool,
}
COLUMN_KEYS: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "required": bool,
    "max_nulls": (int, float),
    "max_empties": (int, float),
    "max_invalid": (int, float),
    "min": (int, float),
    "max": (int, float),
    "values": list,
    "constant": bool,
}


def read(path: str) -> Expectations:
    """The expectations of a file.

    Raises:
        UsageError: there is none, or it says what is not known; names the line.
    """
    import tomllib  # 4 ms, for a file

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f'Cannot read "{path}": {error.strerror}.') from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f'"{path}" is no TOML: {error}.') from error
    for key in found:
        if key not in ("table", "columns"):
            raise _wrong(path, text, key, f'"{key}" is not known. Known: table, columns.')
    table = _checked(path, text, found.get("table", {}), TABLE_KEYS, "table")
    columns = found.get("columns", {})
    if not isinstance(columns, dict):
        raise _wrong(path, text, "columns", '"columns" is no table of columns.')
    return _table(path, text, table, {name: _column(path, text, name, body) for name, body in columns.items()})


def _table(path: str, text: str, table: dict[str, Any], columns: dict[str, ColumnExpectation]) -> Expectations:
    if (age := table.pop("max_age", None)) is not None:
        seconds = parse_duration(age)
        if seconds is None or seconds <= 0:
            raise _wrong(path, text, "max_age", f'"{age}" is no time. Write 24h or 90m.')
        table["max_age_s"] = seconds
    if "formats" in table:
        table["formats"] = tuple(str(one) for one in table["formats"])
    return Expectations(source=path, columns=columns, **table)


def _column(path: str, text: str, name: str, body: object) -> ColumnExpectation:
    found = _checked(path, text, body, COLUMN_KEYS, name)
    if "kind" in found:
        try:
            found["kind"] = Kind(found["kind"])
        except ValueError:
            known = ", ".join(kind.value for kind in Kind)
            raise _wrong(path, text, name, f'"{found["kind"]}" is no kind of values. Known: {known}.') from None
    for key in ("max_nulls", "max_empties", "max_invalid"):
        if key in found and not 0 <= found[key] <= 1:
            raise _wrong(path, text, key, f'"{found[key]}" is no share from 0 to 1.', after=name)
    if "values" in found:
        found["values"] = tuple(str(value) for value in found["values"])
    if found.get("min", -math.inf) > found.get("max", math.inf):
        raise _wrong(path, text, name, f'"min" of "{name}" is more than its "max".')
    return ColumnExpectation(**found)


def _checked(
    path: str, text: str, body: object, known: Mapping[str, type | tuple[type, ...]], name: str
) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise _wrong(path, text, name, f'"{name}" is no table.')
    for key, value in body.items():
        if key not in known:
            raise _wrong(path, text, key, f'"{key}" of "{name}" is not known. Known: {", ".join(known)}.', after=name)
        is_switch = known[key] is bool
        if not isinstance(value, known[key]) or isinstance(value, bool) is not is_switch:
            raise _wrong(
                path, text, key, f'"{key}" of "{name}" cannot be {json.dumps(value, default=str)}.', after=name
            )
    return dict(body)


def _wrong(path: str, text: str, key: str, message: str, after: str = "") -> UsageError:
    """The error with the line in which the key stands, behind the heading of its table if one is named."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.lstrip().startswith("[") and after in line), 0)
    pattern = re.compile(rf'\s*(\[.*{re.escape(key)}.*\]|"?{re.escape(key)}"?\s*=)')
    place = next((i for i in range(start if after else 0, len(lines)) if pattern.match(lines[i])), None)
    where = f"{path}:{place + 1}" if place is not None else path
    return UsageError(f'"{where}": {message}')


def inferred(profile: Profile, formats: tuple[str, ...], source: str) -> Expectations:
    """What data like this can be expected to be like."""
    columns = {column.name: _inferred(column) for column in profile.columns}
    fewest = max(1, math.floor(profile.rows * 0.5))
    return Expectations(source, formats, min_rows=fewest, new_columns=False, columns=columns)


def _inferred(column: ColumnProfile) -> ColumnExpectation:
    shape = column.shape
    rows = max(1, column.rows)
    base = ColumnExpectation(
        kind=None if column.kind is Kind.EMPTY else column.kind,
        max_nulls=_share(column.nulls / rows),
        max_invalid=_share((column.invalid + column.nans + column.infinities) / rows),
    )
    if isinstance(shape, NumberShape) and column.kind is not Kind.TIME:
        room = (shape.high - shape.low) * ROOM if math.isfinite(shape.high - shape.low) else 0.0
        low = max(0.0, shape.low - room) if shape.low >= 0 else shape.low - room
        high = min(0.0, shape.high + room) if shape.high <= 0 else shape.high + room
        limits = (math.floor(low), math.ceil(high)) if column.kind is Kind.INT else (low, high)
        return dataclasses.replace(base, min=limits[0], max=limits[1], constant=_moves(shape.low != shape.high))
    if isinstance(shape, CategoryShape):
        few = not shape.is_more and not shape.other and len(shape.values) <= MOST_LISTED
        often = few and all(count >= FEWEST_TO_NAME for count in shape.counts)
        values = tuple(sorted(shape.values)) if often else None
        empties = _share(column.empties / rows)
        return dataclasses.replace(base, values=values, max_empties=empties, constant=_moves(shape.distinct > 1))
    return base


def _moves(has_several: bool) -> bool | None:
    return False if has_several else None


def _share(found: float) -> float:
    """None stays none; of some, half as many again, to two digits."""
    return 0.0 if found == 0 else min(1.0, math.ceil(found * 150) / 100)


def written(expected: Expectations) -> str:
    """The expectations as TOML that :func:`read` reads."""
    out = [HEAD, "[table]", f"formats = {_toml(list(expected.formats))}", f"min_rows = {expected.min_rows}"]
    out += [f"new_columns = {_toml(expected.new_columns)}", f"duplicate_files = {_toml(expected.duplicate_files)}"]
    for name, column in expected.columns.items():
        out += ["", f"[columns.{json.dumps(name)}]"]
        for key in COLUMN_KEYS:
            value = getattr(column, key)
            if value is not None and not (key == "required" and value is True):
                out.append(f"{key} = {_toml(value)}")
    return "\n".join(out) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, float):
        return repr(value)
    return str(value) if isinstance(value, int) else json.dumps(str(value))
