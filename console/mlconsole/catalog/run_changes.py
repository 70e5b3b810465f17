"""Changing runs; every function is for use inside a write transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from mlconsole.catalog.event_stream import emit_run_ended
from mlconsole.catalog.experiments import experiment_number
from mlconsole.catalog.names import key_numbers
from mlconsole.catalog.store import storable
from mlconsole.domain.runs import Outcome, ParamValue, State
from mlconsole.domain.times import to_us

SEARCHED_CHARACTERS = 4096
INSERT_RUN = """
INSERT INTO run (id, name, name_given, experiment, experiment_given, state, backend, token, host, user, command, cwd,
                 parent_id, gpus, created_us, started_us)
VALUES (:id, :name, :name_given, :experiment, :experiment_given, :state, :backend, :token, :host, :user, :command,
        :cwd, :parent_id, :gpus, :created_us, :started_us)
"""
INSERT_CHANGE = """
INSERT INTO change (run, at_us, state, outcome, evidence) VALUES (:run, :at_us, :state, :outcome, :evidence)
"""
PUT_PARAM = """
INSERT INTO param (run, key, value, text, num) VALUES (:run, :key, :value, :text, :num)
ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, text = excluded.text, num = excluded.num
"""
PUT_TAG = """
INSERT INTO tag (run, key, value) VALUES (:run, :key, :value)
ON CONFLICT (run, key) DO UPDATE SET value = excluded.value
"""
DELETE_TAG = "DELETE FROM tag WHERE run = :run AND key = :key"
DELETE_RUN = "DELETE FROM run WHERE n = :n"


class NewRun(NamedTuple):
    """What is known of a run at the moment its intent is recorded."""

    id: str
    name: str
    experiment: str
    created_at: datetime
    state: State
    name_given: bool = False
    experiment_given: bool = False
    backend: str | None = None
    token: str | None = None
    host: str = ""
    user: str = ""
    command: tuple[str, ...] = ()
    cwd: str = ""
    parent_id: str | None = None
    gpus: int = 0
    started_at: datetime | None = None


def insert_run(db: sqlite3.Connection, new: NewRun, evidence: str) -> int:
    """Add a run and the first entry of its timeline; returns its number."""
    number = db.execute(
        INSERT_RUN,
        {
            "id": new.id,
            "name": storable(new.name),
            "name_given": int(new.name_given),
            "experiment": experiment_number(db, new.experiment, new.created_at),
            "experiment_given": int(new.experiment_given),
            "state": new.state.value,
            "backend": new.backend,
            "token": new.token,
            "host": storable(new.host),
            "user": storable(new.user),
            "command": json.dumps(new.command),
            "cwd": storable(new.cwd),
            "parent_id": new.parent_id,
            "gpus": new.gpus,
            "created_us": to_us(new.created_at),
            "started_us": to_us(new.started_at) if new.started_at else None,
        },
    ).lastrowid
    assert number is not None
    note_change(db, number, new.created_at, new.state, None, evidence)
    return number


def note_change(
    db: sqlite3.Connection, number: int, at: datetime, state: State, outcome: Outcome | None, evidence: str
) -> None:
    """Append to a run's timeline; its end is also an event."""
    row = {
        "run": number,
        "at_us": to_us(at),
        "state": state.value,
        "outcome": outcome.value if outcome else None,
        "evidence": storable(evidence),
    }
    db.execute(INSERT_CHANGE, row)
    if state is State.ENDED and outcome is not None:
        emit_run_ended(db, number, at)


def set_columns(db: sqlite3.Connection, number: int, **columns: object) -> None:
    """Set columns of a run's row; names come from our own code only."""
    assert all(name.isidentifier() for name in columns)
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    db.execute(f"UPDATE run SET {assignments} WHERE n = :n", {**_stored(columns), "n": number})


def set_details(db: sqlite3.Connection, number: int, **columns: str) -> None:
    """Set what only a run's own page shows: ``traceback``, ``environment``, ``code``."""
    assert all(name.isidentifier() for name in columns)
    names = ", ".join(columns)
    places = ", ".join(f":{name}" for name in columns)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in columns)
    db.execute(
        f"INSERT INTO detail (run, {names}) VALUES (:n, {places}) ON CONFLICT (run) DO UPDATE SET {assignments}",
        {**_stored(columns), "n": number},
    )


def _stored(columns: Mapping[str, object]) -> dict[str, object]:
    return {name: storable(value) if isinstance(value, str) else value for name, value in columns.items()}


def set_params(db: sqlite3.Connection, number: int, params: Mapping[str, ParamValue]) -> None:
    """Add or replace params of a run.

    The value is kept whole; searching and sorting see its first 4,096 characters.
    """
    keys = key_numbers(db, params)
    rows = [
        {
            "run": number,
            "key": keys[name],
            "value": json.dumps(value),
            "text": storable(text_of(value)[:SEARCHED_CHARACTERS]),
            "num": number_of(value),
        }
        for name, value in params.items()
    ]
    db.executemany(PUT_PARAM, rows)


def set_tags(db: sqlite3.Connection, number: int, tags: Mapping[str, str], remove: Iterable[str] = ()) -> None:
    """Add, replace and remove tags of a run."""
    gone = list(remove)
    keys = key_numbers(db, [*tags, *gone])
    db.executemany(DELETE_TAG, [{"run": number, "key": keys[name]} for name in gone if name not in tags])
    rows = [{"run": number, "key": keys[name], "value": storable(str(value))} for name, value in tags.items()]
    db.executemany(PUT_TAG, rows)


def delete_run(db: sqlite3.Connection, number: int) -> None:
    """Remove a run's row and all that hangs on it in the catalog; its files are the caller's."""
    db.execute(DELETE_RUN, {"n": number})


def text_of(value: ParamValue) -> str:
    """A param's value as searched and sorted: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def number_of(value: ParamValue) -> float | None:
    """A param's value as a number, None if it is not one (or too large for one)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
