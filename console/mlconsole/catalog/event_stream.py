"""The event stream: rows that are appended in the transaction of what they tell of, and never changed.

Whoever changes something that a policy may wait for calls :func:`emit` inside the same write transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime

from mlconsole.catalog.rows import EPOCH, json_mapping, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.events import KINDS, Event
from mlconsole.domain.times import to_us

LONGEST_TEXT = 2000
COLUMNS = "n, at_us, kind, subject, data"
INSERT = "INSERT INTO event (at_us, kind, subject, data) VALUES (:at_us, :kind, :subject, :data)"
SELECT_AFTER = f"SELECT {COLUMNS} FROM event WHERE n > :after ORDER BY n LIMIT :limit"
SELECT_SINCE = f"SELECT {COLUMNS} FROM event WHERE at_us >= :since ORDER BY n"
SELECT_ABOUT = f"SELECT {COLUMNS} FROM event WHERE subject = :subject ORDER BY n"
SELECT_ONE = f"SELECT {COLUMNS} FROM event WHERE n = :n"
SELECT_LAST = "SELECT coalesce(max(n), 0) FROM event"
SELECT_RUN = """
SELECT run.id, run.name, experiment.name, run.outcome, run.exit_code, run.reason, run.user, run.host, run.backend,
       run.gpus, (run.ended_us - run.started_us) / 1000000.0, run.parent_id,
       (SELECT json_group_object(key.name, tag.value) FROM tag JOIN key ON key.n = tag.key WHERE tag.run = run.n)
FROM run
JOIN experiment ON experiment.n = run.experiment
WHERE run.n = :n
"""
RUN_FIELDS = (
    "run", "name", "experiment", "outcome", "exit_code", "reason", "user", "host", "backend", "gpus", "duration_s",
    "parent",
)  # fmt: skip


def emit(db: sqlite3.Connection, kind: str, subject: str, data: Mapping[str, object], at: datetime) -> int:
    """Append an event, inside the caller's write transaction; returns its number.

    Args:
        db: the transaction that also holds what the event tells of.
        kind: one of :data:`mlconsole.domain.events.KINDS`.
        subject: what it is about, as ``run:ID`` or ``model:NAME``.
        data: its fields; texts are cut to 2,000 characters.
        at: when it happened.
    """
    assert kind in KINDS, f"{kind} is not listed in domain/events.py"
    kept = {name: value[:LONGEST_TEXT] if isinstance(value, str) else value for name, value in data.items()}
    row = {"at_us": to_us(at), "kind": kind, "subject": storable(subject), "data": json.dumps(kept, default=str)}
    number = db.execute(INSERT, row).lastrowid
    assert number is not None
    return number


def emit_run_ended(db: sqlite3.Connection, run: int, at: datetime) -> None:
    """Tell of a run's end; its row says already how it ended."""
    *values, tags = db.execute(SELECT_RUN, {"n": run}).fetchone()
    data = dict(zip(RUN_FIELDS, values, strict=True))
    emit(db, "run.ended", f"run:{data['run']}", {**data, "tag": json_mapping(tags)}, at)


def event_of(row: Row) -> Event:
    """The event of a row of :data:`COLUMNS`."""
    number, at_us, kind, subject, data = row
    return Event(number, moment(at_us) or EPOCH, str(kind), str(subject), json_mapping(data))


def after(db: sqlite3.Connection, number: int, limit: int) -> list[Event]:
    """The events that came after the one of that number, the oldest first; for use inside a transaction."""
    return [event_of(row) for row in db.execute(SELECT_AFTER, {"after": number, "limit": limit})]


def event_of_number(db: sqlite3.Connection, number: int) -> Event:
    """The event of that number, which is there."""
    return event_of(db.execute(SELECT_ONE, {"n": number}).fetchone())


class Events:
    """The event stream of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def last(self) -> int:
        """The number of the newest event; 0 before the first."""
        return int(self._store.read(SELECT_LAST)[0][0])

    def get(self, number: int) -> Event | None:
        """One event."""
        rows = self._store.read(SELECT_ONE, {"n": number})
        return event_of(rows[0]) if rows else None

    def after(self, number: int, limit: int = 200) -> list[Event]:
        """The events after the one of that number, the oldest first."""
        return [event_of(row) for row in self._store.read(SELECT_AFTER, {"after": number, "limit": limit})]

    def since(self, moment: datetime) -> list[Event]:
        """The events that happened from a moment on, in the order in which they were noted."""
        return [event_of(row) for row in self._store.read(SELECT_SINCE, {"since": to_us(moment)})]

    def about(self, subject: str) -> list[Event]:
        """The events about one thing, the oldest first."""
        return [event_of(row) for row in self._store.read(SELECT_ABOUT, {"subject": storable(subject)})]
