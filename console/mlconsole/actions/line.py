"""Puts a launched run in line, or lets it start at once where nobody waits and there is room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from sqlite3 import Connection
from typing import TYPE_CHECKING

from mlconsole.actions import parcels, turns
from mlconsole.actions.context import Context
from mlconsole.actions.lease import prepare
from mlconsole.actions.sync import observe_live
from mlconsole.catalog import queue
from mlconsole.catalog.run_changes import NewRun, note_change, set_columns
from mlconsole.config import launch_environment
from mlconsole.domain.jobs import Ability, JobSpec
from mlconsole.domain.queue import slots_of
from mlconsole.domain.runs import Outcome, State
from mlconsole.errors import NoRoom, UsageError
from mlconsole.records import field, record, replace

if TYPE_CHECKING:
    from mlconsole.actions.launch import Sources
    from mlconsole.actions.launch_order import LaunchParams
    from mlconsole.actions.snapshots import Copy
    from mlconsole.plugin_api import Backend

RETRIED = (Outcome.FAILED, Outcome.OOM, Outcome.TIMED_OUT, Outcome.NODE_LOST, Outcome.UNKNOWN, Outcome.NEVER_STARTED)
Intend = Callable[[Connection, NewRun], int]


@record
class Wish:
    """What a launch asks of the queue.

    Attributes:
        held_by: who holds it back from the beginning.
        after: the ids of runs that it comes after, and whether their end is enough.
        retries: how often it is tried again after which end.
        now: it starts at once or not at all.
    """

    held_by: str = ""
    after: tuple[tuple[str, bool], ...] = ()
    retries: Mapping[str, int] = field(default_factory=dict)
    now: bool = False

    @property
    def must_wait(self) -> bool:
        """Whether it cannot start at once whatever is free."""
        return bool(self.held_by or self.after)


@record
class Place:
    """Where a launched run is: its number, whether it waits, and if it does not, what is to be submitted."""

    number: int
    waits: bool
    spec: JobSpec


def wish_of(ctx: Context, params: LaunchParams) -> Wish:
    """What a launch asks of the queue.

    Raises:
        UsageError: wishes that contradict each other, or an outcome that nothing is tried again after.
        NotFound: a run to come after is not there.
    """
    known = [(ctx.catalog.runs.get(word).id, False) for word in params.after]
    known += [(ctx.catalog.runs.get(word).id, True) for word in params.after_any]
    if params.now and (params.hold or known):
        raise UsageError("A run cannot start now and wait.", "Leave --now out, or what it would wait for.")
    retries = retries_of(params.retry)
    if retries and params.teardown:
        raise UsageError("--teardown runs at the end of a run, and --retry makes that not its end.", "Leave one out.")
    return Wish(ctx.settings.user if params.hold else "", tuple(known), retries, params.now)


def retries_of(texts: tuple[str, ...]) -> dict[str, int]:
    """How often to try again after which end; a bare number stands for all ends but a stop.

    Raises:
        UsageError: it is not OUTCOME=N or N.
    """
    found: dict[str, int] = {}
    for text in ",".join(texts).split(",") if texts else ():
        name, _, count = text.rpartition("=")
        names = [name] if name else [each.value for each in RETRIED]
        if not count.isdecimal() or int(count) > 1000 or (name and name not in [each.value for each in RETRIED]):
            allowed = ", ".join(each.value for each in RETRIED)
            raise UsageError(f'"{text}" is no retry.', f"Write --retry oom=2, or --retry 3. Outcomes: {allowed}.")
        found |= dict.fromkeys(names, int(count))
    return found


def refuse_wishes(params: LaunchParams, backend: str) -> None:
    """Say no to what only the queue of this machine can do.

    Raises:
        UsageError: something of it was asked for.
    """
    asked = {"--hold": params.hold, "--after": params.after, "--after-any": params.after_any, "--retry": params.retry}
    instead = {
        "--hold": "Launch it when it may start.",
        "--retry": 'A policy with when = "run.ended" starts it again, and Slurm by itself with -o requeue=yes.',
    }
    for flag, value in asked.items():
        if value:
            why = f'{flag} is for runs that wait here: backend "{backend}" starts its runs by itself'
            other = instead.get(flag, 'A policy with when = "run.ended" starts one run after another.')
            raise UsageError(f"{why}.", f"Leave it out, or launch on this machine: -b local. {other}")


def refuse_warning(spec: JobSpec, backend: Backend, name: str) -> None:
    """Say no to a signal before a time limit where it would never come.

    Raises:
        UsageError: one was asked for, and the backend does not declare that it sends it.
    """
    if spec.warning is None:
        return
    found = backend.probe()
    if found.reachable and Ability.WARNING not in found.abilities:
        raise UsageError(f'Backend "{name}" sends no signal before a time limit.', "Leave --warn out.")


def line_up(ctx: Context, spec: JobSpec, new: NewRun, wish: Wish, intend: Intend) -> Place:
    """Record a run, with its leases where it can start at once, else in line; what is due is started.

    Args:
        ctx: the session.
        spec: the job.
        new: the run.
        wish: what it asks of the queue.
        intend: records the run inside the transaction; gives its number.

    Raises:
        NoRoom: it is to start now, and too few slots are free.
        ActionFailed: there are too few GPUs, or a budget is at its end.
    """
    spec = turns.woken(ctx, spec, always=bool(wish.retries))
    base = launch_environment()
    job = _job(spec, new, wish)
    text, parcel = parcels.pack(ctx.settings.home, spec, base) if wish.retries else ("", None)
    if not wish.must_wait and (wish.now or not _somebody_waits(ctx, new.host)):
        try:
            ready = job._replace(spec=text or parcels.started(spec), parcel=parcel)
            return _at_once(ctx, spec, new, ready, intend)
        except NoRoom:
            if wish.now:
                raise
    if not parcel:
        text, parcel = parcels.pack(ctx.settings.home, spec, base)
    number = _in_line(ctx, new, job._replace(spec=text, parcel=parcel), intend)
    if not wish.held_by:
        # A run that ended since the last look has woken nobody if nobody waited then: its end is to be seen here.
        observe_live(ctx)
    return Place(number, True, spec)


@record
class Entry:
    """A run that is ready to be put in line."""

    spec: JobSpec
    new: NewRun
    job: queue.NewJob
    params: LaunchParams
    sources: Sources


def entry_of(ctx: Context, params: LaunchParams, bundle: str, copy: Copy | None) -> Entry:
    """A launch as it will stand in line; its environment is kept, its folder is made when its turn comes.

    Raises:
        UsageError: it cannot be launched so.
    """
    from mlconsole.actions import launch
    from mlconsole.actions.launch_order import check

    spec, new = check(ctx, params)
    sources = launch.sources_of(ctx, params, spec)
    spec = launch.prepared(ctx, params, spec, ctx.backend(new.backend or ""), bundle, copy)
    wish = wish_of(ctx, params)
    spec = turns.woken(ctx, spec, always=bool(wish.retries))
    text, parcel = parcels.pack(ctx.settings.home, spec, launch_environment())
    return Entry(spec, new, _job(spec, new, wish)._replace(spec=text, parcel=parcel), params, sources)


def put_in_line(db: Connection, ctx: Context, entry: Entry, sweep: int | None) -> int:
    """Record a run as waiting; gives its number."""
    from mlconsole.actions import launch

    turns.mark(ctx)
    number = launch.intend(db, entry.spec, entry.new._replace(state=State.QUEUED), entry.params, entry.sources)
    queue.insert_job(db, number, entry.job._replace(sweep=sweep), waits=True)
    return number


def _job(spec: JobSpec, new: NewRun, wish: Wish) -> queue.NewJob:
    return queue.NewJob(
        host=new.host,
        user=new.user,
        priority=spec.priority,
        cpus=slots_of(spec.resources.cpus, spec.resources.gpus),
        gpus=spec.resources.gpus,
        spec="",
        parcel=None,
        held_by=wish.held_by,
        retries=wish.retries,
        after=wish.after,
    )


def _somebody_waits(ctx: Context, host: str) -> bool:
    return ctx.has_catalog and ctx.catalog.queue.anything(host)[0]


def _at_once(ctx: Context, spec: JobSpec, new: NewRun, job: queue.NewJob, intend: Intend) -> Place:
    tenancy = prepare(ctx, spec, new)

    def move_in(db: Connection) -> tuple[int, Mapping[str, str]]:
        _refuse_if_full(db, ctx, job)
        number = intend(db, new)
        queue.insert_job(db, number, job, waits=False)
        leased = tenancy.move_in(db, number) if tenancy else {}
        if job.parcel is not None:
            queue.put_claim(db, number, {**turns.this_process(), "leased": dict(leased)})
        return number, leased

    number, leased = ctx.write(move_in, durable=True)
    return Place(number, False, replace(spec, env={**spec.env, **leased}))


def _refuse_if_full(db: Connection, ctx: Context, job: queue.NewJob) -> None:
    why = queue.drained(db, job.host)
    if why:
        raise NoRoom(f"This machine is drained: {why}.", f"mlconsole host resume {job.host}")
    slots = ctx.settings.cpu_slots
    if slots is None or not job.cpus:
        return
    free = max(0, slots - queue.held_cpus(db, job.host))
    if job.cpus > free:
        raise NoRoom(f"{job.cpus} CPU slots were asked for and {free} of {slots} are free.", "Wait for its turn.")


def _in_line(ctx: Context, new: NewRun, job: queue.NewJob, intend: Intend) -> int:
    def put(db: Connection) -> int:
        turns.mark(ctx)
        number = intend(db, new._replace(state=State.QUEUED))
        queue.insert_job(db, number, job, waits=True)
        return number

    return ctx.write(put, durable=True)


def stop_waiting(db: Connection, ctx: Context, number: int, verb: str) -> bool:
    """End a run that waits for its turn, or note that the one that is being started is to end; False for any other."""
    if turns.withdraw(db, ctx, number, f"{ctx.settings.user} asked for a {verb} before its turn"):
        return True
    job = queue.job_row(db, number)
    if job is None or job.claim is None:
        return False
    set_columns(db, number, state=State.STOPPING.value)
    note_change(db, number, ctx.clock(), State.STOPPING, None, f"{ctx.settings.user} asked for a {verb}")
    return True
