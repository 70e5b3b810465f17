"""Looking at the queue and at the machines that runs are on."""

from __future__ import annotations

from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.actions.run_signs import last_written_s
from mlconsole.actions.sync import refresh
from mlconsole.config import CHECKPOINTS
from mlconsole.domain.gpu import GpuSnapshot
from mlconsole.domain.jobs import HostStatus
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.queue_rows import JobLine
from mlconsole.domain.results import Listing
from mlconsole.domain.runs import Run, State
from mlconsole.domain.sweeps import TAG
from mlconsole.errors import MlconsoleError
from mlconsole.records import record, replace

WAITED = (State.QUEUED,)


@record
class ListParams:
    """Whose, and how much of it."""

    user: str | None = param(None, help="only this user's", metavar="USER")
    all: bool = param(False, help="every run of a sweep in a line of its own")


def list_jobs(ctx: Context, params: ListParams) -> Listing[JobLine]:
    """What is under way on every backend, then what waits, in the order of turns, with the reason in words."""
    refresh(ctx)
    lines = job_lines(ctx)
    if params.user is not None:
        lines = [line for line in lines if line.user == params.user]
    return Listing("job", lines if params.all else folded(lines))


def job_lines(ctx: Context, snapshot: GpuSnapshot | None = None) -> list[JobLine]:
    """Every live run that was launched, those that wait at the end and in their order."""
    if not ctx.has_catalog:
        return []
    host, now = ctx.settings.host, ctx.clock()
    waits, _, wants_gpus = ctx.catalog.queue.anything(host)
    turn_of: dict[int, int] = {}
    why: dict[int, str] = {}
    if waits:
        from mlconsole.actions import turns  # 14 ms, where runs wait for their turn
        from mlconsole.domain.queue import in_order

        looked = (snapshot or ctx.gpus(host)) if wants_gpus else None
        turn = turns.decide(ctx, ctx.catalog.store.connection(), looked, with_reasons=True)
        line = in_order(ctx.catalog.queue.waiting(host, now), ctx.catalog.queue.used(host, now))
        turn_of = {one.number: place for place, one in enumerate(line, 1)}
        why = dict(turn.reasons)
    runs = ctx.catalog.runs.load(ctx.catalog.runs.live(), metrics=())
    places = ctx.catalog.queue.places([run.number for run in runs])
    found = [_line(run, turn_of.get(run.number), why.get(run.number, ""), places) for run in runs if run.backend]
    found = [replace(line, silent_s=_silent_s(ctx, line)) if line.state == "running" else line for line in found]
    return sorted(found, key=lambda each: (each.turn is not None, each.turn or 0))


def _line(run: Run, turn: int | None, why: str, places: dict[int, tuple[int, int, int]]) -> JobLine:
    priority, cpus, attempt = places.get(run.number, (0, None, 1))
    return JobLine(
        id=run.id,
        name=run.name,
        user=run.user,
        backend=run.backend or "",
        host=run.host,
        state=run.state.value if run.reach.value == "ok" else f"{run.state.value}, unreachable",
        since=(run.started_at or run.created_at),
        turn=turn,
        priority=priority,
        cpus=cpus,
        gpus=run.gpus,
        attempt=attempt,
        why=(why or "its turn has come") if turn is not None else run.why,
        sweep=run.tags.get(TAG, ""),
    )


def _silent_s(ctx: Context, line: JobLine) -> float | None:
    """How long ago anything of a run was last written here; None where nothing of it is here, as on another host."""
    home = ctx.settings.runs / line.id
    folders = (ctx.catalog.attempt_directory(line.id, line.attempt) / "job", home / "log", home / CHECKPOINTS)
    written_s = [at_s for folder in folders if (at_s := last_written_s(folder)) is not None]
    return max(0.0, ctx.clock().timestamp() - max(written_s)) if written_s else None


def folded(lines: list[JobLine]) -> list[JobLine]:
    """The lines with each sweep in one, at the place of its first run."""
    groups: dict[str, list[JobLine]] = {}
    for line in lines:
        groups.setdefault(line.sweep or line.id, []).append(line)
    return [group[0] if not group[0].sweep else _sweep_line(key, group) for key, group in groups.items()]


def _sweep_line(key: str, group: list[JobLine]) -> JobLine:
    first, states = group[0], [line.state for line in group]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    name = first.name.rpartition("[")[0].rstrip() or first.name
    return JobLine(
        id=key,
        name=name,
        user=first.user,
        backend=first.backend,
        host=first.host,
        state="sweep",
        since=min(line.since for line in group),
        turn=first.turn,
        priority=first.priority,
        cpus=first.cpus,
        gpus=sum(line.gpus for line in group),
        why=next((line.why for line in group if line.turn is not None), first.why),
        runs=counts,
        sweep=key,
    )


@record
class StartParams:
    """Whatever is due, now or until nothing is left."""

    stay: bool = param(False, help="go on until none of your runs waits, unless a process of yours does so already")


def start(ctx: Context, params: StartParams) -> Listing[Run]:
    """Bring the catalog up to date, and start the runs of this machine whose turn has come."""
    if not ctx.has_catalog:
        return Listing("run", [])
    if params.stay:
        from mlconsole.actions.staying import stay  # 3 ms, for who stays

        stay(ctx)
        return Listing("run", [])
    before = {run.number for run in ctx.catalog.runs.load(ctx.catalog.runs.live(), metrics=()) if run.state in WAITED}
    refresh(ctx)
    runs = ctx.catalog.runs.load(sorted(before), metrics=())
    return Listing("run", [run for run in runs if run.state not in WAITED and run.started_at is not None])


def plan_start(ctx: Context, params: StartParams) -> Plan:
    """What would be started first."""
    steps: list[Step] = [Step("look at every live run")]
    if ctx.has_catalog:
        steps += [Step(f'start "{each.name}"', each.why) for each in job_lines(ctx) if each.why == "its turn has come"]
    return Plan("job start", Effect.WRITE, tuple(steps), command=f"mlconsole job start{' --stay' * params.stay}")


def list_hosts(ctx: Context, params: NoParams) -> Listing[HostStatus]:
    """This machine, and those of every backend that names its own; one that does not answer says so."""
    refresh(ctx)
    return Listing("host", all_hosts(ctx))


def all_hosts(ctx: Context, snapshot: GpuSnapshot | None = None) -> list[HostStatus]:
    """The machines that runs are on, this one first."""
    return [this_machine(ctx, snapshot or ctx.gpus(ctx.settings.host)), *hosts_elsewhere(ctx)]


def hosts_elsewhere(ctx: Context) -> list[HostStatus]:
    """The machines of every backend that names its own; one that nobody has set up has none."""
    from mlconsole import backends  # 4 ms, where somebody asks for machines
    from mlconsole.plugin_api import HasHosts

    found: list[HostStatus] = []
    for name in backends.names():
        try:
            backend = ctx.backend(name)
            found += backend.hosts() if isinstance(backend, HasHosts) else []
        except MlconsoleError as error:
            if _is_set_up(ctx, name):
                found.append(HostStatus(name, name, "unreachable", False, reason=str(error)))
    return found


def _is_set_up(ctx: Context, name: str) -> bool:
    try:
        return ctx.backend(name).probe().is_set_up
    except MlconsoleError:
        return True


def this_machine(ctx: Context, snapshot: GpuSnapshot) -> HostStatus:
    """This machine: its slots, its GPUs, and who has them."""
    host = ctx.settings.host
    if not ctx.has_catalog:
        return HostStatus("local", host, "up", True, ctx.settings.cpu_slots, ctx.settings.cpu_slots, len(snapshot.gpus))
    from mlconsole.actions import turns  # 14 ms, where somebody asks for machines

    room = turns.room_of(ctx, ctx.catalog.store.connection(), snapshot)
    live = ctx.catalog.runs.load(ctx.catalog.runs.live(), metrics=())
    jobs = sum(run.host == host and run.state is not State.QUEUED for run in live)
    return HostStatus(
        backend="local",
        name=host,
        state="drained" if room.drained else "up",
        takes_jobs=not room.drained,
        cpus=room.cpu_slots,
        cpus_free=room.cpus,
        gpus=room.gpu_count,
        gpus_free=room.gpus,
        jobs=jobs,
        reason=room.drained or room.gpus_why,
    )


LIST = Action("job list", "Show what is under way and what waits, and why", ListParams, Effect.READ, list_jobs)
START = Action("job start", "Start the runs whose turn has come", StartParams, Effect.WRITE, start, plan_start)
HOSTS = Action("host list", "Show the machines that runs are on, and what is free", NoParams, Effect.READ, list_hosts)
