"""Starts the runs whose turn has come, exactly once each, whoever happens to look.

A turn is taken in one immediate transaction: the run is chosen, its GPUs are leased, and the process that starts it is
named. The submit follows under the run's token, under which any number of submits start one job; so when that process
dies at any point, another one takes its place and submits again.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from datetime import timedelta
from sqlite3 import Connection

from mlconsole.actions import parcels
from mlconsole.actions.context import Context
from mlconsole.actions.jobs import observe
from mlconsole.actions.lease import prepare
from mlconsole.actions.uptime import uptime
from mlconsole.catalog import queue
from mlconsole.catalog.leases import leases_of_gpus
from mlconsole.catalog.machines import machine_of
from mlconsole.catalog.observations import apply_observation, is_of_this_attempt, set_handle
from mlconsole.catalog.run_changes import NewRun
from mlconsole.catalog.sharing import is_shared
from mlconsole.config import python
from mlconsole.domain.gpu import GpuSnapshot
from mlconsole.domain.jobs import Handle, JobSpec, Observation
from mlconsole.domain.leases import why_taken
from mlconsole.domain.queue import Room, Turn, next_turn
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.times import to_us
from mlconsole.errors import BackendUnreachable, MlconsoleError, SecretsLost
from mlconsole.records import replace

MOST_AT_ONCE = 256
MOST_STARTS = 3
PAUSE = timedelta(seconds=60)
GRACE_S = 10.0
#: The runs that a thread of this process is starting just now.
_in_hand: set[int] = set()
_lock = threading.Lock()


def marker(ctx: Context) -> str:
    """The file that is there while runs wait: a supervisor that ends looks at it before it wakes anybody."""
    return str(ctx.settings.home / "queue" / "waiting")


def woken(ctx: Context, spec: JobSpec, *, always: bool = False) -> JobSpec:
    """The spec with the command that a supervisor starts at its end, so that the next run starts without a console."""
    home = str(ctx.settings.home)
    argv = (python(), "-P", "-m", "mlconsole", "--catalog", home, "job", "start")
    return replace(spec, wake=argv, wake_if="" if always else marker(ctx))


def mark(ctx: Context) -> None:
    """Say to supervisors that runs wait; part of the change that puts one in line."""
    os.makedirs(ctx.settings.home / "queue", mode=0o700, exist_ok=True)
    if not os.path.exists(marker(ctx)):  # It may be another user's, whose file nobody else opens.
        os.close(os.open(marker(ctx), os.O_CREAT | os.O_WRONLY, 0o600))


def start_due(ctx: Context) -> list[int]:
    """Start every run of this machine whose turn has come; gives the numbers of those that were started."""
    host = ctx.settings.host
    started: list[int] = []
    for number in ctx.catalog.queue.claimed(host):
        _follow_up(ctx, number)
    waits, _, wants_gpus = ctx.catalog.queue.anything(host)
    snapshot = ctx.gpus(host) if wants_gpus else None
    while waits and len(started) < MOST_AT_ONCE:
        turn = decide(ctx, ctx.catalog.store.connection(), snapshot)
        if turn.starts is None:
            break
        if _start(ctx, turn.starts.number, snapshot):
            started.append(turn.starts.number)
    if not ctx.catalog.queue.anything(host)[0]:
        ctx.catalog.write(lambda db: _unmark(db, ctx))
    elif is_shared(ctx.settings.home):
        from mlconsole.actions.staying import leave_one  # 3 ms, where several users share a catalog

        leave_one(ctx)
    return started


def _unmark(db: Connection, ctx: Context) -> None:
    if not queue.anybody_waits(db):
        try:
            os.unlink(marker(ctx))
        except FileNotFoundError:
            pass


def decide(ctx: Context, db: Connection, snapshot: GpuSnapshot | None, *, with_reasons: bool = False) -> Turn:
    """Whose turn it is on this machine."""
    host, now = ctx.settings.host, ctx.clock()
    room = room_of(ctx, db, snapshot)
    waiting = queue.waiting(db, host, now, with_words=with_reasons)
    used = queue.used(db, host, now) if len({one.user for one in waiting}) > 1 else {}
    return next_turn(waiting, room, used, ctx.settings.user, with_reasons=with_reasons)


def room_of(ctx: Context, db: Connection, snapshot: GpuSnapshot | None) -> Room:
    """What is free on this machine."""
    host, slots = ctx.settings.host, ctx.settings.cpu_slots
    cpus = None if slots is None else max(0, slots - queue.held_cpus(db, host))
    why = queue.drained(db, host)
    drained = f"this machine is drained: {why}" if why else ""
    if snapshot is None:
        return Room(cpus, 0, slots, drained=drained)
    machine = machine_of(db, host)
    leases = leases_of_gpus(db, machine) if machine else {}
    taken = {gpu.index: why_taken(gpu, leases.get(gpu.uuid)) for gpu in snapshot.gpus}
    words = "; ".join(f"GPU {index} is {why}" for index, why in taken.items() if why)
    free = sum(not why for why in taken.values())
    return Room(cpus, free, slots, len(taken), words or ("" if taken else snapshot.words), drained)


def _start(ctx: Context, number: int, snapshot: GpuSnapshot | None) -> bool:
    """Take a run's turn and start it; False when somebody else did, or it cannot be started now."""
    try:
        job = ctx.catalog.queue.job(number)
        if job is None:
            return False
        spec = parcels.unpack(ctx.settings.home, job.spec, job.parcel or "")
        with _lock:
            _in_hand.add(number)
        try:
            if not ctx.catalog.write(lambda db: _take(db, ctx, number, spec, snapshot), durable=True):
                return False
            _carry_out(ctx, number)
        finally:
            with _lock:
                _in_hand.discard(number)
    except SecretsLost as error:
        _hold(ctx, number, error)
        return False
    except BackendUnreachable:
        return True  # It is taken; the next look carries it out.
    except MlconsoleError as error:
        _postpone(ctx, number, error)
        return False
    return True


def _take(db: Connection, ctx: Context, number: int, spec: JobSpec, snapshot: GpuSnapshot | None) -> bool:
    """Choose again inside the transaction, lease, and name this process as the one that starts the run."""
    turn = decide(ctx, db, snapshot)
    if turn.starts is None or turn.starts.number != number:
        return False
    leased = _lease(db, ctx, number, spec, snapshot)
    queue.claim(db, number, {**this_process(), "leased": dict(leased)}, ctx.clock())
    return True


def _lease(db: Connection, ctx: Context, number: int, spec: JobSpec, snapshot: GpuSnapshot | None) -> Mapping[str, str]:
    run = ctx.catalog.runs.load([number])[0]
    new = NewRun(
        run.id, run.name, run.experiment, run.created_at, State.SUBMITTING,
        backend=run.backend, host=ctx.settings.host, user=run.user, gpus=spec.resources.gpus,
    )  # fmt: skip
    tenancy = prepare(ctx, spec, new, snapshot=snapshot)
    job = queue.job_row(db, number)
    return tenancy.move_in(db, number, job.attempt if job else 1) if tenancy else {}


def this_process() -> dict[str, object]:
    """This process, in words that say later whether it still lives."""
    with open("/proc/self/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    return {"pid": os.getpid(), "ticks": ticks, "boot_id": uptime().boot_id, "pid_ns": os.readlink("/proc/self/ns/pid")}


def _follow_up(ctx: Context, number: int) -> None:
    """Carry on with a run whose turn was taken by a process that is gone."""
    job = ctx.catalog.queue.job(number)
    with _lock:
        if job is None or job.claim is None or number in _in_hand or _is_at_it(job.claim):
            return
        _in_hand.add(number)
    try:
        claim = {**this_process(), "leased": job.claim.get("leased", {})}

        def take_over(db: Connection) -> bool:
            now = queue.job_row(db, number)
            if now is None or now.claim != job.claim:
                return False
            queue.set_job(db, number, claim=json.dumps(claim))
            return True

        if ctx.catalog.write(take_over, durable=True):
            _carry_out(ctx, number)
    except BackendUnreachable:
        return
    except MlconsoleError as error:
        _hold(ctx, number, error)
    finally:
        with _lock:
            _in_hand.discard(number)


def _is_at_it(claim: Mapping[str, object]) -> bool:
    """Whether another process that took a turn still lives; one that cannot be seen from here counts as gone.

    Two that start the same run at once start one job: the token sees to that.
    """
    mine = this_process()
    if any(claim.get(key) != mine[key] for key in ("boot_id", "pid_ns")) or claim.get("pid") == mine["pid"]:
        return False
    try:
        with open(f"/proc/{claim['pid']}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return int(fields[19]) == claim.get("ticks") and fields[0] not in (b"Z", b"X")


def _carry_out(ctx: Context, number: int) -> None:
    """Submit a run whose turn was taken, or end it if a stop was asked for meanwhile."""
    job, run = ctx.catalog.queue.job(number), ctx.catalog.runs.load([number])[0]
    known = ctx.catalog.runs.job(number)
    if job is None or known is None or run.state is State.ENDED:
        ctx.catalog.write(lambda db: queue.set_job(db, number, claim=None))
        return
    backend = ctx.backend(known.backend)
    directory = str(ctx.catalog.attempt_directory(run.id, job.attempt))
    if run.state is State.STOPPING:
        handle = backend.find(known.token, directory)
        if handle is None:
            _end(ctx, number, known.token, Outcome.CANCELLED, "stopped before it was started")
            return
    else:
        spec = parcels.unpack(ctx.settings.home, job.spec, job.parcel or "")
        leased = (job.claim or {}).get("leased", {})
        env = {**spec.env, **leased, "MLCONSOLE_ATTEMPT": str(job.attempt)}
        for folder in (directory, spec.env.get("MLCONSOLE_CHECKPOINTS", directory)):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            handle = backend.submit(replace(spec, env=env, directory=directory, attempt=job.attempt), known.token)
        except BackendUnreachable:
            raise
        except MlconsoleError as error:
            _refused(ctx, number, known.token, job.attempt, error)
            return
    _accepted(ctx, number, handle)


def _accepted(ctx: Context, number: int, handle: Handle) -> None:
    def keep(db: Connection) -> bool:
        if not is_of_this_attempt(db, number, handle.token):
            return False
        set_handle(db, number, handle)
        queue.set_job(db, number, claim=None)
        return True

    if not ctx.catalog.write(keep, durable=True):
        return
    run, known = ctx.catalog.runs.load([number])[0], ctx.catalog.runs.job(number)
    job = ctx.catalog.queue.job(number)
    if job is not None and not any(job.retries.values()):
        parcels.forget(ctx.settings.home, run.id)
    if run.state is State.STOPPING:
        seen = ctx.backend(handle.backend).cancel(handle, GRACE_S)
        ctx.catalog.write(lambda db: apply_observation(db, number, seen, ctx.clock()), durable=True)
    elif known is not None:
        observe(ctx, [known])


def _refused(ctx: Context, number: int, token: str, attempt: int, error: MlconsoleError) -> None:
    """The backend has started nothing and never will under this token: again under another one, a few times."""
    if not _end(ctx, number, token, Outcome.NEVER_STARTED, str(error)):
        return
    if error.exit_code == 2 or ctx.catalog.runs.load([number])[0].state is not State.ENDED:
        return
    tries = sum(each.outcome == Outcome.NEVER_STARTED.value for each in ctx.catalog.queue.attempts(number))
    if tries + 1 < MOST_STARTS:
        later = to_us(ctx.clock() + timedelta(seconds=5 * (tries + 1)))
        why = f"attempt {attempt} was not started: {error.message}"
        ctx.catalog.write(lambda db: _again(db, ctx, number, why, later), durable=True)


def _again(db: Connection, ctx: Context, number: int, why: str, later_us: int) -> None:
    mark(ctx)
    queue.begin_attempt(db, number, ctx.clock(), why, later_us)


def _end(ctx: Context, number: int, token: str, outcome: Outcome, reason: str) -> bool:
    seen = Observation(token, State.ENDED, outcome, reason=reason, evidence="no job under its token")

    def end(db: Connection) -> bool:
        if not is_of_this_attempt(db, number, token):
            return False
        queue.set_job(db, number, claim=None)
        return apply_observation(db, number, seen, ctx.clock())

    return ctx.catalog.write(end, durable=True)


def _hold(ctx: Context, number: int, error: MlconsoleError) -> None:
    """Keep a run back that cannot be started as it is, until a person has looked at it."""

    def hold(db: Connection) -> None:
        queue.set_job(db, number, held_by=f"mlconsole: {error.message}")

    ctx.catalog.write(hold)
    ctx.say(str(error))


def _postpone(ctx: Context, number: int, error: MlconsoleError) -> None:
    """Try a run later that something says no to now: a budget, a GPU that was taken since the look."""
    from mlconsole.catalog.run_changes import set_columns

    def postpone(db: Connection) -> None:
        queue.set_job(db, number, not_before_us=to_us(ctx.clock() + PAUSE))
        set_columns(db, number, reason=error.message)

    ctx.catalog.write(postpone)


def withdraw(db: Connection, ctx: Context, number: int, why: str) -> bool:
    """End a run that waits for its turn: nothing of it was ever started; False when its turn was taken already."""
    token = queue.token_before_its_turn(db, number)
    if token is None:
        return False
    parcels.forget(ctx.settings.home, ctx.catalog.runs.load([number])[0].id)
    seen = Observation(token, State.ENDED, Outcome.CANCELLED, reason=why, evidence="it was waiting for its turn")
    return apply_observation(db, number, seen, ctx.clock())
