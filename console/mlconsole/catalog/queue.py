"""The queue's rows: who waits, what is held, who starts what; and the attempts of a run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from mlconsole.catalog.run_changes import note_change, set_columns
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.jobs import Observation
from mlconsole.domain.queue import Waiting
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.sweeps import TAG, Sweep
from mlconsole.domain.times import from_us, to_us

#: For the fair share a GPU counts as so many CPU slots, and a slot that is held now as so many seconds of use.
GPU_WEIGHT = 8
HELD_S = 3600.0
SHARE_WINDOW_US = 86_400_000_000

INSERT_JOB = """
INSERT INTO job (run, waits, host, user, priority, place, cpus, gpus, held_by, retries, spec, parcel, sweep)
VALUES (:run, :waits, :host, :user, :priority, :run, :cpus, :gpus, :held_by, :retries, :spec, :parcel, :sweep)
"""
INSERT_AFTER = "INSERT OR IGNORE INTO job_after (run, needs, whatever) VALUES (:run, :needs, :whatever)"
SELECT_WAITING = """
SELECT job.run, run.id, run.name, job.user, job.priority, job.place, job.cpus, job.gpus, job.held_by,
       job.not_before_us, run.reason
FROM job
JOIN run ON run.n = job.run
WHERE job.host = :host AND job.waits = 1 AND job.claim IS NULL
"""
SELECT_WAITING_IN_SHORT = """
SELECT run, '', '', user, priority, place, cpus, gpus, held_by, not_before_us, ''
FROM job
WHERE host = :host AND waits = 1 AND claim IS NULL
"""
SELECT_BLOCKED = """
SELECT job_after.run, job_after.needs, needed.name, needed.state, needed.outcome
FROM job
JOIN job_after ON job_after.run = job.run
LEFT JOIN run AS needed ON needed.id = job_after.needs
WHERE job.host = :host AND job.waits = 1
      AND NOT (needed.state IS 'ended' AND (job_after.whatever OR needed.outcome IS 'succeeded'))
"""
SELECT_ANY = """
SELECT EXISTS (SELECT 1 FROM job WHERE host = :host AND waits = 1),
       EXISTS (SELECT 1 FROM job WHERE claim IS NOT NULL AND host = :host),
       EXISTS (SELECT 1 FROM job WHERE host = :host AND waits = 1 AND claim IS NULL AND gpus > 0)
"""
SELECT_OWN = "SELECT EXISTS (SELECT 1 FROM job WHERE host = :host AND user = :user AND waits = 1 AND held_by = '')"
SELECT_HELD_CPUS = """
SELECT coalesce(sum(job.cpus), 0)
FROM run
JOIN job ON job.run = run.n
WHERE run.state IN ('submitting', 'starting', 'running', 'stopping') AND job.host = :host
"""
SELECT_USED = f"""
SELECT user, sum(weight) FROM (
    SELECT job.user AS user, (job.cpus + {GPU_WEIGHT} * job.gpus)
           * (min(run.ended_us, :now) - max(run.started_us, :since)) / 1000000.0 AS weight
    FROM run
    JOIN job ON job.run = run.n
    WHERE run.ended_us > :since AND run.started_us IS NOT NULL AND job.host = :host
    UNION ALL
    SELECT job.user, (job.cpus + {GPU_WEIGHT} * job.gpus)
           * ({HELD_S} + (:now - max(coalesce(run.started_us, :now), :since)) / 1000000.0)
    FROM run
    JOIN job ON job.run = run.n
    WHERE run.state IN ('submitting', 'starting', 'running', 'stopping') AND job.host = :host
)
GROUP BY user
"""
SELECT_DRAINED = "SELECT drained FROM host WHERE name = :host"
PUT_DRAINED = "INSERT INTO host (name, drained) VALUES (:host, :why) ON CONFLICT (name) DO UPDATE SET drained = :why"
SELECT_JOB = """
SELECT run, waits, attempt, host, user, priority, place, cpus, gpus, held_by, retries, spec, parcel, claim, sweep
FROM job
WHERE run = :run
"""
SELECT_UNTAKEN = """
SELECT run.token
FROM job
JOIN run ON run.n = job.run
WHERE job.run = :run AND job.parcel IS NOT NULL AND job.claim IS NULL AND run.handle IS NULL
"""
SELECT_CLAIMED = "SELECT run FROM job WHERE claim IS NOT NULL AND host = :host"
SELECT_PLACES = """
SELECT job.run, job.priority, job.cpus, job.attempt
FROM json_each(:runs) AS asked
JOIN job ON job.run = asked.value
"""
INSERT_SWEEP = """
INSERT INTO sweep (id, name, user, grid, created_us)
VALUES (:id, :name, :user, :grid, :created_us)
RETURNING n
"""
SELECT_SWEEPS = "SELECT n, id, name, user, grid, created_us FROM sweep ORDER BY n DESC"
SELECT_SWEEP_RUNS = """
SELECT tag.run
FROM key
JOIN tag ON tag.key = key.n
WHERE key.name = :tag AND tag.value = :id
ORDER BY tag.run
"""
KEEP_ATTEMPT = """
INSERT INTO attempt (run, number, token, outcome, exit_code, reason, started_us, ended_us)
SELECT run.n, job.attempt, run.token, run.outcome, run.exit_code, run.reason, run.started_us, run.ended_us
FROM run
JOIN job ON job.run = run.n
WHERE run.n = :run
"""
SELECT_ATTEMPTS = """
SELECT number, token, outcome, exit_code, reason, started_us, ended_us FROM attempt WHERE run = :run ORDER BY number
"""


class JobRow(NamedTuple):
    """What a launched run was asked to be, and where it stands."""

    run: int
    waits: bool
    attempt: int
    host: str
    user: str
    priority: int
    place: float
    cpus: int
    gpus: int
    held_by: str
    retries: Mapping[str, int]
    spec: str
    parcel: str | None
    claim: Mapping[str, Any] | None
    sweep: int | None


class NewJob(NamedTuple):
    """What is known of a job when its run is recorded."""

    host: str
    user: str
    priority: int
    cpus: int
    gpus: int
    spec: str
    parcel: str | None
    held_by: str = ""
    retries: Mapping[str, int] = {}
    after: Sequence[tuple[str, bool]] = ()
    sweep: int | None = None


def insert_job(db: sqlite3.Connection, run: int, new: NewJob, *, waits: bool) -> None:
    """Put a run in line, or note what it holds if it starts at once; for use inside a write transaction."""
    values = {"run": run, "waits": int(waits), "host": storable(new.host), "user": storable(new.user)}
    values |= {"priority": new.priority, "cpus": new.cpus, "gpus": new.gpus, "held_by": storable(new.held_by)}
    values |= {"retries": json.dumps(dict(new.retries)), "spec": new.spec, "parcel": new.parcel, "sweep": new.sweep}
    db.execute(INSERT_JOB, values)
    rows = [{"run": run, "needs": needs, "whatever": int(whatever)} for needs, whatever in new.after]
    db.executemany(INSERT_AFTER, rows)


def insert_sweep(db: sqlite3.Connection, sweep: Sweep) -> int:
    """Record a sweep; gives its number."""
    values = {"id": sweep.id, "name": storable(sweep.name), "user": storable(sweep.user)}
    values |= {"grid": json.dumps({key: list(found) for key, found in sweep.grid.items()})}
    return int(db.execute(INSERT_SWEEP, {**values, "created_us": to_us(sweep.created_at)}).fetchone()[0])


def job_row(db: sqlite3.Connection, run: int) -> JobRow | None:
    """The job of a run, None for one that was never put in line."""
    row = db.execute(SELECT_JOB, {"run": run}).fetchone()
    return _job(row) if row else None


def waiting(db: sqlite3.Connection, host: str, now: datetime, *, with_words: bool = True) -> list[Waiting]:
    """All that wait for their turn on a host, in no order; without ids, names and reasons where nobody reads them."""
    at, now_us = {"host": storable(host)}, to_us(now)
    blocked = {row[0]: _needs(row) for row in db.execute(SELECT_BLOCKED, at)}
    rows = db.execute(SELECT_WAITING if with_words else SELECT_WAITING_IN_SHORT, at)
    return [_waiting(row, blocked, now_us) for row in rows]


def _waiting(row: Row, blocked: Mapping[int, str], now_us: int) -> Waiting:
    why = blocked.get(row[0], "")
    if not why and row[9] > now_us:
        why = f"waits {(row[9] - now_us) // 1_000_000 + 1} s: {row[10]}"
    return Waiting._make((*row[:9], why))


def _needs(row: Row) -> str:
    _, needs, name, state, outcome = row
    if name is None:
        return f"comes after {needs}, which was deleted: release or stop it"
    if state == State.ENDED.value:
        return f'comes after "{name}", which ended as {outcome}: release or stop it'
    return f'comes after "{name}", which is {state}'


def anybody_waits(db: sqlite3.Connection) -> bool:
    """Whether a run waits for its turn on any host."""
    return bool(db.execute("SELECT EXISTS (SELECT 1 FROM job WHERE waits = 1)").fetchone()[0])


def token_before_its_turn(db: sqlite3.Connection, run: int) -> str | None:
    """The token of a run whose turn nobody has taken: no backend has heard of it; None for any other."""
    row = db.execute(SELECT_UNTAKEN, {"run": run}).fetchone()
    return str(row[0]) if row else None


def held_cpus(db: sqlite3.Connection, host: str) -> int:
    """The CPU slots that runs on a host take now."""
    return int(db.execute(SELECT_HELD_CPUS, {"host": storable(host)}).fetchone()[0])


def used(db: sqlite3.Connection, host: str, now: datetime) -> dict[str, float]:
    """What each user has used of a host in the last day, and holds now, in weighted slot seconds."""
    values = {"host": storable(host), "now": to_us(now), "since": to_us(now) - SHARE_WINDOW_US}
    return {str(user): float(weight or 0.0) for user, weight in db.execute(SELECT_USED, values)}


def drained(db: sqlite3.Connection, host: str) -> str:
    """Why nothing is started on a host, empty when it is."""
    row = db.execute(SELECT_DRAINED, {"host": storable(host)}).fetchone()
    return str(row[0]) if row else ""


def set_drained(db: sqlite3.Connection, host: str, why: str) -> None:
    """Start nothing more on a host, or, with an empty reason, start again."""
    db.execute(PUT_DRAINED, {"host": storable(host), "why": storable(why)})


def set_job(db: sqlite3.Connection, run: int, **columns: object) -> None:
    """Set columns of a job's row; names come from our own code only."""
    assert all(name.isidentifier() for name in columns)
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    db.execute(f"UPDATE job SET {assignments} WHERE run = :run", {**columns, "run": run})


def claim(db: sqlite3.Connection, run: int, claimer: Mapping[str, object], now: datetime) -> None:
    """Take a waiting run: from here on it is being started, by the process that is named, or by whoever follows it."""
    put_claim(db, run, claimer)
    set_columns(db, run, state=State.SUBMITTING.value, reason="")
    note_change(db, run, now, State.SUBMITTING, None, "its turn has come")


def put_claim(db: sqlite3.Connection, run: int, claimer: Mapping[str, object]) -> None:
    """Note who starts a run."""
    set_job(db, run, claim=json.dumps(dict(claimer)))


def forget_needs(db: sqlite3.Connection, run: int) -> None:
    """Let a run no longer come after any other."""
    db.execute("DELETE FROM job_after WHERE run = :run", {"run": run})


def first_place(db: sqlite3.Connection, host: str) -> float:
    """A place before all that wait on a host."""
    found = db.execute("SELECT min(place) FROM job WHERE host = :host AND waits = 1", {"host": storable(host)})
    return float((found.fetchone()[0] or 0.0) - 1.0)


def place_of(db: sqlite3.Connection, run: int) -> tuple[float, float | None]:
    """The place of a waiting run, and of the one that stands before it."""
    row = db.execute("SELECT place, host FROM job WHERE run = :run", {"run": run}).fetchone()
    values = {"place": row[0], "host": row[1]}
    before = db.execute("SELECT max(place) FROM job WHERE host = :host AND waits = 1 AND place < :place", values)
    return float(row[0]), before.fetchone()[0]


def begin_attempt(db: sqlite3.Connection, run: int, now: datetime, why: str, not_before_us: int = 0) -> int:
    """Put an ended run in line again, under a new token; what its last attempt came to is kept. Gives its number."""
    db.execute(KEEP_ATTEMPT, {"run": run})
    number, run_id = db.execute(
        "SELECT job.attempt + 1, run.id FROM job JOIN run ON run.n = job.run WHERE job.run = :run", {"run": run}
    ).fetchone()
    set_job(db, run, attempt=number, claim=None, not_before_us=not_before_us)
    cleared = {"outcome": None, "exit_code": None, "handle": None, "started_us": None, "ended_us": None}
    set_columns(db, run, state=State.QUEUED.value, token=f"{run_id}.{number}", reason=why, **cleared)
    note_change(db, run, now, State.QUEUED, None, why)
    return int(number)


def retry(db: sqlite3.Connection, run: int, seen: Observation, now: datetime) -> bool:
    """Put a run that has just ended in line again if its retries say so; part of the change that ended it.

    A run that was asked to stop is never tried again, whatever it ended with.
    """
    asked = db.execute("SELECT state FROM change WHERE run = :run ORDER BY n DESC LIMIT 1 OFFSET 1", {"run": run})
    if (asked.fetchone() or ("",))[0] == State.STOPPING.value:
        return False
    if seen.state is not State.ENDED or seen.outcome in (None, Outcome.SUCCEEDED, Outcome.CANCELLED):
        return False
    row = job_row(db, run)
    if row is None or row.parcel is None or seen.survivors:
        return False
    assert seen.outcome is not None
    if row.claim is not None and seen.outcome is Outcome.NEVER_STARTED:
        # Who had taken its turn was killed before the backend heard of it: nothing was started, nothing is lost.
        begin_attempt(db, run, now, f"attempt {row.attempt} was never started: {seen.reason}")
        return True
    left = row.retries.get(seen.outcome.value, 0)
    if left <= 0:
        return False
    set_job(db, run, retries=json.dumps({**row.retries, seen.outcome.value: left - 1}))
    why = f"attempt {row.attempt} ended as {seen.outcome.value} ({seen.reason}); {left - 1} such retries left"
    begin_attempt(db, run, now, why)
    return True


class Attempt(NamedTuple):
    """One earlier try of a run, as it ended."""

    number: int
    token: str
    outcome: str
    exit_code: int | None
    reason: str
    started_us: int | None
    ended_us: int | None


class Queue:
    """The queue of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def anything(self, host: str) -> tuple[bool, bool, bool]:
        """Whether runs wait on a host, whether some are being started, and whether a waiting one wants GPUs."""
        waits, claimed, gpus = self._store.read(SELECT_ANY, {"host": storable(host)})[0]
        return bool(waits), bool(claimed), bool(gpus)

    def waits_for(self, host: str, user: str) -> bool:
        """Whether runs of a user wait on a host that nobody holds back."""
        return bool(self._store.read(SELECT_OWN, {"host": storable(host), "user": storable(user)})[0][0])

    def waiting(self, host: str, now: datetime) -> list[Waiting]:
        """All that wait for their turn on a host."""
        return waiting(self._store.connection(), host, now)

    def job(self, run: int) -> JobRow | None:
        """The job of a run, None for one that was never put in line."""
        rows = self._store.read(SELECT_JOB, {"run": run})
        return _job(rows[0]) if rows else None

    def claimed(self, host: str) -> list[int]:
        """The runs of a host that somebody is starting, or was."""
        return [int(row[0]) for row in self._store.read(SELECT_CLAIMED, {"host": storable(host)})]

    def attempts(self, run: int) -> list[Attempt]:
        """The earlier tries of a run."""
        rows = self._store.read(SELECT_ATTEMPTS, {"run": run})
        return [Attempt(n, str(t), str(o or ""), code, str(why), s, e) for n, t, o, code, why, s, e in rows]

    def places(self, runs: Sequence[int]) -> dict[int, tuple[int, int, int]]:
        """The priority, CPU slots and attempt of each of these runs that has a job here."""
        rows = self._store.read(SELECT_PLACES, {"runs": json.dumps(list(runs))})
        return {int(run): (int(p), int(c), int(a)) for run, p, c, a in rows}

    def sweeps(self) -> list[Sweep]:
        """Every sweep, the newest first, without its runs."""
        return [_sweep(row) for row in self._store.read(SELECT_SWEEPS, {})]

    def runs_of_sweep(self, sweep: str) -> list[int]:
        """The runs of a sweep, in the order of its grid."""
        return [int(row[0]) for row in self._store.read(SELECT_SWEEP_RUNS, {"tag": TAG, "id": sweep})]

    def held_cpus(self, host: str) -> int:
        """The CPU slots that runs on a host take now."""
        return held_cpus(self._store.connection(), host)

    def used(self, host: str, now: datetime) -> dict[str, float]:
        """What each user has used of a host in the last day, and holds now."""
        return used(self._store.connection(), host, now)

    def drained(self, host: str) -> str:
        """Why nothing is started on a host, empty when it is."""
        return drained(self._store.connection(), host)


def _sweep(row: Row) -> Sweep:
    _, id_, name, user, grid, created_us = row
    return Sweep(str(id_), str(name), str(user), json.loads(grid), from_us(created_us))


def _job(row: Row) -> JobRow:
    (run, waits, attempt, host, user, priority, place, cpus, gpus, held_by, retries, spec, parcel, claim_, sweep) = row
    return JobRow(
        run, bool(waits), attempt, host, user, priority, place, cpus, gpus, held_by,
        json.loads(retries), spec, parcel, json.loads(claim_) if claim_ else None, sweep,
    )  # fmt: skip
