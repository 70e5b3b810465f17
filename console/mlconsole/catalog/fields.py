"""What the fields of the filter language are in the catalog's tables."""

from __future__ import annotations

from mlconsole.catalog.store import Store, storable
from mlconsole.domain.query import DURATION_FIELDS, NUMBER_FIELDS, TIME_FIELDS, Field, FieldKind

COLUMNS = {
    "id": "run.id",
    "name": "run.name",
    "experiment": "run.experiment",
    "state": "run.state",
    "outcome": "run.outcome",
    "exit_code": "run.exit_code",
    "reason": "run.reason",
    "reach": "run.reach",
    "backend": "run.backend",
    "host": "run.host",
    "user": "run.user",
    "command": "run.command",
    "created": "run.created_us",
    "started": "run.started_us",
    "ended": "run.ended_us",
    "duration": "max(0, coalesce(run.ended_us, :now_us) - run.started_us) / 1000000.0",
    "age": "max(0, :now_us - run.created_us) / 1000000.0",
    "gpus": "run.gpus",
    "gpu_hours": "run.gpu_s / 3600.0",
    "cost": "run.cost_microusd / 1000000.0",
    "commit": "run.commit_id",
    "parent": "run.parent_id",
}
SOURCES = {"duration": "run.started_us", "age": "run.created_us"}
"""The column whose absence is that of a reckoned field; asking it is half the cost of reckoning."""
INDEXED = frozenset({"id", "name", "experiment", "state", "outcome", "user", "host", "created", "started", "ended"})
MEASURED = TIME_FIELDS | DURATION_FIELDS | NUMBER_FIELDS
TABLES = ("metric", "param", "tag")
INDEXED_AGGREGATES = frozenset({"last", "min", "max"})
SELECT_KEY = "SELECT n FROM key WHERE name = :name"
SELECT_NAMES = "SELECT name FROM key ORDER BY n LIMIT 5000"
SELECT_ANY = {table: f"SELECT 1 FROM {table} WHERE key = :key LIMIT 1" for table in TABLES}


class Fields:
    """Finds where the fields of one query live, in one catalog.

    Attributes:
        notes: what a person should know: names that no run has yet, with the ones they may have meant.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, int] = {}
        self.notes: list[str] = []

    def key(self, field: Field) -> int:
        """The number of a field's name, 0 when no run has it yet."""
        found = self._keys.get(field.name)
        if found is None:
            rows = self._store.read(SELECT_KEY, {"name": storable(field.name)})
            found = self._keys[field.name] = int(rows[0][0]) if rows else 0
            if not found and field.kind is not FieldKind.TAG:
                self._note_unknown(field)
        return found

    def tables(self, field: Field, candidates: tuple[str, ...]) -> list[str]:
        """The tables to look for a field in: a bare name is whatever the catalog has under it."""
        if field.kind is not FieldKind.ANY:
            return [field.kind.value]
        key = self.key(field)
        return [table for table in candidates if key and self._store.read(SELECT_ANY[table], {"key": key})]

    def _note_unknown(self, field: Field) -> None:
        import difflib  # 3 ms, for names that are misspelt

        names = [str(row[0]) for row in self._store.read(SELECT_NAMES)]
        close = difflib.get_close_matches(field.name, [*names, *COLUMNS], 3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        self.notes.append(f'No run has a metric or param "{field.name}" yet.{hint}')
