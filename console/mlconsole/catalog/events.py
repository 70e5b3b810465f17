"""Applies the events of a run log to the catalog's rows; called inside a write transaction.

Nothing that an event says is trusted: whatever is of a wrong type or size is left out, never an error.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mlconsole.catalog.experiments import experiment_number
from mlconsole.catalog.lineage import (
    USED_MODEL,
    file_key,
    note_code,
    note_environment,
    note_file,
    note_inner_files,
)
from mlconsole.catalog.run_changes import (
    NewRun,
    insert_run,
    note_change,
    set_columns,
    set_details,
    set_params,
    set_tags,
)
from mlconsole.catalog.store import storable
from mlconsole.domain.commands import default_name
from mlconsole.domain.runs import State
from mlconsole.domain.times import to_us

Event = Mapping[str, Any]
Handler = Callable[[sqlite3.Connection, int, int, Event, datetime], None]

LARGEST = (1 << 63) - 1
OUTCOMES = ("succeeded", "cancelled", "failed")
SELECT_RUN = "SELECT n FROM run WHERE id = :id"
SELECT_STATE = """
SELECT run.state, run.token IS NOT NULL, run.name_given, run.experiment_given, run.name, experiment.name, run.command
FROM run JOIN experiment ON experiment.n = run.experiment
WHERE run.n = :n
"""
OPEN_WRITER = "UPDATE writer SET rank = :rank, pid = :pid, outcome = NULL, ended_us = NULL WHERE n = :n"
START_WRITER = "UPDATE writer SET is_main = 1 WHERE n = :n"
END_WRITER = """
UPDATE writer
SET outcome = :outcome, exit_code = :exit_code, ended_us = :ended_us, lost = :lost
WHERE n = :n
"""
INSERT_ARTIFACT = """
INSERT INTO artifact (run, kind, name, path, size_bytes, digest, at_us, metadata)
VALUES (:run, :kind, :name, :path, :size_bytes, :digest, :at_us, :metadata)
"""


class NewArtifact(NamedTuple):
    """What a run made or used; see :class:`mlconsole.domain.run_details.Artifact`, which is slower to load."""

    kind: str
    name: str
    path: str
    size_bytes: int | None
    digest: str
    at: datetime
    metadata: Mapping[str, object]


def ensure_run(db: sqlite3.Connection, run_id: str, events: list[tuple[int, dict[str, Any]]], now: datetime) -> int:
    """The number of the run, added when its log is the first that the catalog hears of it."""
    row = db.execute(SELECT_RUN, {"id": run_id}).fetchone()
    if row is not None:
        return int(row[0])
    start = next((event for _, event in events if event.get("e") == "start"), {})
    opened = next((event for _, event in events if event.get("e") == "open"), {})
    at = moment_of(start.get("created", start.get("t", opened.get("t"))), now)
    new = NewRun(
        id=run_id,
        name=_text(start.get("name")) or default_name(_words(start.get("command")), run_id),
        experiment=_text(start.get("experiment")) or "default",
        created_at=at,
        started_at=at,
        state=State.RUNNING,
        host=_text(opened.get("host")),
        user=_text(opened.get("user")),
        command=_words(start.get("command")),
        cwd=_text(start.get("cwd")),
        parent_id=_text(start.get("parent")) or None,
    )
    return insert_run(db, new, "its run log began")


def apply_event(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    """Apply one event; one of an unknown kind is passed over."""
    handler = _HANDLERS.get(_text(event.get("e")))
    if handler is not None:
        handler(db, run, writer, event, now)


def _open(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    row = {"n": writer, "rank": _whole(event.get("rank")) or 0, "pid": _whole(event.get("pid")) or 0}
    db.execute(OPEN_WRITER, row)


def _start(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    db.execute(START_WRITER, {"n": writer})
    row = db.execute(SELECT_STATE, {"n": run}).fetchone()
    state, launched, name_given, experiment_given, name, experiment, command = row
    # What the run was added with a moment ago is not written again.
    columns: dict[str, object] = {}
    if event.get("name") and not name_given and storable(_text(event["name"])) != name:
        columns["name"] = _text(event["name"])
    if event.get("experiment") and not experiment_given and storable(_text(event["experiment"])) != experiment:
        columns["experiment"] = experiment_number(db, _text(event["experiment"]), now)
    if not launched and event.get("command") and (words := json.dumps(_words(event["command"]))) != command:
        columns["command"] = words
    if not launched and state == State.ENDED.value:
        columns |= {"state": State.RUNNING.value, "outcome": None, "exit_code": None, "reason": "", "ended_us": None}
        note_change(db, run, moment_of(event.get("t"), now), State.RUNNING, None, "another process resumed it")
    if columns:
        set_columns(db, run, **columns)


def _params(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    set_params(db, run, _mapping(event.get("params")))


def _tags(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    removed = [_text(key) for key in _list(event.get("remove"))]
    set_tags(db, run, {key: _text(value) for key, value in _mapping(event.get("set")).items()}, removed)


def _environment(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    environment = _mapping(event.get("environment"))
    set_details(db, run, environment=json.dumps(environment))
    note_environment(db, run, environment, moment_of(event.get("t"), now))


def _code(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    kept = {key: value for key, value in event.items() if key not in ("e", "t")}
    set_details(db, run, code=json.dumps(kept))
    commit = _text(event.get("commit"))
    set_columns(db, run, commit_id=commit or None)
    # The commit comes first and alone, its changes when git has told them; lineage is never rewritten, so it waits.
    if "dirty" in event or "remote" in event:
        is_dirty = bool(event["dirty"]) if "dirty" in event else None
        note_code(db, run, commit, is_dirty, moment_of(event.get("t"), now))


def _artifact(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    path, digest = _text(event.get("path")), _text(event.get("digest"))
    at, metadata = moment_of(event.get("t"), now), _mapping(event.get("metadata"))
    named = (_text(event["e"]), _text(event.get("name")), path)
    put_artifact(db, run, NewArtifact(*named, _whole(event.get("size")), digest, at, metadata))
    if event.get("files"):
        kind = "model" if named[0] == USED_MODEL else named[0]
        note_inner_files(db, file_key(kind, named[1], digest), _inner_files(event["files"]))


def put_artifact(db: sqlite3.Connection, run: int, artifact: NewArtifact) -> None:
    """Say that a run made or used something, in its record and in the lineage. For a write transaction."""
    row = {
        "run": run,
        "kind": artifact.kind,
        "name": storable(artifact.name),
        "path": storable(artifact.path),
        "size_bytes": artifact.size_bytes,
        "digest": storable(artifact.digest),
        "at_us": to_us(artifact.at),
        "metadata": json.dumps(dict(artifact.metadata)),
    }
    db.execute(INSERT_ARTIFACT, row)
    note_file(db, run, artifact.kind, artifact.name, artifact.digest, artifact.at)


def _inner_files(found: object) -> list[tuple[str, str]]:
    """The files of a folder and their digests, as far as an event says them."""
    pairs = (one for one in _list(found) if isinstance(one, list) and len(one) == 2)
    return [(path, digest) for path, digest in pairs if isinstance(path, str) and isinstance(digest, str)]


def _end(db: sqlite3.Connection, run: int, writer: int, event: Event, now: datetime) -> None:
    outcome = event.get("outcome")
    row = {
        "n": writer,
        "outcome": outcome if outcome in OUTCOMES else "failed",
        "exit_code": _whole(event.get("exit_code")),
        "ended_us": to_us(moment_of(event.get("t"), now)),
        "lost": _whole(event.get("lost")) or 0,
    }
    db.execute(END_WRITER, row)
    if event.get("traceback"):
        set_details(db, run, traceback=_text(event["traceback"]))


_HANDLERS: dict[str, Handler] = {
    "open": _open,
    "start": _start,
    "params": _params,
    "tags": _tags,
    "environment": _environment,
    "code": _code,
    "artifact": _artifact,
    "dataset": _artifact,
    "model": _artifact,
    "used_model": _artifact,
    "end": _end,
}


def moment_of(value: object, now: datetime) -> datetime:
    """The time of an event; ``now`` where it says none that makes sense."""
    if not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value < 2e11:
        return now
    return datetime.fromtimestamp(value, UTC)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _words(value: object) -> tuple[str, ...]:
    return tuple(_text(word) for word in _list(value))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int | None:
    """A whole number that a column can hold."""
    return value if isinstance(value, int) and abs(value) <= LARGEST else None
