"""The filter language over the fields of one event: ``outcome:failed experiment=digits tag.team=nlp``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mlconsole.domain.events import Event
from mlconsole.domain.query import And, Compare, Expression, Field, FieldKind, Has, Not, Or, parse
from mlconsole.errors import QueryError

MISSING = object()


def condition(text: str) -> Expression | None:
    """What a condition says; None for an empty one.

    Raises:
        QueryError: it does not parse, or sorts or picks columns, which an event has none of.
    """
    query = parse(text)
    if query.sort or query.columns:
        raise QueryError("A condition neither sorts nor picks columns.", text=text, start=0, end=len(text))
    return query.where


def fits(item: Expression | None, event: Event) -> bool:
    """True when the event is such a one. A field that it does not have fits nothing."""
    if item is None:
        return True
    if isinstance(item, And):
        return all(fits(part, event) for part in item.items)
    if isinstance(item, Or):
        return any(fits(part, event) for part in item.items)
    if isinstance(item, Not):
        return not fits(item.item, event)
    if isinstance(item, Has):
        return value_of(event, item.field) is not MISSING
    return _compares(item, value_of(event, item.field))


def fields_of(item: Expression | None) -> Iterator[Field]:
    """The fields that a condition looks at."""
    if isinstance(item, (And, Or)):
        for part in item.items:
            yield from fields_of(part)
    elif isinstance(item, Not):
        yield from fields_of(item.item)
    elif isinstance(item, (Has, Compare)):
        yield item.field


def required(item: Expression | None) -> dict[str, str]:
    """The fields that must have one certain value, for whatever fits."""
    parts = item.items if isinstance(item, And) else (item,)
    return {p.field.name: p.value for p in parts if isinstance(p, Compare) and p.op == "="}


def value_of(event: Event, place: Field) -> Any:
    """A field of an event; :data:`MISSING` where it has none of that name, or none is known."""
    if place.kind is FieldKind.TAG:
        return look_up(event.data, f"tag.{place.name}")
    if place.name == "subject" and "subject" not in event.data:
        return event.subject
    return look_up(event.data, place.name)


def look_up(data: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path, or under the whole of it as one name."""
    if path in data:
        return MISSING if data[path] is None else data[path]
    head, dot, rest = path.partition(".")
    inner = data.get(head)
    return look_up(inner, rest) if dot and isinstance(inner, Mapping) else MISSING


def _compares(test: Compare, found: Any) -> bool:
    if found is MISSING:
        return test.op in ("!=", "!~")
    if test.op in ("~", "!~"):
        return (test.value.lower() in str(found).lower()) == (test.op == "~")
    number = test.number
    if number is not None and isinstance(found, (int, float)) and not isinstance(found, bool):
        return _ordered(test.op, float(found), number)
    text = str(found).lower() if isinstance(found, bool) else str(found)
    if test.op in ("=", "!="):
        return (text == test.value) == (test.op == "=")
    return _ordered(test.op, text, test.value)


def _ordered(op: str, found: Any, wanted: Any) -> bool:
    if op == "=" and isinstance(wanted, float) and math.isnan(wanted):
        return math.isnan(found)
    results: dict[str, bool] = {"<": found < wanted, "<=": found <= wanted, ">": found > wanted, ">=": found >= wanted}
    return results.get(op, bool(found == wanted) == (op == "="))
