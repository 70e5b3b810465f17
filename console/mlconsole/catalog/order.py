"""The order of a listing, cut into phases that an index can carry, and the places in it.

For each direction runs with a value come first, then those whose value is NaN, then those without one. Each of these
is a phase with a source of its own. Within a phase rows stand in the order of its terms, the run's number last, so
that a row's terms are its place: a page begins behind a place or ends before it, and nothing is counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlconsole.catalog.fields import COLUMNS, SOURCES, TABLES, Fields
from mlconsole.domain.query import Field, FieldKind, Sort
from mlconsole.records import record

Scalar = int | float | str | None
_OF_RUN = re.compile(r"(?<![.\w])run\.")
LISTED = "json_each(:candidates) AS listed"


@record
class Cursor:
    """A place in a listing: the phase, and the row's value of each of its terms; the last is the run's number."""

    phase: int
    values: tuple[Scalar, ...]

    @property
    def number(self) -> int:
        """The run at the place."""
        number = self.values[-1]
        assert isinstance(number, int)
        return number


@record
class Term:
    """One expression that rows are ordered by."""

    sql: str
    descending: bool = False


NEWEST = Term("{n}", True)


@record
class Phase:
    """A stretch of the listing.

    Attributes:
        table: ``run``, ``experiment`` for runs along their experiments' names, or what has a row a run: the table of a
            key's values, or a selection.
        number: the run's number in a row of it, ``{n}`` in conditions and terms.
        condition: which rows of it belong to the phase.
        terms: what orders them, the number last.
        key: the key whose values are meant, 0 for a column of ``run``.
        is_rest: the phase is of the runs that have no value at all.
    """

    table: str
    number: str
    condition: str = "1"
    terms: tuple[Term, ...] = ()
    key: int = 0
    is_rest: bool = False

    def source(self, *, with_run: bool, listed: bool) -> str:
        """The tables to read from, in the order to read them: along the sort, or from the listed candidates."""
        if self.table == "run":
            return f"{LISTED} CROSS JOIN run ON run.n = listed.value" if listed else "run"
        if self.table == "experiment":
            if listed:
                return (
                    f"{LISTED} CROSS JOIN run ON run.n = listed.value JOIN experiment ON experiment.n = run.experiment"
                )
            return "experiment CROSS JOIN run ON run.experiment = experiment.n"
        rows = f"{self.table} AS sorted"
        source = f"{LISTED} CROSS JOIN {rows} ON sorted.run = listed.value" if listed else rows
        return source + (" CROSS JOIN run ON run.n = sorted.run" if with_run else "")

    def page(self, where: str, *, listed: bool, place: str, backward: bool) -> str:
        """The statement of a page; ``place`` is a condition made by :meth:`beyond`."""
        columns = ", ".join([term.sql for term in self.terms])
        order = ", ".join([f"{t.sql} {'DESC' if t.descending != backward else 'ASC'}" for t in self.terms])
        return self._select(columns, where, listed, place) + self._here(f" ORDER BY {order} LIMIT :limit")

    def counting(self, where: str, *, listed: bool, place: str) -> str:
        """The statement that counts the phase's rows on one side of a place."""
        return self._select("count(*)", where, listed, place)

    def _select(self, columns: str, where: str, listed: bool, place: str) -> str:
        body = self._here(f"{self.condition} AND {place} AND {where}")
        asked = self._here(columns)
        needs_run = bool(_OF_RUN.search(asked) or _OF_RUN.search(body))
        return f"SELECT {asked} FROM {self.source(with_run=needs_run, listed=listed)} WHERE {body}"

    def _here(self, text: str) -> str:
        return text.replace("{n}", self.number)

    def beyond(self, *, backward: bool) -> str:
        """The condition of standing behind the place (:p0, :p1, ...), or before it."""
        terms = self.terms
        ops = ["<" if term.descending != backward else ">" for term in terms]
        if len(set(ops)) == 1 and len(terms) <= 2:
            names = ", ".join([term.sql for term in terms])
            return f"({names}) {ops[0]} ({', '.join([f':p{i}' for i in range(len(terms))])})"
        test = "0"
        for i in reversed(range(len(terms))):
            test = f"({terms[i].sql} {ops[i]} :p{i} OR ({terms[i].sql} IS :p{i} AND {test}))"
        # The bound on the first term repeats what follows from the rest, in a form that an index can use.
        return f"({terms[0].sql} {ops[0]}= :p0 AND {test})"


def phases_of(fields: Fields, sort: Sequence[Sort]) -> list[Phase]:
    """The phases of a listing in this order, newest first where none is given."""
    known = [key for key in sort if key.field.kind is FieldKind.BUILTIN or _table(fields, key.field)]
    if not known:
        return [Phase("run", "run.n", "1", (Term("{n}", True),))]
    first, *rest = known
    ties = tuple(term for key in rest for term in _tie(fields, key))
    if first.field.kind is FieldKind.BUILTIN:
        return _builtin_phases(first, ties)
    return _key_phases(fields, first, ties)


def _builtin_phases(first: Sort, ties: tuple[Term, ...]) -> list[Phase]:
    number = Term("{n}", first.descending)
    if first.field.name == "experiment":
        return [Phase("experiment", "run.n", "1", (Term("experiment.name", first.descending), *ties, number))]
    column = COLUMNS[first.field.name]
    source = SOURCES.get(first.field.name, f"({column})")
    return [
        Phase("run", "run.n", f"{source} IS NOT NULL", (Term(column, first.descending), *ties, number)),
        Phase("run", "run.n", f"{source} IS NULL", (*ties, NEWEST)),
    ]


def _key_phases(fields: Fields, first: Sort, ties: tuple[Term, ...]) -> list[Phase]:
    table, key = _table(fields, first.field), fields.key(first.field)
    number = Term("{n}", first.descending)

    def phase(column: str, group: str) -> Phase:
        condition = f"sorted.key = {key} AND sorted.{group}"
        terms = (Term(f"sorted.{column}", first.descending), *ties, number) if column else (*ties, NEWEST)
        return Phase(table, "sorted.run", condition, terms, key)

    missing = f"NOT EXISTS (SELECT 1 FROM {table} AS own WHERE own.run = {{n}} AND own.key = {key})"
    rest = Phase("run", "run.n", missing, (*ties, NEWEST), key, is_rest=True)
    if table == "param":
        return [phase("num", "num IS NOT NULL"), phase("text", "num IS NULL"), rest]
    if table == "tag":
        return [phase("value", "value IS NOT NULL"), rest]
    column = first.field.aggregate
    return [phase(column, f"{column} IS NOT NULL"), phase("", f"{column} IS NULL"), rest]


def _tie(fields: Fields, key: Sort) -> list[Term]:
    """The terms that order rows which are equal so far by another key: its group (value, NaN, none), its value."""
    field = key.field
    if field.kind is FieldKind.BUILTIN:
        column = COLUMNS[field.name]
        if field.name == "experiment":
            column = "(SELECT name FROM experiment WHERE n = run.experiment)"
        return [Term(f"(({column}) IS NULL)"), Term(column, key.descending)]
    table = _table(fields, field)
    at = f"FROM {table} AS own WHERE own.run = {{n}} AND own.key = {fields.key(field)}"
    if table == "param":
        group, value = "own.num IS NULL", "coalesce(own.num, own.text)"
    else:
        value = f"own.{field.aggregate if table == 'metric' else 'value'}"
        group = f"{value} IS NULL"
    return [Term(f"coalesce((SELECT {group} {at}), 2)"), Term(f"(SELECT {value} {at})", key.descending)]


def _table(fields: Fields, field: Field) -> str:
    """The table whose values a field sorts by, empty when there are none."""
    tables = fields.tables(field, TABLES)
    return tables[0] if tables else ""
