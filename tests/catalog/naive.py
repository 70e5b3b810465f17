"""The filter language, evaluated the simple way: over Python objects, one run after the other."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from catalogkit import MadeRun
from mlconsole.domain.query import And, Compare, Expression, Field, FieldKind, Has, Not, Or, Query, Sort
from mlconsole.domain.times import parse_duration, parse_when

Value = float | str | None
OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "<": lambda a, b: a < b,  # type: ignore[operator]
    "<=": lambda a, b: a <= b,  # type: ignore[operator]
    ">": lambda a, b: a > b,  # type: ignore[operator]
    ">=": lambda a, b: a >= b,  # type: ignore[operator]
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
TIMES = ("created", "started", "ended")
MEASURES = ("duration", "age", "exit_code", "gpus")


class Naive:
    """Runs in memory, in the order they were added."""

    def __init__(self, runs: Sequence[MadeRun], now: datetime) -> None:
        self.runs = list(runs)
        self.now = now
        self.metrics = {key for run in runs for key, values in run.metrics.items() if values}
        self.params = {key for run in runs for key in run.params}
        self.tags = {key for run in runs for key in run.tags}

    def ids(self, query: Query) -> list[str]:
        """Ids of the runs that the query keeps, in its order."""
        kept = [i for i, run in enumerate(self.runs) if query.where is None or self.holds(run, query.where)]
        keys = [key for key in query.sort if key.field.kind is FieldKind.BUILTIN or self.table(key.field)]
        kept.sort(key=functools.cmp_to_key(lambda a, b: self.compare(a, b, keys)))
        return [self.runs[i].id for i in kept]

    def holds(self, run: MadeRun, item: Expression) -> bool:
        """Whether the run passes."""
        if isinstance(item, And):
            return all(self.holds(run, part) for part in item.items)
        if isinstance(item, Or):
            return any(self.holds(run, part) for part in item.items)
        if isinstance(item, Not):
            return not self.holds(run, item.item)
        if isinstance(item, Has):
            return self.has(run, item.field)
        if item.field.kind is FieldKind.BUILTIN:
            return self.builtin_holds(run, item)
        key, kind = item.field.name, item.field.kind
        found = []
        numeric = item.number is not None and item.op not in ("~", "!~")
        if kind in (FieldKind.METRIC, FieldKind.ANY) and run.metrics.get(key) and numeric:
            found.append(numbers(aggregate(run.metrics[key], item.field.aggregate), item.op, item.number or 0.0))
        if kind in (FieldKind.PARAM, FieldKind.ANY) and key in run.params:
            found.append(param_holds(run.params[key], item))
        if kind is FieldKind.TAG and key in run.tags:
            found.append(texts(run.tags[key], item.op, item.value))
        return any(found)

    def has(self, run: MadeRun, field: Field) -> bool:
        if field.kind is FieldKind.BUILTIN:
            return self.builtin(run, field.name) not in (None, "")
        held = {
            FieldKind.METRIC: bool(run.metrics.get(field.name)),
            FieldKind.PARAM: field.name in run.params,
            FieldKind.TAG: field.name in run.tags,
        }
        return any(held.values()) if field.kind is FieldKind.ANY else held[field.kind]

    def builtin(self, run: MadeRun, name: str) -> object:
        if name == "duration":
            return None if run.started is None else max(0.0, seconds((run.ended or self.now) - run.started))
        if name == "age":
            return max(0.0, seconds(self.now - run.created))
        if name == "command":
            return json.dumps(run.command)
        value = getattr(run, name)
        return value.value if hasattr(value, "value") else value

    def builtin_holds(self, run: MadeRun, item: Compare) -> bool:
        name = item.field.name
        value = self.builtin(run, name)
        if name in TIMES:
            assert value is None or isinstance(value, datetime)
            return value is not None and self.time_holds(value, item)
        if name in MEASURES:
            wanted = parse_duration(item.value) if name in ("duration", "age") else item.number
            return value is not None and OPERATORS[item.op](value, wanted)
        if name == "state" and item.op in ("=", "!=") and item.value in ("succeeded", "failed", "cancelled"):
            value = self.builtin(run, "outcome")
        text = "" if value is None else str(value)
        if name == "id" and item.op == "=":
            return text.startswith(item.value)
        return texts(text, item.op, item.value)

    def time_holds(self, value: datetime, item: Compare) -> bool:
        wanted = parse_when(item.value, self.now)
        assert wanted is not None
        if item.op not in ("=", "!="):
            return OPERATORS[item.op](value, wanted)
        day = item.value in ("today", "yesterday") or len(item.value) == 10
        start = wanted if day else wanted.replace(microsecond=0)
        inside = start <= value < start + (timedelta(days=1) if day else timedelta(seconds=1))
        return inside is (item.op == "=")

    def table(self, field: Field) -> str:
        names = {"metric": self.metrics, "param": self.params, "tag": self.tags}
        if field.kind is not FieldKind.ANY:
            return field.kind.value
        return next((table for table in names if field.name in names[table]), "")

    def place(self, run: MadeRun, key: Sort) -> tuple[int, Value]:
        """The group of the run under a sort key (0 for a value, later ones for text, NaN and none), and the value."""
        field = key.field
        if field.kind is FieldKind.BUILTIN:
            value = self.builtin(run, field.name)
            number = value.timestamp() if isinstance(value, datetime) else value
            return (0, number) if number is not None else (1, None)  # type: ignore[return-value]
        table = self.table(field)
        if table == "metric":
            if not run.metrics.get(field.name):
                return 2, None
            found = aggregate(run.metrics[field.name], field.aggregate)
            return (1, None) if math.isnan(found) else (0, found)
        if table == "tag":
            return (0, run.tags[field.name]) if field.name in run.tags else (2, None)
        if field.name not in run.params:
            return 2, None
        param = run.params[field.name]
        number = as_number(param)
        return (1, as_text(param)) if number is None else (0, number)

    def compare(self, a: int, b: int, keys: Sequence[Sort]) -> int:
        """Below zero when run ``a`` stands before run ``b``."""
        for key in keys:
            group_a, value_a = self.place(self.runs[a], key)
            group_b, value_b = self.place(self.runs[b], key)
            if group_a != group_b:
                return group_a - group_b
            if value_a != value_b:
                before = value_a < value_b  # type: ignore[operator]
                return -1 if before is not key.descending else 1
        first = keys[0] if keys else None
        newest = first is None or self.place(self.runs[a], first)[1] is None or first.descending
        return b - a if newest else a - b


def aggregate(values: Sequence[float], name: str) -> float:
    finite = [value for value in values if math.isfinite(value)]
    table = {"last": values[-1], "count": len(values), "step": len(values) - 1}
    table |= {"min": min(finite, default=math.nan), "max": max(finite, default=math.nan)}
    return table[name]


def numbers(value: float, op: str, wanted: float) -> bool:
    if math.isnan(wanted):
        return math.isnan(value) if op == "=" else op == "!=" and not math.isnan(value)
    return OPERATORS[op](value, wanted)


def texts(value: str, op: str, wanted: str) -> bool:
    if op in ("~", "!~"):
        return (lowered(wanted) in lowered(value)) is (op == "~")
    return OPERATORS[op](value, wanted)


def param_holds(param: object, item: Compare) -> bool:
    text, number, wanted = as_text(param), as_number(param), item.number
    if item.op in ("~", "!~"):
        return texts(text, item.op, item.value)
    words = {item.value}
    if not item.quoted:
        words.add({"true": "true", "false": "false", "none": "null", "nan": "NaN"}.get(item.value.lower(), item.value))
    if item.op in ("=", "!="):
        equal = text in words or (number is not None and wanted is not None and number == wanted)
        return equal is (item.op == "=")
    if wanted is None:
        return number is None and OPERATORS[item.op](text, item.value)
    return number is not None and OPERATORS[item.op](number, wanted)


def as_text(param: object) -> str:
    return param if isinstance(param, str) else json.dumps(param)


def as_number(param: object) -> float | None:
    if isinstance(param, bool) or not isinstance(param, (int, float)) or math.isnan(param):
        return None
    return float(param)


def lowered(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def seconds(span: timedelta) -> float:
    return span / timedelta(seconds=1)
