"""Finds the few runs that a filter can be about at all, where an index tells them.

A filter's tests that stand on their own (joined by "and") each limit the runs. For each that an index serves, its runs
are read up to a limit; the shortest complete list is what the listing then starts from. Where every list is too long
the filter keeps so many runs that walking along the sort order fills a page soon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlconsole.catalog.conditions import Conditions
from mlconsole.catalog.fields import INDEXED, INDEXED_AGGREGATES
from mlconsole.catalog.store import Store
from mlconsole.domain.query import And, Compare, Expression, FieldKind, Has, Not, Or

LEAST_LIMIT = 1_000
MOST_LIMIT = 8_000
ROWS_OF_A_PAGE = 50
SELECT_NEWEST = "SELECT coalesce(max(n), 0) FROM run"


def conjuncts(where: Expression | None) -> tuple[Expression, ...]:
    """The tests that every run of a filter passes."""
    if where is None:
        return ()
    if isinstance(where, And):
        return tuple(part for item in where.items for part in conjuncts(item))
    return (where,)


class Candidates:
    """Looks for short lists of runs.

    Args:
        store: the catalog.
        conditions: makes the tests; its values serve the statements.
    """

    def __init__(self, store: Store, conditions: Conditions) -> None:
        self._store = store
        self._conditions = conditions

    def shortest(self, tests: Sequence[Expression]) -> list[int] | None:
        """All runs that may pass all the tests, None when they are too many to list."""
        best: list[int] | None = None
        limit = 0
        for item in tests:
            selection = self.selection(item)
            if selection is None:
                continue
            limit = (limit or self._limit()) if best is None else len(best)
            found = self._store.read(f"{selection} LIMIT {limit + 1}", self._conditions.values)
            if len(found) <= limit:
                best = list(dict.fromkeys([row[0] for row in found]))
            if best is not None and len(best) < 100:
                break
        return best

    def _limit(self) -> int:
        """How long a list is worth starting from.

        Of N runs, M that pass are M rows to sort, or N / M times a page of rows to walk past along the sort order: it
        is the same work at the square root of N times a page.
        """
        runs = self._store.read(SELECT_NEWEST)[0][0]
        return min(max(math.isqrt(runs * ROWS_OF_A_PAGE), LEAST_LIMIT), MOST_LIMIT)

    def selection(self, item: Expression) -> str | None:
        """A statement for the numbers of all runs that pass a test (some twice, and some that do not); by index.

        None where only a scan could tell.
        """
        if isinstance(item, Or):
            parts = [self.selection(part) for part in item.items]
            return None if None in parts else " UNION ALL ".join([part for part in parts if part is not None])
        if isinstance(item, And):
            return next((sql for part in item.items if (sql := self.selection(part)) is not None), None)
        if isinstance(item, Not):
            return None
        if item.field.kind is FieldKind.BUILTIN:
            return self._builtin(item)
        if isinstance(item, Has):
            found = self._conditions.presence(item.field)
        elif item.field.aggregate in INDEXED_AGGREGATES or item.field.kind is not FieldKind.METRIC:
            found = self._conditions.tests(item)
        else:
            return None
        selects = [f"SELECT own.run AS run FROM {table} AS own WHERE {test}" for table, test in found]
        return " UNION ALL ".join(selects) if selects else "SELECT 0 AS run WHERE 0"

    def _builtin(self, item: Compare | Has) -> str | None:
        if isinstance(item, Has) or item.field.name not in INDEXED or item.op in ("!=", "!~"):
            return None
        if item.op == "~":
            if item.field.name != "name":
                return None
            # The index holds the names alone: a quarter of the table's pages.
            return f"SELECT n AS run FROM run INDEXED BY run_name WHERE {self._conditions.builtin(item)}"
        return f"SELECT n AS run FROM run WHERE {self._conditions.builtin(item)}"
