"""The outbox: which notifier is to be told of which change of an alert, with growing pauses between two tries."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mlconsole.catalog.rows import EPOCH, json_mapping, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.alerts import Severity
from mlconsole.domain.notices import Notice
from mlconsole.domain.times import to_us

FIRST_PAUSE_US, LONGEST_PAUSE_US = 5_000_000, 600_000_000
MOST_TRIES = 20
SELECT_CURSOR = "SELECT n FROM cursor WHERE name = :name"
MOVE_CURSOR = """
INSERT INTO cursor (name, n) VALUES (:name, (SELECT coalesce(max(n), 0) FROM alert_change))
ON CONFLICT DO UPDATE SET n = excluded.n
"""
ENQUEUE = """
INSERT OR IGNORE INTO notice (change, notifier, state, next_us)
SELECT change.n, :notifier, 'waiting', :now
FROM alert_change AS change
JOIN alert ON alert.n = change.alert
WHERE change.n > :after AND change.state IN ('firing', 'resolved')
      AND alert.severity IN (SELECT value FROM json_each(:severities))
"""
NEWEST = "SELECT coalesce(max(n), 0) FROM alert_change"
SELECT_DUE = """
SELECT notice.n FROM notice
WHERE notifier = :notifier AND state = 'waiting' AND next_us <= :now
ORDER BY n
LIMIT 1
"""
# Whoever moves the time of the next try on has this one.
CLAIM = """
UPDATE notice
SET tries = tries + 1, next_us = :now + min(:longest, :first << min(tries, 20))
WHERE n = :n AND state = 'waiting' AND next_us <= :now
"""
SELECT = """
SELECT notice.n, notice.tries, change.at_us, change.state, change.why, alert.id, alert.severity, alert.source,
       alert.subject, alert.title, alert.data, notice.change
FROM notice
JOIN alert_change AS change ON change.n = notice.change
JOIN alert ON alert.n = change.alert
WHERE notice.n = :n
"""
END = "UPDATE notice SET state = :state, message = :message WHERE n = :n"
NOTE = (
    "UPDATE notice SET message = :message, state = CASE WHEN tries >= :most THEN 'failed' ELSE state END WHERE n = :n"
)


def enqueue(db: sqlite3.Connection, notifier: str, least: Severity, now: datetime) -> None:
    """Put what has changed since the last time in; a notifier that is new is told of what comes."""
    name = f"notify:{notifier}"
    row = db.execute(SELECT_CURSOR, {"name": name}).fetchone()
    if row is not None:
        wanted = ",".join(f'"{each.value}"' for each in Severity if each.rank >= least.rank)
        values = {"notifier": storable(notifier), "now": to_us(now), "after": row[0], "severities": f"[{wanted}]"}
        db.execute(ENQUEUE, values)
    db.execute(MOVE_CURSOR, {"name": name})


def claim_notice(db: sqlite3.Connection, notifier: str, now: datetime) -> tuple[int, Notice] | None:
    """The next notice that is to be tried now, and its number; None when nothing is."""
    due = db.execute(SELECT_DUE, {"notifier": storable(notifier), "now": to_us(now)}).fetchone()
    if due is None:
        return None
    values = {"n": due[0], "now": to_us(now), "first": FIRST_PAUSE_US, "longest": LONGEST_PAUSE_US}
    if not db.execute(CLAIM, values).rowcount:
        return None
    return due[0], _notice(db.execute(SELECT, {"n": due[0]}).fetchone(), notifier)


def sent(db: sqlite3.Connection, number: int) -> None:
    """The notice was taken."""
    db.execute(END, {"n": number, "state": "sent", "message": ""})


def not_sent(db: sqlite3.Connection, number: int, message: str) -> None:
    """The notice was not taken; after twenty tries it is given up."""
    db.execute(NOTE, {"n": number, "message": storable(message), "most": MOST_TRIES})


def _notice(row: Row, notifier: str) -> Notice:
    _, _, at, state, why, alert, severity, source, subject, title, data, change = row
    return Notice(
        f"{alert}-{change}-{notifier}", moment(at) or EPOCH, str(alert), str(state), str(severity), str(source),
        str(subject), str(title), str(why), json_mapping(data),
    )  # fmt: skip


class Outbox:
    """The outbox of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def is_idle(self, notifier: str, now: datetime) -> bool:
        """True when there is nothing to put in and nothing to try."""
        cursor = self._store.read(SELECT_CURSOR, {"name": f"notify:{notifier}"})
        newest = self._store.read(NEWEST)[0][0]
        due = self._store.read(SELECT_DUE, {"notifier": storable(notifier), "now": to_us(now)})
        return bool(cursor) and cursor[0][0] == newest and not due
