"""Policies as they were applied: armed until they are applied without."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.policies import Policy, PolicyRow, Window
from mlconsole.domain.times import to_us
from mlconsole.errors import NotFound
from mlconsole.records import asdict

COLUMNS = "policy.n, policy.name, policy.file, policy.line, policy.body, policy.applied_us, policy.applied_by"
SELECT_ARMED = f"SELECT {COLUMNS}, policy.after_event, policy.cron_us FROM policy WHERE is_armed ORDER BY name"
SELECT_ROWS = f"""
SELECT {COLUMNS},
       (SELECT max(at_us) FROM firing WHERE policy = policy.n AND state NOT IN ('held', 'expired', 'declined')),
       (SELECT count(*) FROM firing WHERE policy = policy.n AND at_us >= :since
                                          AND state NOT IN ('held', 'expired', 'declined')),
       (SELECT count(*) FROM firing WHERE policy = policy.n AND at_us >= :since AND state = 'held'),
       (SELECT count(*) FROM firing WHERE policy = policy.n AND state IN ('proposed', 'waiting'))
FROM policy
WHERE is_armed AND (:name IS NULL OR name = :name)
ORDER BY name
"""
PUT = """
INSERT INTO policy (name, file, line, body, applied_us, applied_by, after_event, is_armed)
VALUES (:name, :file, :line, :body, :now, :by, (SELECT coalesce(max(n), 0) FROM event), 1)
ON CONFLICT (name) DO UPDATE
SET file = excluded.file, line = excluded.line, body = excluded.body, applied_us = excluded.applied_us,
    applied_by = excluded.applied_by,
    after_event = CASE WHEN policy.is_armed THEN policy.after_event ELSE excluded.after_event END,
    cron_us = CASE WHEN policy.is_armed THEN policy.cron_us END,
    is_armed = 1
"""
DISARM = "UPDATE policy SET is_armed = 0 WHERE name = :name"
DROP_PENDING = """
UPDATE firing
SET state = 'expired', why = 'the policy was taken away', ended_us = :now
WHERE policy = (SELECT n FROM policy WHERE name = :name) AND state IN ('waiting', 'proposed', 'due')
"""
SET_CRON = "UPDATE policy SET cron_us = :cron_us WHERE n = :n"


class Armed:
    """A policy that fires: its number, the event after which it began, and how far its own clock was looked at."""

    __slots__ = ("after_event", "cron_at", "number", "policy")

    def __init__(self, number: int, policy: Policy, after_event: int, cron_at: datetime | None) -> None:
        self.number, self.policy, self.after_event, self.cron_at = number, policy, after_event, cron_at


def put_policy(db: sqlite3.Connection, policy: Policy, by: str, now: datetime) -> None:
    """Arm a policy, or change it; what happened before it was first armed does not concern it."""
    row: dict[str, object] = {"name": storable(policy.name), "file": storable(policy.file), "line": policy.line}
    db.execute(PUT, {**row, "body": _dumped(policy), "now": to_us(now), "by": storable(by)})


def disarm(db: sqlite3.Connection, name: str, now: datetime) -> None:
    """Take a policy away; what it has proposed goes with it, what it did stays known."""
    db.execute(DISARM, {"name": storable(name)})
    db.execute(DROP_PENDING, {"name": storable(name), "now": to_us(now)})


def set_cron(db: sqlite3.Connection, number: int, at: datetime) -> None:
    """Note how far a policy's own clock was looked at."""
    db.execute(SET_CRON, {"n": number, "cron_us": to_us(at)})


def armed(db: sqlite3.Connection) -> list[Armed]:
    """The policies that fire; for use inside a transaction."""
    return list(_armed(db.execute(SELECT_ARMED).fetchall()))


def _armed(rows: list[Row]) -> Iterator[Armed]:
    for row in rows:
        yield Armed(row[0], _policy(row), row[7], moment(row[8]))


def _dumped(policy: Policy) -> str:
    body: dict[str, Any] = asdict(policy)
    body["windows"] = [[f"{w.begin:%H:%M}", f"{w.end:%H:%M}"] for w in policy.windows]
    for name in ("name", "file", "line"):
        del body[name]
    return json.dumps(body)


def _policy(row: Row) -> Policy:
    _, name, file, line, body, *_ = row
    found = json.loads(body)
    found["windows"] = tuple(
        Window(time.fromisoformat(begin), time.fromisoformat(end)) for begin, end in found["windows"]
    )
    return Policy(name=str(name), file=str(file), line=line, **found)


class Policies:
    """The policies of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def armed(self) -> list[Policy]:
        """Those that fire."""
        return [each.policy for each in _armed(self._store.read(SELECT_ARMED))]

    def clocks(self) -> list[Armed]:
        """Those with a clock of their own."""
        return [each for each in _armed(self._store.read(SELECT_ARMED)) if each.policy.cron]

    def rows(self, now: datetime, name: str | None = None) -> list[PolicyRow]:
        """How every policy stands."""
        values: dict[str, object] = {
            "since": to_us(now - timedelta(days=1)),
            "name": None if name is None else storable(name),
        }
        return [
            PolicyRow(_policy(row), moment(row[5]) or EPOCH, str(row[6]), moment(row[7]), *row[8:])
            for row in self._store.read(SELECT_ROWS, values)
        ]

    def row(self, name: str, now: datetime) -> PolicyRow:
        """How one policy stands.

        Raises:
            NotFound: none of that name is armed.
        """
        rows = self.rows(now, name)
        if not rows:
            raise NotFound(f'No policy "{name}" in this catalog.', "List them: mlconsole policy list")
        return rows[0]
