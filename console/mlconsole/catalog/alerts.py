"""Alerts: looks in, incidents out. Who looks at something tells of it here, in the transaction of its own result."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.rows import EPOCH, json_mapping, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.alerts import (
    Alert,
    AlertChange,
    AlertState,
    AlertStep,
    Part,
    Severity,
    Signal,
    Track,
    Verdict,
    follow,
    wake,
)
from mlconsole.domain.runs import ID_ALPHABET
from mlconsole.domain.times import to_us
from mlconsole.errors import AmbiguousName, NotFound
from mlconsole.records import replace

ID_LENGTH = 8
WATCHER = "watcher"
COLUMNS = """n, id, cause, source, subject, title, state, severity, opened_us, changed_us, resolved_us, until_us, who,
             why, data"""
SELECT_TRACK = """
SELECT n, state, looks, clean, severity, bad_us, until_us FROM alert WHERE cause = :cause AND state != 'resolved'
"""
INSERT = """
INSERT INTO alert (id, cause, source, subject, title, state, severity, looks, clean, changed_us, who, why, data)
VALUES (:id, :cause, :source, :subject, :title, 'ok', :severity, '', 0, :now, :who, '', :data)
"""
KEEP = """
UPDATE alert SET looks = :looks, clean = :clean, bad_us = :bad_us, severity = :severity, until_us = :until WHERE n = :n
"""
DESCRIBE = "UPDATE alert SET title = :title, subject = :subject, data = :data WHERE n = :n"
CHANGE = """
UPDATE alert
SET state = :state, changed_us = :now, who = :who, why = :why,
    opened_us = coalesce(opened_us, CASE WHEN :state = 'firing' THEN :now END),
    resolved_us = CASE WHEN :state = 'resolved' THEN :now END
WHERE n = :n
"""
INSERT_CHANGE = "INSERT INTO alert_change (alert, at_us, state, who, why) VALUES (:n, :now, :state, :who, :why)"
PUT_PART = """
INSERT INTO alert_part (alert, name, words, effect, seen_us) VALUES (:n, :name, :words, :effect, :now)
ON CONFLICT DO UPDATE SET words = excluded.words, effect = excluded.effect, seen_us = excluded.seen_us
"""
SELECT_STANDING = "SELECT cause, source, title FROM alert WHERE state NOT IN ('resolved', 'ok')"
SELECT_LISTED = f"""
SELECT {COLUMNS} FROM alert
WHERE state IN (SELECT value FROM json_each(:states))
ORDER BY state = 'resolved', n DESC
LIMIT :limit
"""
SELECT_ID = f"SELECT {COLUMNS} FROM alert WHERE id >= :word AND id < :after ORDER BY id LIMIT 3"
SELECT_NUMBER = f"SELECT {COLUMNS} FROM alert WHERE n = :n"
SELECT_CAUSE = f"SELECT {COLUMNS} FROM alert WHERE cause = :word ORDER BY n DESC LIMIT 1"
SELECT_PARTS = """
SELECT name, words, effect FROM alert_part WHERE alert = :n ORDER BY effect IS NULL, abs(effect) DESC, name
"""
SELECT_CHANGES = "SELECT at_us, state, who, why FROM alert_change WHERE alert = :n ORDER BY n"
SELECT_ANSWERS = """
SELECT at_us, state, who, why FROM alert_change
WHERE alert = :n AND n > (
    SELECT coalesce(max(n), 0) FROM alert_change WHERE alert = :n AND state NOT IN ('acked', 'snoozed')
)
ORDER BY n
"""
SELECT_SNOOZED = "SELECT cause, state, until_us FROM alert WHERE state = 'snoozed' AND until_us <= :now"
COUNT = "SELECT state, severity, count(*) FROM alert WHERE state IN ('firing', 'pending') GROUP BY state, severity"
MOVE_CURSOR = """
INSERT INTO cursor (name, n) VALUES (:name, :n) ON CONFLICT DO UPDATE SET n = excluded.n
"""
SELECT_CURSOR = "SELECT n FROM cursor WHERE name = :name"
KIND_OF_STATE = {
    AlertState.OK: "alert.ok",
    AlertState.INSUFFICIENT: "alert.insufficient",
    AlertState.PENDING: "alert.pending",
    AlertState.FIRING: "alert.opened",
    AlertState.ACKED: "alert.acked",
    AlertState.SNOOZED: "alert.snoozed",
    AlertState.RESOLVED: "alert.resolved",
}
ANSWERED = (AlertState.ACKED.value, AlertState.SNOOZED.value)
SHOWN = (AlertState.FIRING, AlertState.ACKED, AlertState.SNOOZED, AlertState.PENDING)


def tell(db: sqlite3.Connection, signal: Signal, at: datetime, who: str = WATCHER) -> AlertStep | None:
    """Take one look in, inside a write transaction; the change of state that it brought, None for none.

    A change of state is an event; what fires or is over goes to the notifiers that want it.
    """
    row = db.execute(SELECT_TRACK, {"cause": storable(signal.cause)}).fetchone()
    if row is None and signal.verdict in (Verdict.CLEAN, Verdict.BETWEEN):
        return None
    number = int(row[0]) if row else _insert(db, signal, at, who)
    before = _track(row[1:]) if row else Track()
    track, step = follow(before, signal, at)
    _keep(db, number, track)
    if signal.verdict is Verdict.BAD or (step is not None and step.state is AlertState.INSUFFICIENT):
        _describe(db, number, signal, at)
    if step is not None:
        _change(db, number, step, at, who)
        if step.state is AlertState.FIRING and signal.opens and not before.state.is_open:
            _emit(db, number, signal.opens, at)
    return step


def answer(
    db: sqlite3.Connection, alert: Alert, step: AlertStep, at: datetime, who: str, until: datetime | None
) -> None:
    """Ack, snooze or resolve an alert because a person says so."""
    row = db.execute(SELECT_TRACK, {"cause": storable(alert.cause)}).fetchone()
    if row is None or row[0] != alert.number:
        raise NotFound(f'The alert "{alert.id}" is over.', "See: mlconsole alert list")
    track = _track(row[1:])
    _keep(db, alert.number, Track(step.state, track.looks, track.clean, track.severity, track.bad_at, until))
    _change(db, alert.number, step, at, who)


def end_of_cause(db: sqlite3.Connection, cause: str, why: str, at: datetime, who: str) -> None:
    """Let the alert of a cause be over that nobody looks at any more, if there is one."""
    row = db.execute(SELECT_TRACK, {"cause": storable(cause)}).fetchone()
    if row is not None:
        state = AlertState.RESOLVED if AlertState(row[1]).is_open else AlertState.OK
        _keep(db, row[0], Track(state))
        _change(db, row[0], AlertStep(state, why), at, who)


def wake_due(db: sqlite3.Connection, now: datetime) -> None:
    """Let snoozes end whose time has come."""
    for cause, _, _ in db.execute(SELECT_SNOOZED, {"now": to_us(now)}).fetchall():
        number, *rest = db.execute(SELECT_TRACK, {"cause": cause}).fetchone()
        track, step = wake(_track(rest), now)
        if step is not None:
            _keep(db, number, track)
            _change(db, number, step, now, WATCHER)


def _insert(db: sqlite3.Connection, signal: Signal, at: datetime, who: str) -> int:
    new = "".join(ID_ALPHABET[byte & 31] for byte in os.urandom(ID_LENGTH))
    row: dict[str, object] = {"id": new, "cause": storable(signal.cause), "source": signal.source, "now": to_us(at)}
    row |= {"subject": storable(signal.subject), "title": storable(signal.title), "severity": signal.severity.value}
    number = db.execute(INSERT, {**row, "who": storable(who), "data": _dumped(signal)}).lastrowid
    assert number is not None
    return number


def _dumped(signal: Signal) -> str:
    return json.dumps(dict(signal.data), default=str)


def _describe(db: sqlite3.Connection, number: int, signal: Signal, at: datetime) -> None:
    values = {"n": number, "title": storable(signal.title), "subject": storable(signal.subject)}
    db.execute(DESCRIBE, {**values, "data": _dumped(signal)})
    rows = [
        {
            "n": number,
            "name": storable(part.name),
            "words": storable(part.words),
            "effect": part.effect,
            "now": to_us(at),
        }
        for part in signal.parts
    ]
    db.executemany(PUT_PART, rows)


def _keep(db: sqlite3.Connection, number: int, track: Track) -> None:
    row: dict[str, object] = {"n": number, "looks": track.looks, "clean": track.clean}
    row |= {"severity": track.severity.value, "bad_us": to_us(track.bad_at) if track.bad_at else None}
    db.execute(KEEP, {**row, "until": to_us(track.until) if track.until else None})


def _change(db: sqlite3.Connection, number: int, step: AlertStep, at: datetime, who: str) -> None:
    row = {"n": number, "state": step.state.value, "now": to_us(at), "who": storable(who), "why": storable(step.why)}
    db.execute(CHANGE, row)
    db.execute(INSERT_CHANGE, row)
    _emit(db, number, KIND_OF_STATE[step.state], at)


def _emit(db: sqlite3.Connection, number: int, kind: str, at: datetime) -> None:
    alert = _alert(db.execute(SELECT_NUMBER, {"n": number}).fetchone())
    told: dict[str, object] = {"alert": alert.id, "source": alert.source, "severity": alert.severity.value}
    told |= {"cause": alert.cause, "title": alert.title, "subject": alert.subject, "who": alert.who, "why": alert.why}
    emit(db, kind, alert.subject, {**alert.data, **told}, at)


def move_cursor(db: sqlite3.Connection, name: str, number: int) -> None:
    """Note how far a reader of the event stream has come."""
    db.execute(MOVE_CURSOR, {"name": name, "n": number})


def cursor(db: sqlite3.Connection, name: str) -> int | None:
    """How far a reader of the event stream has come; None for one that has never read."""
    row = db.execute(SELECT_CURSOR, {"name": name}).fetchone()
    return int(row[0]) if row else None


class Alerts:
    """The alerts of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listed(self, states: Iterable[AlertState] = SHOWN, limit: int = 200) -> list[Alert]:
        """Alerts in these states, the newest first, those that are over at the end."""
        wanted = json.dumps([state.value for state in states])
        rows = self._store.read(SELECT_LISTED, {"states": wanted, "limit": limit})
        return [self._whole(row) for row in rows]

    def get(self, word: str) -> Alert:
        """The alert of that id, of a unique start of an id, or the newest of that cause.

        Raises:
            NotFound: none answers to it.
            AmbiguousName: several do.
        """
        text = storable(word)
        found = self._store.read(SELECT_ID, {"word": text, "after": text + "\U0010ffff"}) if word else []
        found = found or self._store.read(SELECT_CAUSE, {"word": text})
        if not found:
            raise NotFound(f'No alert "{word}" in this catalog.', "List them: mlconsole alert list --all")
        if len(found) > 1 and found[0][1] != text:
            raise AmbiguousName(f'"{word}" fits several alerts.', "Give more of the id.")
        return self._whole(found[0])

    def changes(self, number: int) -> list[AlertChange]:
        """Every change of an alert, the oldest first."""
        return list(_changes(self._store.read(SELECT_CHANGES, {"n": number})))

    def standing(self) -> dict[str, tuple[str, str]]:
        """Source and title of every cause that is not ok."""
        return {str(cause): (str(source), str(title)) for cause, source, title in self._store.read(SELECT_STANDING)}

    def cursor(self, name: str) -> int:
        """How far a reader of the event stream has come."""
        rows = self._store.read(SELECT_CURSOR, {"name": name})
        return int(rows[0][0]) if rows else 0

    def counts(self) -> dict[str, int]:
        """How many fire, by severity."""
        rows = self._store.read(COUNT)
        return {str(severity): count for state, severity, count in rows if state == AlertState.FIRING.value}

    def snoozes_due(self, now: datetime) -> bool:
        """True when a snooze has come to its end."""
        return bool(self._store.read(SELECT_SNOOZED, {"now": to_us(now)}))

    def _whole(self, row: Row) -> Alert:
        """An alert with its children and what was said to it."""
        answers = self._store.read(SELECT_ANSWERS, {"n": row[0]}) if row[6] in ANSWERED else []
        return replace(_alert(row, self._parts(row[0])), answers=tuple(_changes(answers)))

    def _parts(self, number: int) -> tuple[Part, ...]:
        rows = self._store.read(SELECT_PARTS, {"n": number})
        return tuple(Part(str(name), str(words), effect) for name, words, effect in rows)


def _track(row: Sequence[object]) -> Track:
    state, looks, clean, severity, bad_us, until_us = row
    assert isinstance(clean, int)
    times = [moment(value) if isinstance(value, int) else None for value in (bad_us, until_us)]
    return Track(AlertState(str(state)), str(looks), clean, Severity(str(severity)), *times)


def _alert(row: Row, parts: tuple[Part, ...] = ()) -> Alert:
    n, id_, cause, source, subject, title, state, severity, opened, changed, resolved, until, who, why, data = row
    return Alert(
        n, str(id_), str(cause), str(source), str(subject), str(title), AlertState(state), Severity(severity),
        moment(opened), moment(changed) or EPOCH, moment(resolved), moment(until), str(who), str(why), parts,
        json_mapping(data),
    )  # fmt: skip


def _changes(rows: Sequence[Row]) -> Iterator[AlertChange]:
    for at, state, who, why in rows:
        yield AlertChange(moment(at) or EPOCH, AlertState(state), str(who), str(why))
