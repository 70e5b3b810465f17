"""Reading what a run printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.jobs import current_job, observe
from mlconsole.actions.sync import refresh
from mlconsole.catalog.jobs import Job
from mlconsole.domain.jobs import Handle
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import TextChunk
from mlconsole.domain.runs import Run, State
from mlconsole.errors import NotFound, UsageError
from mlconsole.plugin_api import Backend, KeepsLogs, RunsHere
from mlconsole.records import record, replace

POLL_S = 0.2


@record
class LogsParams:
    """Which run, and how much of it."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    follow: bool = param(False, help="go on until the run ends", short="f")
    tail: int | None = param(None, help="only the last lines", metavar="LINES")
    rank: int | None = param(None, help="only this rank of a run that has several", metavar="N")


def logs(ctx: Context, params: LogsParams) -> Iterator[TextChunk]:
    """What the program wrote to its standard streams, as it came.

    Raises:
        NotFound: no such run, it was not launched here and so has no captured output, or that is gone.
    """
    if params.tail is not None and params.tail < 0:
        raise UsageError(f'"{params.tail}" is not a number of lines.')
    if params.rank is not None:
        if params.rank < 0 or params.tail is not None:
            raise UsageError("--rank takes a rank from 0, and no --tail.", "mlconsole run logs RUN --rank 1 | tail")
        yield from _of_rank(logs(ctx, replace(params, rank=None)), b"[%d] " % params.rank)
        return
    refresh(ctx)
    run = ctx.catalog.runs.get(params.run)
    job, handle = _job(ctx, run)
    backend = ctx.backend(job.backend)
    offset = 0
    if params.tail is not None:
        last, offset = _last_lines(backend, handle, params.tail)
        if last:
            yield TextChunk(last)
    while not ctx.cancelled.is_set():
        chunk = backend.logs(handle, "output", offset)
        offset = chunk.next_offset
        if chunk.data:
            yield TextChunk(chunk.data)
        elif chunk.done or not params.follow:
            break
        else:
            ctx.cancelled.wait(POLL_S)
    observe(ctx, [job])


def _job(ctx: Context, run: Run) -> tuple[Job, Handle]:
    """The job that prints what the run prints.

    Raises:
        NotFound: there is no output of it, not yet, or not any more.
    """
    job = ctx.catalog.runs.job(run.number)
    if job is not None and job.handle is None and run.state in (State.QUEUED, State.ENDED):
        why = "waits for its turn" if run.state is State.QUEUED else "never started"
        raise NotFound(f'Run "{run.name}" {why}: it has printed nothing.')
    found = current_job(ctx, run.number)
    if found is None:
        raise NotFound(f'Run "{run.name}" was not launched by mlconsole, so its output was not kept.')
    backend = ctx.backend(found[0].backend)
    if run.state is State.ENDED and isinstance(backend, RunsHere) and backend.runs_here():
        path = log_path(ctx, run)
        if path is not None and not path.exists():
            raise NotFound(f'The output of run "{run.name}" is gone: there is no file "{path}".')
    return found


def _of_rank(chunks: Iterator[TextChunk], mark: bytes) -> Iterator[TextChunk]:
    """The lines of one rank, without its mark."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk.data).split(b"\n")
        data = b"".join(line.removeprefix(mark) + b"\n" for line in lines if line.startswith(mark))
        if data:
            yield TextChunk(data)


def _last_lines(backend: Backend, handle: Handle, count: int) -> tuple[bytes, int]:
    """The last lines of what there is, and where that ends: following goes on from there."""
    kept = b""
    offset = 0
    while (chunk := backend.logs(handle, "output", offset, 16 << 20)).data:
        offset = chunk.next_offset
        kept = b"".join((kept + chunk.data).splitlines(keepends=True)[-count:] if count else [])
    return kept, offset


def log_path(ctx: Context, run: Run) -> Path | None:
    """The file on this machine that holds what a run prints; None where there is none."""
    job = ctx.catalog.runs.job(run.number)
    if job is None or job.handle is None:
        return None
    backend = ctx.backend(job.backend)
    if not isinstance(backend, KeepsLogs):
        return None
    found = backend.log_path(Handle(job.backend, job.token, job.handle), "output")
    return Path(found) if found else None


LOGS = Action(
    "run logs",
    "Show what a run printed",
    LogsParams,
    Effect.READ,
    logs,
    target=lambda p: p.run,
    key="L",
    streams=True,
    examples=(
        "mlconsole run logs -f train-8rb3",
        "mlconsole run logs train-8rb3 --tail 100 --rank 1",
    ),
)
