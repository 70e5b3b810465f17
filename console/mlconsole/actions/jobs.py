"""Looks at jobs through their backends, and records what was seen."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from sqlite3 import Connection

from mlconsole.actions.context import Context
from mlconsole.actions.launchers import is_launching
from mlconsole.catalog.jobs import Job
from mlconsole.catalog.observations import apply_observation, set_handle, with_own_record
from mlconsole.domain.jobs import Handle, Observation
from mlconsole.domain.runs import Outcome, State
from mlconsole.errors import BackendUnreachable, MlconsoleError

INTENT_SETTLES_AFTER = timedelta(seconds=60)
#: Backends may make a token void from then on that they do not know; before, asking for it changes nothing.
INTENT_IS_YOUNG_FOR = timedelta(seconds=40)


def observe(ctx: Context, jobs: list[Job]) -> bool:
    """Look at the given jobs, one bulk call a backend, and record what was seen; True when something changed."""
    changed = False
    by_backend: dict[str, list[Job]] = {}
    for job in jobs:
        by_backend.setdefault(job.backend, []).append(job)
    for name, mine in by_backend.items():
        seen = _look(ctx, name, mine)
        now = ctx.clock()
        pairs = [(job, observation) for job, observation in seen if _is_news(job, observation)]
        if any(observation.state is State.ENDED for _, observation in pairs):
            # What a job wrote before its end is in the catalog before anybody reads that it has ended.
            ctx.catalog.ingest.run(now)
        if pairs:
            changed |= ctx.catalog.write(partial(_record, pairs=pairs, now=now))
    return changed


def _record(db: Connection, pairs: list[tuple[Job, Observation]], now: datetime) -> bool:
    changed = False
    for job, seen in pairs:
        if job.state is not State.STOPPING:  # One that was asked to end did not end by itself.
            seen = with_own_record(db, job.number, seen)
        is_news = apply_observation(db, job.number, seen, now)
        changed |= is_news
        if is_news and seen.reachable and seen.state is State.ENDED:
            from mlconsole.catalog.queue import retry  # 5 ms, where a run has ended

            retry(db, job.number, seen, now)
    return changed


def _is_news(job: Job, seen: Observation) -> bool:
    return seen.state is not job.state or not seen.reachable or job.reach.value != "ok"


def _look(ctx: Context, name: str, jobs: list[Job]) -> list[tuple[Job, Observation]]:
    try:
        backend = ctx.backend(name)
        asked = [job for job in jobs if not _is_on_its_way(ctx, job)]
        known = [(job, handle) for job in asked if (handle := handle_of(ctx, job)) is not None]
        seen = [_about(job, each) for (job, _), each in zip(known, backend.observe([h for _, h in known]), strict=True)]
        unsettled = [job for job in asked if job.handle is None]
        return list(zip([job for job, _ in known], seen, strict=True)) + [
            (job, observation) for job in unsettled if (observation := _settle(ctx, job)) is not None
        ]
    except Exception as error:  # noqa: BLE001  a stranger's code may raise anything, and hides no other backend's runs
        if not isinstance(error, MlconsoleError):
            ctx.say(f'Backend "{name}" failed as it was asked for its runs: {type(error).__name__}: {error}')
        return [(job, Observation(job.token, job.state, reachable=False)) for job in jobs]


def _about(job: Job, seen: Observation) -> Observation:
    """The observation, if it is about this job: an engine that gives a number out again answers about another one."""
    if seen.token == job.token:
        return seen
    return Observation(job.token, job.state, reason="its backend answered about another job", reachable=False)


def handle_of(ctx: Context, job: Job) -> Handle | None:
    """The handle of a job; a reply that was lost is asked for by token and kept."""
    if job.handle is not None:
        return Handle(job.backend, job.token, job.handle)
    found = ctx.backend(job.backend).find(job.token, _directory(ctx, job))
    if found is not None:
        ctx.catalog.write(lambda db: set_handle(db, job.number, found), durable=True)
    return found


def _directory(ctx: Context, job: Job) -> str:
    attempt = job.token.rpartition(".")[2]
    return str(ctx.catalog.attempt_directory(job.run_id, int(attempt) if attempt.isdecimal() else 1))


def _is_on_its_way(ctx: Context, job: Job) -> bool:
    """Whether its launcher lives and has had no answer for long: a stopped one goes on one day, and submits it."""
    if job.handle is not None or not is_launching(_directory(ctx, job)):
        return False
    return ctx.clock() - ctx.catalog.runs.load([job.number])[0].created_at > INTENT_IS_YOUNG_FOR


def _settle(ctx: Context, job: Job) -> Observation | None:
    """A job that the backend is certain not to have: its launcher died between intent and submit.

    One whose turn was taken is left to those who follow it up: whoever took it may be about to submit it.
    """
    taken = ctx.catalog.queue.job(job.number)
    if taken is not None and taken.claim is not None:
        return None
    run = ctx.catalog.runs.load([job.number])[0]
    if ctx.clock() - run.created_at < INTENT_SETTLES_AFTER or handle_of(ctx, job) is not None:
        return None
    reason = "the launcher ended before the backend accepted the job"
    return Observation(job.token, State.ENDED, Outcome.NEVER_STARTED, reason=reason, evidence="no job under its token")


def current_job(ctx: Context, number: int) -> tuple[Job, Handle] | None:
    """The job and handle of a launched run; None for a run that no backend started.

    Raises:
        BackendUnreachable: its submit was never answered and the backend does not answer now either.
    """
    job = ctx.catalog.runs.job(number)
    if job is None:
        return None
    handle = handle_of(ctx, job)
    if handle is None:
        raise BackendUnreachable(
            f'Backend "{job.backend}" knows no job for run "{job.run_id}" yet.', "Try again in a moment."
        )
    return job, handle
