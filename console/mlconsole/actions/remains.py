"""What is left of a run: processes, GPU memory, teardown commands. Nothing is taken for gone that was not seen gone."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from mlconsole.actions.attribution import Marks
from mlconsole.actions.context import Context
from mlconsole.actions.jobs import current_job
from mlconsole.catalog.observations import apply_observation
from mlconsole.catalog.run_changes import set_columns
from mlconsole.catalog.teardowns import set_commands
from mlconsole.domain.gpu import DriverState, GpuProcess, GpuReading, GpuSnapshot, ProcessKind
from mlconsole.domain.jobs import FinaliserState, Observation
from mlconsole.domain.runs import Outcome, Run, State
from mlconsole.domain.teardowns import TeardownCommand
from mlconsole.errors import MlconsoleError

NOTHING_TO_HOLD = (DriverState.NO_DRIVER, DriverState.NO_GPU)


@dataclass(frozen=True, slots=True)
class Remains:
    """What one look found of a run. ``unknown`` says what could not be looked at, and may well be there."""

    is_live: bool
    processes: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    commands: tuple[TeardownCommand, ...] = ()
    unknown: str = ""

    @property
    def is_gone(self) -> bool:
        """True when nothing is left and everything was seen."""
        return not (self.is_live or self.processes or self.gpus or self.unknown or self.owed)

    @property
    def owed(self) -> tuple[TeardownCommand, ...]:
        """The teardown commands that have not done their work."""
        return tuple(each for each in self.commands if each.state is not FinaliserState.DONE)

    @property
    def words(self) -> str:
        """What is left, in words; empty when nothing is."""
        parts = ["it has not ended"] if self.is_live else []
        parts += [f"still alive: {', '.join(self.processes)}"] if self.processes else []
        parts += list(self.gpus)
        parts += [f'"{" ".join(each.command)}": {each.message or each.state.value}' for each in self.owed]
        return "; ".join([*parts, *([self.unknown] if self.unknown else [])])


def look_for(ctx: Context, number: int, snapshot: GpuSnapshot | None) -> Remains:
    """Look for what is left of a run, and record what was seen of it.

    Args:
        ctx: the session.
        number: the run.
        snapshot: this machine's GPUs as they were just seen; None leaves them out.
    """
    run = ctx.catalog.runs.load([number])[0]
    gpus, unread = _gpus_of(ctx, run, snapshot)
    try:
        found = current_job(ctx, number)
        seen = ctx.backend(found[0].backend).observe([found[1]])[0] if found else None
    except MlconsoleError as error:
        if run.outcome is Outcome.NEVER_STARTED or _never_had_a_job(ctx, run):
            ctx.catalog.write(lambda db: set_commands(db, number, (), is_needed=False))
            return Remains(False, (), gpus, (), unread)
        commands = ctx.catalog.teardowns.commands(number)
        return Remains(run.state is not State.ENDED, (), gpus, commands, f"it cannot be looked at: {error.message}")
    if seen is None:
        return Remains(False, (), gpus, (), unread)
    if not seen.reachable:
        return Remains(run.state is not State.ENDED, (), gpus, (), f"it cannot be looked at: {seen.reason}")
    ctx.catalog.write(lambda db: record(db, ctx, number, seen))
    commands = ctx.catalog.teardowns.commands(number)
    return Remains(seen.state is not State.ENDED, seen.survivors, gpus, commands, unread)


def _never_had_a_job(ctx: Context, run: Run) -> bool:
    """Whether a run ended without its backend ever having heard of it: it was stopped while it waited."""
    job = ctx.catalog.runs.job(run.number)
    return run.state is State.ENDED and run.started_at is None and (job is None or job.handle is None)


def record(db: Connection, ctx: Context, number: int, seen: Observation) -> None:
    """Record a look at a job that has ended or may have: its end, what it left behind, its teardown commands."""
    if not seen.reachable:
        return
    apply_observation(db, number, seen, ctx.clock())
    if seen.state is State.ENDED:
        set_columns(db, number, cleanup="; ".join(seen.survivors))
    set_commands(db, number, seen.finalisers, is_needed=seen.outcome is not Outcome.NEVER_STARTED)


def _gpus_of(ctx: Context, run: Run, snapshot: GpuSnapshot | None) -> tuple[tuple[str, ...], str]:
    """The memory that a run's processes hold of this machine's GPUs, and what could not be read of those it leased."""
    if snapshot is None or run.host != snapshot.host or snapshot.state in NOTHING_TO_HOLD:
        return (), ""
    leased = {uuid for uuid, _, _ in ctx.catalog.leases.of_run(run.number)}
    if not snapshot.state.has_readings:
        return (), f"its GPUs cannot be read: {snapshot.words}" if leased else ""
    missing = leased - {gpu.uuid for gpu in snapshot.gpus}
    marks, held, unread = Marks(), [], ""
    for gpu in snapshot.gpus:
        # One that has not told its uuid may be a leased one that is not among the others.
        is_leased = gpu.uuid in leased if gpu.uuid else bool(missing)
        if gpu.processes.value is None:
            unread = f"who holds GPU {gpu.index} cannot be read: {gpu.processes.why}" if is_leased else unread
        for process in gpu.processes.value or ():
            if process.kind is ProcessKind.GRAPHICS:
                continue
            if not process.visible:
                unread = f"{_held(process, gpu)}, and cannot be seen" if is_leased else unread
            elif marks.run_of(process.pid, process.started_ticks) == run.id:
                held.append(_held(process, gpu))
    return tuple(held), unread


def _held(process: GpuProcess, gpu: GpuReading) -> str:
    memory = process.memory_mib.value
    size = "memory" if memory is None else f"{memory / 1024:.1f} GiB"
    return f"process {process.pid} holds {size} of GPU {gpu.index}"
