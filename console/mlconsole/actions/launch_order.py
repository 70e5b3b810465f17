"""What is asked of a launch, and the job and the run that it makes."""

from __future__ import annotations

import os
import shlex
import signal

from mlconsole import backends
from mlconsole.actions.base import param
from mlconsole.actions.context import Context
from mlconsole.actions.names import new_run_id, parse_pairs
from mlconsole.actions.redaction import words_without_secrets
from mlconsole.catalog.run_changes import NewRun
from mlconsole.config import CHECKPOINTS
from mlconsole.domain.commands import default_name
from mlconsole.domain.jobs import JobSpec, LimitWarning, Resources
from mlconsole.domain.runs import State
from mlconsole.domain.times import parse_duration
from mlconsole.errors import NotFound, UsageError
from mlconsole.records import record

MOST_GPUS = 1024
MOST_CPUS = 100_000
MOST_PRIORITY = 1_000_000
MOST_RANKS = 256
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"


@record
class LaunchParams:
    """What to launch and how to call it."""

    command: tuple[str, ...] = param((), help="the program and its arguments, behind --", remainder=True, metavar="CMD")
    experiment: str | None = param(None, help="experiment to file the run under", short="e", metavar="NAME")
    name: str | None = param(
        None, help="name of the run; made from the command when left out", short="n", metavar="NAME"
    )
    env: tuple[str, ...] = param(
        (), help="set an environment variable for the program", metavar="KEY=VALUE", private=True
    )
    cwd: str | None = param(None, help="directory to run in; here when left out", metavar="DIR")
    tag: tuple[str, ...] = param((), help="tag the run", metavar="TAG|KEY=VALUE", short="t")
    backend: str | None = param(None, help="where to run it", metavar="NAME", short="b")
    gpus: int = param(0, help="lease this many free GPUs to the run", metavar="N", short="g")
    option: tuple[str, ...] = param(
        (), help="tell the backend more: a host, a partition, an account", metavar="KEY=VALUE", short="o"
    )
    time_limit: str | None = param(None, help="end the run after this long, as in 90m or 2h", metavar="DURATION")
    teardown: tuple[str, ...] = param(
        (), help="run this command once when the run has ended, however it ended", metavar="CMD", private=True
    )
    cpus: int | None = param(None, help="CPU slots that the run takes: 1, or none beside GPUs", metavar="N")
    priority: int = param(0, help="who waits for a turn with a higher one goes first", metavar="N")
    hold: bool = param(False, help="put it in line, and start it when it is released")
    after: tuple[str, ...] = param((), help="start it when this run has succeeded", metavar="RUN")
    after_any: tuple[str, ...] = param((), help="start it when this run has ended, however", metavar="RUN")
    now: bool = param(False, help="start it at once or not at all: do not wait for a turn")
    retry: tuple[str, ...] = param(
        (), help="try again after such an end: failed, oom, timed_out, node_lost, unknown", metavar="OUTCOME=N"
    )
    warn: str | None = param(
        None, help="signal the program before its time limit, as in USR1=2m", metavar="SIGNAL=TIME"
    )
    data: tuple[str, ...] = param(
        (), help="say which dataset it learns from: a name, an id or a path", metavar="DATASET", short="d"
    )
    model: tuple[str, ...] = param(
        (), help="say which registered model it begins from: NAME@VERSION or NAME@ALIAS", metavar="MODEL"
    )
    grid: tuple[str, ...] = param(
        (), help="a sweep: a run for each value, and for each point of several grids", metavar="NAME=VALUE,VALUE"
    )
    nproc: int | None = param(None, help="start it as so many ranks, with torchrun's environment", metavar="N")
    snapshot: bool = param(False, help="run from a copy of the folder as it is now, kept by its content")
    # Last: from here on the name stands for the field.
    param: tuple[str, ...] = param((), help="record a param that the command line does not show", metavar="KEY=VALUE")


def check(ctx: Context, params: LaunchParams) -> tuple[JobSpec, NewRun]:
    """The job and the run that these params make.

    Raises:
        UsageError: no command, a bad pair, or a directory that is not there.
        NotFound: no such backend.
    """
    if not params.command:
        raise UsageError("No command to launch.", "Put it behind two dashes: mlconsole launch -- python train.py")
    cwd = os.path.abspath(params.cwd or os.getcwd())
    if not os.path.isdir(cwd):
        raise UsageError(f'No such directory "{cwd}".', "Give another with --cwd.")
    backend = params.backend or ctx.settings.backend
    if backend not in backends.names():
        raise NotFound(f'No backend "{backend}" is installed.', f"Installed: {', '.join(backends.names()) or 'none'}.")
    _check_sizes(params)
    run_id = new_run_id()
    spec = JobSpec(
        run_id=run_id,
        name=params.name or default_name(params.command, run_id),
        argv=params.command,
        cwd=cwd,
        directory=str(ctx.settings.runs / run_id),
        env={**_environment(params), **_own_environment(ctx, run_id)},
        resources=Resources(gpus=params.gpus, cpus=params.cpus),
        time_limit_s=_seconds(params.time_limit),
        warning=_warning(params),
        priority=params.priority,
        labels={"experiment": params.experiment or "default"},
        teardown=tuple(_words(text) for text in params.teardown),
        options=parse_pairs(params.option, "--option"),
    )
    return spec, _new_run(ctx, params, spec, backend)


def _check_sizes(params: LaunchParams) -> None:
    if not 0 <= params.gpus <= MOST_GPUS:
        raise UsageError(f'"{params.gpus}" is no count of GPUs.', f"Give 0 to {MOST_GPUS}.")
    if params.cpus is not None and not 0 <= params.cpus <= MOST_CPUS:
        raise UsageError(f'"{params.cpus}" is no count of CPU slots.', f"Give 0 to {MOST_CPUS}.")
    if not -MOST_PRIORITY <= params.priority <= MOST_PRIORITY:
        raise UsageError(f'"{params.priority}" is no priority.', f"Give -{MOST_PRIORITY} to {MOST_PRIORITY}.")
    if params.nproc is not None and not 1 <= params.nproc <= MOST_RANKS:
        raise UsageError(f'"{params.nproc}" is no count of ranks.', f"Give 1 to {MOST_RANKS}.")


def _environment(params: LaunchParams) -> dict[str, str]:
    env = parse_pairs(params.env, "--env")
    if params.gpus and VISIBLE_DEVICES in env:
        raise UsageError(f"--gpus sets {VISIBLE_DEVICES}; it cannot be set twice.", "Leave one of the two out.")
    return env


def _new_run(ctx: Context, params: LaunchParams, spec: JobSpec, backend: str) -> NewRun:
    return NewRun(
        id=spec.run_id,
        name=spec.name,
        name_given=params.name is not None,
        experiment=params.experiment or "default",
        experiment_given=params.experiment is not None,
        created_at=ctx.clock(),
        state=State.SUBMITTING,
        backend=backend,
        token=f"{spec.run_id}.1",
        host=ctx.settings.host,
        user=ctx.settings.user,
        command=tuple(words_without_secrets(list(params.command))),
        cwd=spec.cwd,
        parent_id=None,
        gpus=params.gpus,
    )


def _words(text: str) -> tuple[str, ...]:
    """The words of a command that was given as one text; no shell ever sees it."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f'"{text}" is no command: {error}.', "Quote it as for a shell.") from error
    if not words:
        raise UsageError("A teardown command is empty.", "Write --teardown 'terraform destroy -auto-approve'.")
    return words


def _own_environment(ctx: Context, run_id: str) -> dict[str, str]:
    checkpoints = str(ctx.settings.runs / run_id / CHECKPOINTS)
    own = {"MLCONSOLE_RUN_ID": run_id, "MLCONSOLE_HOME": str(ctx.settings.home), "PYTHONUNBUFFERED": "1"}
    return {**own, "MLCONSOLE_CHECKPOINTS": checkpoints}


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = parse_duration(text)
    if seconds is None or not 0 < seconds < 1e9:
        raise UsageError(f'"{text}" is not a time limit.', "Write 90s, 15m or 2h30m.")
    return seconds


def _warning(params: LaunchParams) -> LimitWarning | None:
    if params.warn is None:
        return None
    name, _, lead = params.warn.partition("=")
    number = getattr(signal, f"SIG{name.upper().removeprefix('SIG')}", None)
    seconds, limit = parse_duration(lead), _seconds(params.time_limit)
    if not isinstance(number, signal.Signals) or seconds is None:
        raise UsageError(f'"{params.warn}" is no signal and time.', "Write --warn USR1=2m.")
    if number in (signal.SIGKILL, signal.SIGSTOP):
        raise UsageError(f'No program can hear "{name}".', "Write --warn USR1=2m.")
    if limit is None or not 0 < seconds < limit:
        raise UsageError("A warning comes before a time limit.", "Give a --time-limit that is longer.")
    return LimitWarning(int(number), seconds)
