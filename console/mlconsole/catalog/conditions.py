"""Compiles the tests of the filter language to SQL conditions.

A condition is text in which ``{n}`` stands for the run's number, so that it can be asked of rows of any table, and
``own`` for the row of a metric, param or tag; what a person wrote reaches SQLite in parameters alone. A condition on
columns of ``run`` needs that table beside it.
"""

from __future__ import annotations

import math
import re
from datetime import datetime

from mlconsole.catalog.fields import COLUMNS, MEASURED, Fields
from mlconsole.catalog.store import Values, storable
from mlconsole.domain.query import (
    DURATION_FIELDS,
    TIME_FIELDS,
    And,
    Compare,
    Expression,
    Field,
    FieldKind,
    Has,
    Not,
    Or,
)
from mlconsole.domain.runs import Outcome, Reach, State
from mlconsole.domain.times import parse_duration, parse_when, to_us
from mlconsole.errors import QueryError

SQL_OPERATORS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "=": "=", "!=": "<>"}
WORDS: dict[str, tuple[str, ...]] = {
    "state": tuple(state.value for state in State),
    "outcome": tuple(outcome.value for outcome in Outcome),
    "reach": tuple(reach.value for reach in Reach),
}
NULLABLE = tuple(COLUMNS[name] for name in ("outcome", "backend", "commit", "parent"))
DAY_US = 86_400_000_000
SECOND_US = 1_000_000
_DAY = re.compile(r"\d{4}-\d\d-\d\d|today|yesterday")


class Conditions:
    """Makes conditions for one query.

    Args:
        fields: where names live.
        text: the whole query, for errors.
        now: what relative times are measured from.

    Attributes:
        values: the named parameters of every condition made.
    """

    def __init__(self, fields: Fields, text: str, now: datetime) -> None:
        self._fields = fields
        self._text = text
        self._now = now
        self.values: Values = {"now_us": to_us(now)}

    def of(self, item: Expression) -> str:
        """The condition of an expression.

        Raises:
            QueryError: a value means nothing for its field.
        """
        if isinstance(item, And):
            return "(" + " AND ".join([self.of(part) for part in item.items]) + ")"
        if isinstance(item, Or):
            return "(" + " OR ".join([self.of(part) for part in item.items]) + ")"
        if isinstance(item, Not):
            return f"NOT coalesce({self.of(item.item)}, 0)"
        if isinstance(item, Has):
            return self._has(item.field)
        if item.field.kind is FieldKind.BUILTIN:
            return self.builtin(item, plus="+")
        found = [in_table(table, test) for table, test in self.tests(item)]
        return "(" + " OR ".join(found) + ")" if found else "0"

    def _has(self, field: Field) -> str:
        if field.kind is FieldKind.BUILTIN:
            return f"coalesce({COLUMNS[field.name]}, '') <> ''"
        found = [in_table(table, test) for table, test in self.presence(field)]
        return "(" + " OR ".join(found) + ")" if found else "0"

    def presence(self, field: Field) -> list[tuple[str, str]]:
        """Tables and tests for having a field at all."""
        tables = self._fields.tables(field, ("metric", "param", "tag"))
        return [(table, f"own.key = {self._fields.key(field)}") for table in tables]

    def tests(self, item: Compare) -> list[tuple[str, str]]:
        """Tables and tests on their rows: the run passes when a row of one does."""
        makers = {"metric": self._metric, "param": self._param, "tag": self._tag}
        tables = self._fields.tables(item.field, ("metric", "param"))
        if len(tables) > 1 and not _is_about_numbers(item):
            tables.remove("metric")
        key = self._fields.key(item.field)
        return [(table, f"own.key = {key} AND {makers[table](item)}") for table in tables]

    def _bind(self, value: object) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = storable(value) if isinstance(value, str) else value
        return f":{name}"

    def builtin(self, item: Compare, plus: str = "") -> str:
        """The condition of a test on a column of ``run``.

        With ``plus`` set to "+" SQLite takes no index for it: the index that carries the order is worth more.
        """
        name = item.field.name
        column = plus + COLUMNS[name]
        if name == "experiment":
            return f"{column} IN (SELECT n FROM experiment WHERE {self._text_test('name', item)})"
        if name in MEASURED:
            return self._measured(column, item)
        if name == "id" and item.op == "=":
            return f"({column} >= {self._bind(item.value)} AND {column} < {self._bind(item.value + chr(0x10FFFF))})"
        if name in WORDS and item.op in ("=", "!="):
            column = plus + self._word_column(item)
        if column.endswith(NULLABLE) and not (item.op == "=" and item.value):
            # Absent counts as the empty text; an equality that cannot find it is left to an index.
            column = f"coalesce({column}, '')"
        return self._text_test(column, item)

    def _word_column(self, item: Compare) -> str:
        """The column of a closed set of words; an outcome is found under ``state`` too, as the screen shows it."""
        name = item.field.name
        if name == "state" and item.value in WORDS["outcome"]:
            return "run.outcome"
        if item.value not in WORDS[name] and not (item.value == "" and name == "outcome"):
            words = ", ".join([*WORDS[name], *(WORDS["outcome"] if name == "state" else ())])
            raise self._bad_value(item, f"one of a run's {name}s", f"There are: {words}.")
        return COLUMNS[name]

    def _measured(self, column: str, item: Compare) -> str:
        if item.op in ("~", "!~"):
            raise self._bad_value(item, "a number to compare with", f'"{item.field.name}" holds no text.')
        if item.field.name in TIME_FIELDS:
            return self._time(column, item)
        duration = item.field.name in DURATION_FIELDS
        value = parse_duration(item.value) if duration else item.number
        if value is None or math.isnan(value):
            wanted = ("a duration", "Write 90s, 15m, 2h30m or 3d.") if duration else ("a number", "")
            raise self._bad_value(item, *wanted)
        return f"{column} {SQL_OPERATORS[item.op]} {self._bind(value)}"

    def _time(self, column: str, item: Compare) -> str:
        """A test on a moment; being equal means within the same day, or the same second for a time of day."""
        moment = parse_when(item.value, self._now)
        if moment is None:
            raise self._bad_value(item, "a time", "Write -2h, 3d, today or 2026-01-31T08:00.")
        start = to_us(moment)
        if item.op not in ("=", "!="):
            return f"{column} {SQL_OPERATORS[item.op]} {self._bind(start)}"
        length = DAY_US if _DAY.fullmatch(item.value.strip().lower()) else SECOND_US
        start -= start % SECOND_US if length == SECOND_US else 0
        inside = f"({column} >= {self._bind(start)} AND {column} < {self._bind(start + length)})"
        return inside if item.op == "=" else f"NOT {inside}"

    def _text_test(self, column: str, item: Compare) -> str:
        """A test on text; containing looks past the case of ASCII letters."""
        if item.op not in ("~", "!~"):
            return f"{column} {SQL_OPERATORS[item.op]} {self._bind(item.value)}"
        escaped = item.value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        negation = "NOT " if item.op == "!~" else ""
        escape = " ESCAPE '\\'" if escaped != item.value else ""  # Costs a tenth of a scan over a million names.
        return f"{column} {negation}LIKE {self._bind(f'%{escaped}%')}{escape}"

    def _metric(self, item: Compare) -> str:
        number = item.number
        if number is None or not _is_about_numbers(item):
            raise self._bad_value(item, "a number to compare with", f'"{item.field.name}" is a metric.')
        column = f"own.{item.field.aggregate}"
        if math.isnan(number):
            # NaN is stored as NULL, and so is the extreme of a metric without a finite value.
            return {"=": f"{column} IS NULL", "!=": f"{column} IS NOT NULL"}.get(item.op, "0")
        if item.op == "!=":
            return f"{column} IS NOT {self._bind(number)}"
        return f"{column} {SQL_OPERATORS[item.op]} {self._bind(number)}"

    def _param(self, item: Compare) -> str:
        """A test on a param: numbers compare as numbers, equality also holds for the text as it was written."""
        number = item.number
        if item.op in ("~", "!~"):
            return self._text_test("own.text", item)
        spelled = ", ".join([self._bind(text) for text in _spellings(item)])
        if item.op == "=":
            same = f"own.text IN ({spelled})"
            return same if number is None or math.isnan(number) else f"({same} OR own.num = {self._bind(number)})"
        if item.op == "!=":
            other = f"own.text NOT IN ({spelled})"
            return (
                other if number is None or math.isnan(number) else f"({other} AND own.num IS NOT {self._bind(number)})"
            )
        if number is None:
            return f"(own.num IS NULL AND own.text {SQL_OPERATORS[item.op]} {self._bind(item.value)})"
        return "0" if math.isnan(number) else f"own.num {SQL_OPERATORS[item.op]} {self._bind(number)}"

    def _tag(self, item: Compare) -> str:
        return self._text_test("own.value", item)

    def _bad_value(self, item: Compare, wanted: str, hint: str) -> QueryError:
        return QueryError(f'"{item.value}" is not {wanted}.', hint, text=self._text, start=item.start, end=item.end)


def _is_about_numbers(item: Compare) -> bool:
    return item.number is not None and item.op not in ("~", "!~")


def in_table(table: str, test: str) -> str:
    """The condition that the run has a row in a table that passes a test: one look-up by primary key."""
    return f"EXISTS (SELECT 1 FROM {table} AS own WHERE own.run = {{n}} AND {test})"


def _spellings(item: Compare) -> list[str]:
    """The texts that a value stands for: Python's words for true, false, none and NaN are JSON's too."""
    word = item.value.lower()
    if item.quoted:
        return [item.value]
    number = item.number
    if number is not None and math.isnan(number):
        return [item.value, "NaN"]
    return list(dict.fromkeys([item.value, {"true": "true", "false": "false", "none": "null"}.get(word, item.value)]))
