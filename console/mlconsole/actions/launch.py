"""Launch: intent first, then the backend, then what was seen."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import TYPE_CHECKING, cast

from mlconsole import backends
from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.jobs import observe
from mlconsole.actions.launchers import launching
from mlconsole.actions.lease import planned
from mlconsole.actions.line import line_up, refuse_wishes, wish_of
from mlconsole.actions.names import new_run_id, parse_pairs, parse_tags
from mlconsole.catalog.observations import apply_observation, set_handle
from mlconsole.catalog.queue import set_job
from mlconsole.catalog.run_changes import NewRun, insert_run, set_params, set_tags
from mlconsole.catalog.sqlite_errors import Translated
from mlconsole.config import CHECKPOINTS, launch_environment, python
from mlconsole.domain.commands import config_files, default_name, params_of_argv
from mlconsole.domain.jobs import Handle, JobSpec, LimitWarning, Observation, Resources
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.runs import Outcome, ParamValue, Run, State
from mlconsole.domain.sweeps import Sweep, command_at, grid_of, points_of
from mlconsole.domain.times import parse_duration
from mlconsole.errors import ActionFailed, BackendUnreachable, MlconsoleError, NoRoom, NotFound, UsageError
from mlconsole.plugin_api import Backend, Finalises, RunsHere
from mlconsole.recorder.bundle import write_bundle
from mlconsole.recorder.redact import redact_argv, redact_mapping
from mlconsole.records import record, replace

if TYPE_CHECKING:
    from mlconsole.actions.launch_data import Base, Configuration, Given
    from mlconsole.actions.snapshots import Copy

    Sources = Sequence[Given | Base | Configuration]

MOST_GPUS = 1024
MOST_CPUS = 100_000
MOST_PRIORITY = 1_000_000
MOST_RANKS = 256
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
#: The folder of a run that all its attempts share: what one has saved, the next resumes from.
#: Tags that a launch gives: how many ranks the run has, and the copy of its code.
NPROC, SNAPSHOT = "nproc", "snapshot"


@record
class LaunchParams:
    """What to launch and how to call it."""

    command: tuple[str, ...] = param((), help="the program and its arguments, behind --", remainder=True, metavar="CMD")
    experiment: str | None = param(None, help="experiment to file the run under", short="e")
    name: str | None = param(None, help="name of the run; made from the command when left out", short="n")
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
    env = parse_pairs(params.env, "--env")
    if params.gpus < 0 or params.gpus > MOST_GPUS:
        raise UsageError(f'"{params.gpus}" is no count of GPUs.', f"Give 0 to {MOST_GPUS}.")
    if params.gpus and VISIBLE_DEVICES in env:
        raise UsageError(f"--gpus sets {VISIBLE_DEVICES}; it cannot be set twice.", "Leave one of the two out.")
    if params.cpus is not None and not 0 <= params.cpus <= MOST_CPUS:
        raise UsageError(f'"{params.cpus}" is no count of CPU slots.', f"Give 0 to {MOST_CPUS}.")
    if not -MOST_PRIORITY <= params.priority <= MOST_PRIORITY:
        raise UsageError(f'"{params.priority}" is no priority.', f"Give -{MOST_PRIORITY} to {MOST_PRIORITY}.")
    if params.nproc is not None and not 1 <= params.nproc <= MOST_RANKS:
        raise UsageError(f'"{params.nproc}" is no count of ranks.', f"Give 1 to {MOST_RANKS}.")
    run_id = new_run_id()
    spec = JobSpec(
        run_id=run_id,
        name=params.name or default_name(params.command, run_id),
        argv=params.command,
        cwd=cwd,
        directory=str(ctx.settings.runs / run_id),
        env={**env, **_own_environment(ctx, run_id)},
        resources=Resources(gpus=params.gpus, cpus=params.cpus),
        time_limit_s=_seconds(params.time_limit),
        warning=_warning(params),
        priority=params.priority,
        labels={"experiment": params.experiment or "default"},
        teardown=tuple(_words(text) for text in params.teardown),
        options=parse_pairs(params.option, "--option"),
    )
    new = NewRun(
        id=run_id,
        name=spec.name,
        name_given=params.name is not None,
        experiment=params.experiment or "default",
        experiment_given=params.experiment is not None,
        created_at=ctx.clock(),
        state=State.SUBMITTING,
        backend=backend,
        token=f"{run_id}.1",
        host=ctx.settings.host,
        user=ctx.settings.user,
        command=tuple(redact_argv(list(params.command))),
        cwd=cwd,
        parent_id=None,
        gpus=params.gpus,
    )
    return spec, new


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
    if limit is None or not 0 < seconds < limit:
        raise UsageError("A warning comes before a time limit.", "Give a --time-limit that is longer.")
    return LimitWarning(int(number), seconds)


def plan(ctx: Context, params: LaunchParams) -> Plan:
    """The steps of a launch."""
    grid = grid_of(params.grid)
    points, asked = points_of(grid), params.command
    if grid:
        params = replace(params, command=command_at(params.command, points[0]))
    spec, new = check(ctx, params)
    shown, datasets = shlex.join(new.command), _given(ctx, params, spec.cwd)
    try:
        leases, cost = planned(ctx, spec, new)
    except NoRoom as error:
        if params.now:
            raise
        leases, cost = (Step(f"wait for its turn: {error.message}", new.host),), None
    steps = (
        Step(f'record {_named(params)} in experiment "{new.experiment}"', str(ctx.settings.home)),
        *(one.step() for one in datasets),
        *leases,
        *_copied(ctx, params, spec, new.backend or ""),
        Step(f"start {shown}", f'backend "{new.backend}" in {spec.cwd}'),
        *(
            Step(f"when it has ended, however it ended, run once: {shlex.join(redact_argv(list(words)))}", spec.cwd)
            for words in spec.teardown
        ),
    )
    if grid:
        steps = (Step(f"{len(points)} runs, one for each point of {' '.join(params.grid)}; the first:"), *steps)
    from mlconsole.actions.launch_words import command_of  # 1 ms, for a plan

    return Plan("launch", Effect.WRITE, steps, cost, command=command_of(replace(params, command=asked)))


def _named(params: LaunchParams) -> str:
    """The run by its name; of one that is made from the run's id, which nobody has yet, what is known of it."""
    if params.name:
        return f'the run "{params.name}"'
    return f'a run, named "{default_name(params.command, "")}" and the start of its id,'


def _copied(ctx: Context, params: LaunchParams, spec: JobSpec, backend: str) -> list[Step]:
    if not params.snapshot:
        return []
    from mlconsole.actions import snapshots  # 12 ms, where one is asked for

    return snapshots.plan(ctx, spec, ctx.backend(backend))


def launch(ctx: Context, params: LaunchParams) -> Run | Sweep:
    """Launch a run, or with a grid the runs of a sweep."""
    if not params.grid:
        return run(ctx, params)
    from mlconsole.actions.sweeps import launch_sweep  # 3 ms, for sweeps

    return launch_sweep(ctx, params)


def run(ctx: Context, params: LaunchParams) -> Run:
    """Record the intent, submit, and say what was seen; a run whose turn has not come waits as queued.

    Raises:
        BackendUnreachable: the submit was not answered; the run stays as submitting until its fate is known.
        NoRoom: ``now`` was asked for and too few slots are free; nothing was recorded.
        ActionFailed: there are too few GPUs, a budget is at its end, or a dataset is not what it was, and nothing was
            recorded; or the backend refused, or the program could not be started, and the run is kept as never started.
    """
    spec, new = check(ctx, params)
    backend = ctx.backend(new.backend or "")
    sources = sources_of(ctx, params, spec)
    with Translated(ctx.settings.database):
        os.makedirs(os.path.join(spec.directory, CHECKPOINTS), mode=0o700, exist_ok=True)
        bundle = write_bundle(str(ctx.settings.home / "lib"))
    spec = prepared(ctx, params, spec, backend, bundle)
    with launching(spec.directory):
        return _hand_over(ctx, params, backend, spec, new, sources)


def _hand_over(
    ctx: Context, params: LaunchParams, backend: Backend, spec: JobSpec, new: NewRun, sources: Sources
) -> Run:
    def record_it(db: Connection, intent: NewRun) -> int:
        return intend(db, spec, intent, params, sources)

    if is_here(backend):
        found = line_up(ctx, spec, new, wish_of(ctx, params), record_it)
        if found.waits:
            return ctx.catalog.runs.load([found.number])[0]
        number, spec = found.number, found.spec
    else:
        refuse_wishes(params, new.backend or "")
        number = ctx.write(lambda db: record_it(db, new), durable=True)
    try:
        handle = backend.submit(spec, new.token or "")
    except BackendUnreachable:
        raise
    except MlconsoleError as error:
        _never_started(ctx, number, new.token or "", str(error))
        raise ActionFailed(f'Backend "{new.backend}" refused the run "{spec.name}": {error}') from error
    ctx.write(lambda db: _accepted(db, number, handle), durable=True)
    job = ctx.catalog.runs.job(number)
    if job is not None:
        observe(ctx, [job])
    return _started(ctx.catalog.runs.load([number])[0])


def is_here(backend: Backend) -> bool:
    """Whether runs of this backend take their turns in the queue of this machine."""
    return isinstance(backend, RunsHere) and backend.runs_here()


def prepared(
    ctx: Context, params: LaunchParams, spec: JobSpec, backend: Backend, bundle: str, copy: Copy | None = None
) -> JobSpec:
    """The spec with what lies in files: the recorder, the starter of its ranks, and the copy of its code.

    The recorder reaches the program through a folder that holds it alone, ``bundle``; our own packages never leak in.
    ``copy`` is that of the code where one was taken already, for all runs of a sweep.

    Raises:
        UsageError: the backend cannot do what was asked for.
        ActionFailed: the code cannot be copied.
    """
    if spec.teardown and not isinstance(backend, Finalises):
        raise UsageError(f'Backend "{backend.name}" runs no teardown commands.', "Leave --teardown out.")
    if params.nproc is not None and not is_here(backend):
        hint = "Start the ranks in the command: -- torchrun --nproc-per-node N train.py"
        raise UsageError(f'--nproc is for runs on this machine, not for backend "{backend.name}".', hint)
    spec = replace(spec, env=_with_recorder(spec.env, bundle))
    if params.nproc is not None:
        starter = os.path.join(bundle, "mlconsole", "recorder", "launcher.py")
        spec = replace(spec, argv=(python(), "-I", "-S", starter, str(params.nproc), *spec.argv))
    if params.snapshot:
        from mlconsole.actions.snapshots import take  # 12 ms, where one is asked for

        spec = (copy or take(ctx, spec.cwd)).under(spec)
    return spec


def _accepted(db: Connection, number: int, handle: Handle) -> None:
    set_handle(db, number, handle)
    set_job(db, number, claim=None)


def _started(run: Run) -> Run:
    if run.outcome is Outcome.NEVER_STARTED:
        raise ActionFailed(f'Run "{run.name}" never started: {run.reason}', f"Its record: mlconsole run show {run.id}")
    return run


def _with_recorder(env: Mapping[str, str], bundle: str) -> dict[str, str]:
    path = env.get("PYTHONPATH", launch_environment().get("PYTHONPATH", ""))
    return {**env, "PYTHONPATH": f"{bundle}{os.pathsep}{path}" if path else bundle}


def sources_of(ctx: Context, params: LaunchParams, spec: JobSpec) -> Sources:
    """What a launch says its run learns from: datasets that were given, configuration files that the command names."""
    return [*_given(ctx, params, spec.cwd), *_configurations(spec)]


def _given(ctx: Context, params: LaunchParams, cwd: str) -> list[Given | Base]:
    if not params.data and not params.model:
        return []
    from mlconsole.actions.launch_data import bases, given  # 5 ms, for launches that are given some

    return [*given(ctx, params.data, cwd), *bases(ctx, params.model)]


def _configurations(spec: JobSpec) -> list[Configuration]:
    if not (words := config_files(spec.argv)):
        return []
    from mlconsole.actions.launch_data import configurations  # 5 ms, for commands that name some

    return configurations(words, spec.cwd)


def intend(
    db: Connection, spec: JobSpec, new: NewRun, params: LaunchParams, sources: Sequence[Given | Base | Configuration]
) -> int:
    """Record the run; gives its number."""
    number = insert_run(db, new, "launch was asked for")
    found: dict[str, ParamValue] = {**params_of_argv(new.command), **parse_pairs(params.param, "--param")}
    if found:
        set_params(db, number, cast("dict[str, ParamValue]", redact_mapping(dict(found))))
    tags = parse_tags(params.tag)
    if params.nproc is not None:
        tags[NPROC] = str(params.nproc)
    if spec.code is not None:
        tags[SNAPSHOT] = spec.code.digest[:12]
    if tags:
        set_tags(db, number, tags)
    if spec.teardown:
        from mlconsole.catalog.teardowns import insert_commands  # 2 ms, for runs that have some

        insert_commands(db, number, [redact_argv(list(words)) for words in spec.teardown])
    for one in sources:
        one.record(db, number, new.created_at)
    return number


def _never_started(ctx: Context, number: int, token: str, reason: str) -> None:
    seen = Observation(token, State.ENDED, Outcome.NEVER_STARTED, reason=reason, evidence="the backend refused it")
    ctx.write(lambda db: apply_observation(db, number, seen, ctx.clock()), durable=True)


LAUNCH = Action(
    name="launch",
    summary="Start a program as a run",
    params=LaunchParams,
    effect=Effect.WRITE,
    run=launch,
    plan=plan,
    target=lambda params: params.name or (params.command[0] if params.command else ""),
    key="l",
)
