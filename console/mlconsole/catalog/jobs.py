"""The backend's side of runs: tokens and handles."""

from __future__ import annotations

from mlconsole.catalog.rows import json_of, state_of
from mlconsole.catalog.store import Row, Store
from mlconsole.domain.runs import Reach, State
from mlconsole.records import record

COLUMNS = "n, id, backend, token, handle, state, reach, ended_us"
SELECT_LIVE_JOBS = f"""
SELECT {COLUMNS}
FROM run
WHERE state IN ('submitting', 'queued', 'starting', 'running', 'stopping') AND token IS NOT NULL
      AND NOT (state = 'queued' AND EXISTS (SELECT 1 FROM job WHERE job.run = run.n AND job.waits = 1))
ORDER BY n
"""
SELECT_JOB = f"SELECT {COLUMNS} FROM run WHERE n = :n AND token IS NOT NULL"


@record
class Job:
    """The backend's side of a run: under which token it was submitted, and the handle once a reply came."""

    number: int
    run_id: str
    backend: str
    token: str
    handle: dict[str, str | int | float | None] | None
    state: State
    reach: Reach


def live_jobs(store: Store) -> list[Job]:
    """The backend side of every live run that was launched; those that wait for their turn here have none yet."""
    return [_job(row) for row in store.read(SELECT_LIVE_JOBS)]


def job_of(store: Store, number: int) -> Job | None:
    """The backend side of one run, None for a run that no backend started."""
    rows = store.read(SELECT_JOB, {"n": number})
    return _job(rows[0]) if rows else None


def _job(row: Row) -> Job:
    n, run_id, backend, token, handle, state, reach, ended = row
    data = json_of(handle) if handle else None
    seen = Reach.UNREACHABLE if reach == Reach.UNREACHABLE.value else Reach.OK
    return Job(
        n, str(run_id), str(backend), str(token), data if isinstance(data, dict) else None, state_of(state, ended), seen
    )
