"""Which rows of a short list are shown, and in which order, as the line behind ``:`` or ``/`` says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mlconsole.domain.query import And, Compare, Expression, Has, Not, Or, Query
from mlconsole.errors import QueryError
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Row, Value

_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def check(query: Query, columns: Sequence[Column]) -> None:
    """See that a line names columns of this list alone.

    Raises:
        QueryError: it names something else; points at the field.
    """
    keys = {column.key for column in columns}
    known = f"Columns here: {', '.join(column.key for column in columns)}."
    for name, start, end in [*_fields(query.where), *((sort.field.name, 0, 0) for sort in query.sort)]:
        if name not in keys:
            raise QueryError(f'No column "{name}" here.', known, text=query.text, start=start, end=end)
    for name in query.columns:
        if name not in keys:
            raise QueryError(f'No column "{name}" here.', known)


def _fields(item: Expression | None) -> list[tuple[str, int, int]]:
    """The columns that a filter names; a bare word names none: it may stand in any."""
    if isinstance(item, Compare):
        return [] if is_bare(item) else [(item.field.name, item.field.start, item.field.end)]
    if isinstance(item, Has):
        return [(item.field.name, item.field.start, item.field.end)]
    if isinstance(item, Not):
        return _fields(item.item)
    return [found for part in item.items for found in _fields(part)] if isinstance(item, And | Or) else []


def is_bare(item: Compare) -> bool:
    """True for a word without a field."""
    return item.op == "~" and item.quoted and item.field.start == item.start


def picked(rows: Sequence[Row], query: Query, columns: Sequence[Column]) -> list[Row]:
    """The rows that a line asks for, in its order. Rows under others stay with them, and last ones stay last."""
    if query.where is None and not query.sort and not any(row.under or row.is_last for row in rows):
        return list(rows)
    cells = {column.key: index for index, column in enumerate(columns)}
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.under or row.key, []).append(row)
    kept = [group for group in (_kept(group, query.where, cells) for group in groups.values()) if group]
    last = [group for group in kept if group[0].is_last]
    others = [group for group in kept if not group[0].is_last]
    for sort in reversed(query.sort):
        key = sort.field.name
        others = _sorted(others, lambda group, key=key: _value(group[0], key, cells), sort.descending)
        others = [
            [*group[:1], *_sorted(group[1:], lambda row, key=key: _value(row, key, cells), sort.descending)]
            for group in others
        ]
    return [row for group in [*others, *last] for row in group]


def are_alike(some: Sequence[Row], others: Sequence[Row]) -> bool:
    """Whether two lists show the same; ten thousand rows are compared in some milliseconds."""
    return len(some) == len(others) and all(
        one is other or (one.cells == other.cells and one.key == other.key and one.under == other.under)
        for one, other in zip(some, others, strict=True)
    )


def _kept(group: list[Row], where: Expression | None, cells: dict[str, int]) -> list[Row]:
    """A row with all that is under it, or with what of that fits."""
    if where is None or group[0].is_last or _fits(where, group[0], cells):
        return group
    fitting = [row for row in group[1:] if _fits(where, row, cells)]
    return [group[0], *fitting] if fitting else []


def _sorted(items: list, value: Callable[..., Value], descending: bool) -> list:  # type: ignore[type-arg]
    """Numbers before texts, and what has no value last in either direction."""
    known = [item for item in items if not _is_missing(value(item))]
    unknown = [item for item in items if _is_missing(value(item))]

    def rank(item: object) -> tuple[bool, float, str]:
        found = value(item)
        return (True, 0.0, found.casefold()) if isinstance(found, str) else (False, float(found or 0.0), "")

    return [*sorted(known, key=rank, reverse=descending), *unknown]


def _is_missing(value: Value) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _value(row: Row, key: str, cells: dict[str, int]) -> Value:
    """What a row has in a column: the figure behind the text where the row tells it."""
    for name, value in row.values:
        if name == key:
            return value
    index = cells[key]
    return row.cells[index][0].strip() if index < len(row.cells) else ""


def _text(row: Row, key: str, cells: dict[str, int]) -> str:
    index = cells[key]
    return row.cells[index][0] if index < len(row.cells) else ""


def _fits(item: Expression, row: Row, cells: dict[str, int]) -> bool:
    if isinstance(item, Compare):
        return _compares(item, row, cells)
    if isinstance(item, Has):
        return not _is_missing(_value(row, item.field.name, cells))
    if isinstance(item, Not):
        return not _fits(item.item, row, cells)
    if isinstance(item, And):
        return all(_fits(part, row, cells) for part in item.items)
    return any(_fits(part, row, cells) for part in item.items)


def _compares(item: Compare, row: Row, cells: dict[str, int]) -> bool:
    wanted = item.value.casefold()
    if is_bare(item):
        return any(wanted in text.casefold() for text, _ in row.cells) or wanted in row.key.casefold()
    value, number = _value(row, item.field.name, cells), item.number
    if number is not None and isinstance(value, int | float) and item.op in _ORDERS:
        return _ORDERS[item.op](value, number)
    if item.op in ("!=", "!~"):
        return wanted not in _text(row, item.field.name, cells).casefold()
    return item.op in ("=", "~") and wanted in _text(row, item.field.name, cells).casefold()
