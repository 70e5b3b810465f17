"""Teardowns and teardown commands: intents first, and what was seen of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime

from mlconsole.catalog.rows import EPOCH, json_of, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.jobs import Finaliser, FinaliserState
from mlconsole.domain.teardowns import Teardown, TeardownCommand, TeardownState
from mlconsole.domain.times import to_us

COLUMNS = """n, run, run_id, name, target, asked_by, asked_us, grace_s, state, tries, message, saved_microusd_per_h,
             done_us"""
FIRST_PAUSE_US, LONGEST_PAUSE_US = 5_000_000, 600_000_000
INSERT = """
INSERT INTO teardown (run, run_id, name, target, asked_by, asked_us, grace_s, state, next_us, saved_microusd_per_h)
VALUES (:run, :run_id, :name, :target, :asked_by, :asked_us, :grace_s, 'pending', :asked_us, :saved)
ON CONFLICT (run) WHERE state = 'pending' DO UPDATE SET grace_s = min(grace_s, excluded.grace_s)
"""
SELECT_PENDING = f"SELECT {COLUMNS} FROM teardown WHERE state = 'pending' ORDER BY n"
SELECT_PENDING_OF = f"SELECT {COLUMNS} FROM teardown WHERE state = 'pending' AND run = :run"
SELECT_ONE = f"SELECT {COLUMNS} FROM teardown WHERE n = :n"
# Whoever moves the time of the next try on has this one.
CLAIM = """
UPDATE teardown
SET tries = tries + 1, next_us = :now + min(:longest, :first << min(tries, 20))
WHERE n = :n AND state = 'pending' AND (next_us <= :now OR :is_asked)
"""
NOTE = "UPDATE teardown SET message = :message WHERE n = :n AND state = 'pending'"
CONFIRM = "UPDATE teardown SET state = 'done', message = :message, done_us = :now WHERE n = :n AND state = 'pending'"
INSERT_COMMAND = "INSERT INTO finaliser (run, number, command, state) VALUES (:run, :number, :command, 'waiting')"
SELECT_COMMANDS = "SELECT command, state, tries, message FROM finaliser WHERE run = :run ORDER BY number"
SET_COMMAND = """
UPDATE finaliser SET state = :state, tries = :tries, message = :message WHERE run = :run AND number = :number
"""
NOT_NEEDED = """
UPDATE finaliser
SET state = 'done', message = 'not needed: the program never started'
WHERE run = :run
"""
SELECT_UNFINISHED = """
SELECT n FROM run WHERE cleanup != '' AND state = 'ended'
UNION
SELECT finaliser.run
FROM finaliser
CROSS JOIN run ON run.n = finaliser.run
WHERE finaliser.state != 'done' AND run.state = 'ended'
"""

SELECT_ON_HOST = """
SELECT n FROM run
WHERE host = :host AND (state IN ('submitting', 'queued', 'starting', 'running', 'stopping') OR cleanup != '')
UNION
SELECT finaliser.run
FROM finaliser
CROSS JOIN run ON run.n = finaliser.run
WHERE finaliser.state != 'done' AND run.host = :host
"""


def ask(db: sqlite3.Connection, asked: Teardown) -> Teardown:
    """Record that a teardown is wanted; one of the same run that is pending already stands for both."""
    row = {"run": asked.run, "run_id": asked.run_id, "name": storable(asked.name), "target": storable(asked.target)}
    row |= {"asked_by": storable(asked.asked_by), "asked_us": to_us(asked.asked_at)}
    db.execute(INSERT, {**row, "grace_s": asked.grace_s, "saved": asked.saved_microusd_per_h})
    return _teardown(db.execute(SELECT_PENDING_OF, {"run": asked.run}).fetchone())


def claim(db: sqlite3.Connection, number: int, now: datetime, *, is_asked: bool = False) -> bool:
    """True for the one who may press a pending teardown now; the pauses between two tries grow."""
    values = {"n": number, "now": to_us(now), "first": FIRST_PAUSE_US, "longest": LONGEST_PAUSE_US}
    return db.execute(CLAIM, {**values, "is_asked": int(is_asked)}).rowcount > 0


def note(db: sqlite3.Connection, number: int, message: str) -> None:
    """Say what is left of a pending teardown."""
    db.execute(NOTE, {"n": number, "message": storable(message)})


def confirm(db: sqlite3.Connection, number: int, now: datetime, message: str) -> bool:
    """Record that nothing is left; True for the one who was the first to see it."""
    return db.execute(CONFIRM, {"n": number, "now": to_us(now), "message": storable(message)}).rowcount > 0


def insert_commands(db: sqlite3.Connection, run: int, commands: Sequence[Sequence[str]]) -> None:
    """Record a run's teardown commands, secrets taken out, with its intent."""
    rows = [{"run": run, "number": i, "command": json.dumps(list(words))} for i, words in enumerate(commands)]
    db.executemany(INSERT_COMMAND, rows)


def set_commands(db: sqlite3.Connection, run: int, seen: Sequence[Finaliser], *, is_needed: bool) -> None:
    """Record what was seen of a run's teardown commands."""
    if not is_needed:
        db.execute(NOT_NEEDED, {"run": run})
    for each in seen:
        row = {"run": run, "number": each.number, "state": each.state.value, "tries": each.tries}
        db.execute(SET_COMMAND, {**row, "message": storable(each.message)})


class Teardowns:
    """Teardowns of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pending(self) -> list[Teardown]:
        """Those that nobody has seen done, the oldest first."""
        return [_teardown(row) for row in self._store.read(SELECT_PENDING)]

    def get(self, number: int) -> Teardown:
        """One of them."""
        return _teardown(self._store.read(SELECT_ONE, {"n": number})[0])

    def commands(self, run: int) -> tuple[TeardownCommand, ...]:
        """A run's own teardown commands, in their order."""
        return tuple(_commands(self._store.read(SELECT_COMMANDS, {"run": run})))

    def on_host(self, host: str) -> list[int]:
        """Numbers of the runs on a host that live, or that something is left of."""
        return [int(row[0]) for row in self._store.read(SELECT_ON_HOST, {"host": storable(host)})]

    def unfinished(self) -> list[int]:
        """Numbers of ended runs that something is left of: processes, or teardown commands that are not done."""
        return [int(row[0]) for row in self._store.read(SELECT_UNFINISHED)]


def _teardown(row: Row) -> Teardown:
    n, run, run_id, name, target, by, asked, grace_s, state, tries, message, saved, done = row
    at = moment(asked) or EPOCH
    where = (n, run, str(run_id), str(name), str(target), str(by), at, grace_s)
    return Teardown(*where, TeardownState(state), tries, str(message), saved, moment(done))


def _commands(rows: Sequence[Row]) -> Iterator[TeardownCommand]:
    for command, state, tries, message in rows:
        words = json_of(command)
        known = state if state in list(FinaliserState) else FinaliserState.STUCK
        shown = tuple(str(word) for word in words) if isinstance(words, list) else (str(words),)
        yield TeardownCommand(shown, FinaliserState(known), tries, str(message))
