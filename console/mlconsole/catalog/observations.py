"""Applies what a backend was seen to say about a job to its run's row. Observation never deletes and never revives."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from mlconsole.catalog.rows import moment
from mlconsole.catalog.run_changes import note_change, set_columns
from mlconsole.domain.jobs import Handle, Observation
from mlconsole.domain.runs import Outcome, Reach, State
from mlconsole.domain.times import to_us
from mlconsole.records import replace

SELECT = "SELECT state, outcome, reach, started_us, reason, token FROM run WHERE n = :n"


SELECT_OWN_END = """
SELECT outcome, exit_code, ended_us
FROM writer
WHERE run = :run AND pid = :pid AND is_main AND exit_code IS NOT NULL
ORDER BY n DESC
LIMIT 1
"""


def with_own_record(db: sqlite3.Connection, number: int, seen: Observation) -> Observation:
    """The observation of an end that its backend has no record of, as the program's own run log tells of that end."""
    if seen.outcome is not Outcome.UNKNOWN or seen.pid is None:
        return seen
    row = db.execute(SELECT_OWN_END, {"run": number, "pid": seen.pid}).fetchone()
    if row is None:
        return seen
    return replace(
        seen,
        outcome=Outcome(row[0]),
        exit_code=row[1],
        ended_at=moment(row[2]),
        reason=f"exit code {row[1]}, as its run log says; {seen.reason}",
        evidence=f"{seen.evidence}; its run log's end record",
    )


def set_handle(db: sqlite3.Connection, number: int, handle: Handle) -> None:
    """Keep the handle that the backend gave for a run, unless the run has gone on to another attempt since."""
    if is_of_this_attempt(db, number, handle.token):
        set_columns(db, number, handle=json.dumps(dict(handle.data)))


def is_of_this_attempt(db: sqlite3.Connection, number: int, token: str) -> bool:
    """Whether a token is that of the attempt that a run is at; what is known of an earlier one changes nothing."""
    row = db.execute("SELECT token FROM run WHERE n = :n", {"n": number}).fetchone()
    return row is not None and row[0] in (None, token)


def apply_observation(db: sqlite3.Connection, number: int, seen: Observation, now: datetime) -> bool:
    """Put one observation into a run's row and timeline; True when its state or reach changed.

    A look at an earlier attempt, which took longer than it took somebody else to begin the next one, changes nothing.
    """
    row = db.execute(SELECT, {"n": number}).fetchone()
    if row is None or row[0] == State.ENDED.value or row[5] not in (None, seen.token):
        return False
    if not seen.reachable:
        return _lost_sight(db, number, row[2], now)
    columns: dict[str, object] = {"seen_us": to_us(now)}
    if row[2] != Reach.OK.value:
        columns |= {"reach": Reach.OK.value, "reach_since_us": None}
    if seen.started_at is not None and row[3] is None:
        columns["started_us"] = to_us(seen.started_at)
    if seen.host:
        columns["host"] = seen.host
    changed = _next_state(seen.state, State(row[0]))
    if changed is not None:
        columns |= _state_columns(seen, changed, now)
    elif seen.reason != row[4]:
        columns["reason"] = seen.reason
    set_columns(db, number, **columns)
    if changed is not None:
        at = (seen.ended_at if changed is State.ENDED else seen.started_at) or now
        note_change(db, number, at, changed, seen.outcome, seen.evidence or seen.reason)
    return changed is not None or row[2] != Reach.OK.value


def _lost_sight(db: sqlite3.Connection, number: int, reach: str, now: datetime) -> bool:
    if reach == Reach.UNREACHABLE.value:
        return False
    set_columns(db, number, reach=Reach.UNREACHABLE.value, reach_since_us=to_us(now))
    return True


def _next_state(seen: State, known: State) -> State | None:
    """The state to move to, None to stay. A stop that was asked for is not forgotten by a late look."""
    if seen is known or (known is State.STOPPING and seen in (State.STARTING, State.RUNNING)):
        return None
    return seen


def _state_columns(seen: Observation, state: State, now: datetime) -> dict[str, object]:
    columns: dict[str, object] = {"state": state.value, "reason": seen.reason}
    if state is State.ENDED:
        columns |= {
            "outcome": seen.outcome.value if seen.outcome else "unknown",
            "exit_code": seen.exit_code,
            "ended_us": to_us(seen.ended_at or now),
            "cleanup": "; ".join(seen.survivors),
        }
    return columns
