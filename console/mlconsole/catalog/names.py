"""Interned names of params, metrics and tags."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mlconsole.catalog.store import storable

SELECT_KEY = "SELECT n FROM key WHERE name = :name"
INSERT_KEY = "INSERT INTO key (name) VALUES (:name)"


class KeyNumbers:
    """The numbers of names, new ones added; for the time of one write transaction, which may be rolled back."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The number of a name."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._look_up(storable(name))
        return found

    def _look_up(self, name: str) -> int:
        row = self._db.execute(SELECT_KEY, {"name": name}).fetchone()
        if row is not None:
            return int(row[0])
        number = self._db.execute(INSERT_KEY, {"name": name}).lastrowid
        assert number is not None
        return number


def key_numbers(db: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """The number of each name, new ones added; for use inside a write transaction."""
    numbers = KeyNumbers(db)
    return {name: numbers.of(name) for name in names}
