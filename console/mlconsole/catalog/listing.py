"""One query compiled against one catalog: its statements, and the rows they give."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from mlconsole.catalog.candidates import Candidates, conjuncts
from mlconsole.catalog.conditions import Conditions
from mlconsole.catalog.fields import Fields
from mlconsole.catalog.order import Cursor, Phase, phases_of
from mlconsole.catalog.store import Store, Values
from mlconsole.domain.query import Compare, Expression, FieldKind, Has, Query

LARGEST_LIMIT = 1 << 40
COUNT_SOME = "SELECT count(*) FROM ({} LIMIT :limit)"
COUNT_RUNS = "SELECT count(*) FROM run"
SELECT_HAS_REST = "SELECT (SELECT count(*) FROM run) > (SELECT count(*) FROM {table} WHERE key = :key)"


class Listing:
    """The runs that a query keeps, in its order.

    Args:
        store: the catalog.
        query: what to keep and in which order.
        now: what relative times are measured from.
        only: look at these runs alone.

    Attributes:
        phases: the stretches of the listing.

    Raises:
        QueryError: a value of the query means nothing for its field.
    """

    def __init__(self, store: Store, query: Query, now: datetime, only: Sequence[int] | None = None) -> None:
        self._store = store
        self._fields = Fields(store)
        self._conditions = Conditions(self._fields, query.text, now)
        self._tests = conjuncts(query.where)
        self._where = self._all_of(self._tests)
        self.phases = phases_of(self._fields, query.sort)
        self._pushed = [self._push_down(phase) for phase in self.phases]
        self._candidates = Candidates(store, self._conditions)
        self._only = only
        self._is_looked_up = only is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the query."""
        return tuple(self._fields.notes)

    def _all_of(self, tests: Sequence[Expression]) -> str:
        return " AND ".join([self._conditions.of(test) for test in tests]) or "1"

    def _push_down(self, phase: Phase) -> str:
        """Tests on the very values that order the phase: on the rows themselves they bound the index."""
        found = []
        for test in self._tests:
            if isinstance(test, Compare) and self._is_of(phase, test):
                column = phase.terms[0].sql
                found += [sql for _, sql in self._conditions.tests(test) if column.replace("sorted.", "own.") in sql]
        return " AND ".join([sql.replace("own.", "sorted.") for sql in found]) or "1"

    def _is_of(self, phase: Phase, test: Compare | Has) -> bool:
        """True when a test demands a value in the phase's table under its key."""
        if not phase.key or test.field.kind is FieldKind.BUILTIN:
            return False
        found = self._conditions.tests(test) if isinstance(test, Compare) else self._conditions.presence(test.field)
        return [table for table, _ in found] == [phase.table] and self._fields.key(test.field) == phase.key

    @property
    def _listed(self) -> Sequence[int] | None:
        if not self._is_looked_up:
            self._only = self._candidates.shortest(self._tests)
            self._is_looked_up = True
        return self._only

    def _values(self, place: Cursor | None) -> Values:
        values = dict(self._conditions.values)
        if self._listed is not None:
            values["candidates"] = json.dumps(self._listed)
        if place is not None:
            values |= {f"p{i}": value for i, value in enumerate(place.values)}
        return values

    def rows(self, index: int, place: Cursor | None, backward: bool, limit: int) -> list[Cursor]:
        """Places of at most ``limit`` rows of a phase from a place on (or from its end)."""
        phase = self.phases[index]
        if not self._may_have_rows(phase):
            return []
        beyond = phase.beyond(backward=backward) if place is not None else "1"
        listed = self._listed is not None
        sql = phase.page(self._condition(index), listed=listed, place=beyond, backward=backward)
        return [Cursor(index, row) for row in self._store.read(sql, {**self._values(place), "limit": limit})]

    def count(self, index: int, place: Cursor | None = None) -> int:
        """How many rows a phase has, or how many before a place in it."""
        phase = self.phases[index]
        if not self._may_have_rows(phase):
            return 0
        beyond = phase.beyond(backward=True) if place is not None else "1"
        sql = phase.counting(self._condition(index), listed=self._listed is not None, place=beyond)
        return int(self._store.read(sql, self._values(place))[0][0])

    def count_all(self) -> int:
        """How many runs the query keeps, by whatever index gives them soonest."""
        if not self._tests:
            return int(self._store.read(COUNT_RUNS)[0][0])
        if self._listed is not None:
            return self._count(Phase("run", "run.n"), self._where)
        if (at := self._fewest()) is None:
            return self._count(Phase("run", "run.n"), self._where)
        selection = self._candidates.selection(self._tests[at])
        return self._count(
            Phase(f"({selection})", "sorted.run"), self._all_of(self._tests[:at] + self._tests[at + 1 :])
        )

    def _fewest(self) -> int | None:
        """Which test an index finds the fewest runs for; None where no index serves.

        One alone is not counted for that: in a million names it takes as long as the count that is asked for.
        """
        found = [(i, self._candidates.selection(test)) for i, test in enumerate(self._tests)]
        served = [(i, selection) for i, selection in found if selection is not None and "UNION" not in selection]
        if len(served) < 2:
            return served[0][0] if served else None
        fewest, best = LARGEST_LIMIT, served[0][0]
        for i, selection in served:
            values = {**self._conditions.values, "limit": fewest}
            count = int(self._store.read(COUNT_SOME.format(selection), values)[0][0])
            if count < fewest:
                fewest, best = count, i
        return best

    def _count(self, phase: Phase, where: str) -> int:
        sql = phase.counting(where, listed=self._listed is not None, place="1")
        return int(self._store.read(sql, self._values(None))[0][0])

    def _condition(self, index: int) -> str:
        return f"{self._pushed[index]} AND {self._where}"

    def _may_have_rows(self, phase: Phase) -> bool:
        """False when every run that is kept, or every run at all, has the value that orders the listing."""
        if not phase.is_rest or self._listed is not None:
            return True
        others = self.phases[0]
        if any(isinstance(test, (Compare, Has)) and self._is_of(others, test) for test in self._tests):
            return False
        return bool(self._store.read(SELECT_HAS_REST.format(table=others.table), {"key": phase.key})[0][0])
