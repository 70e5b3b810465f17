"""Launch: intent first, then the backend, then what was seen."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import TYPE_CHECKING, cast

from mlconsole.actions.base import Action
from mlconsole.actions.context import Context
from mlconsole.actions.jobs import observe
from mlconsole.actions.launch_order import LaunchParams, check
from mlconsole.actions.launchers import launching
from mlconsole.actions.lease import planned
from mlconsole.actions.line import line_up, refuse_warning, refuse_wishes, wish_of
from mlconsole.actions.names import parse_pairs, parse_tags
from mlconsole.actions.redaction import values_without_secrets, words_without_secrets
from mlconsole.catalog.observations import apply_observation, set_handle
from mlconsole.catalog.queue import set_job
from mlconsole.catalog.run_changes import NewRun, insert_run, set_params, set_tags
from mlconsole.catalog.sqlite_errors import Translated
from mlconsole.config import CHECKPOINTS, launch_environment, python
from mlconsole.domain.commands import config_files, default_name, params_of_argv
from mlconsole.domain.jobs import Handle, JobSpec, Observation
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.runs import Outcome, ParamValue, Run, State
from mlconsole.domain.sweeps import Sweep, command_at, grid_of, points_of
from mlconsole.errors import ActionFailed, BackendUnreachable, MlconsoleError, NoRoom, UsageError
from mlconsole.plugin_api import Backend, Finalises, RunsHere
from mlconsole.recorder.bundle import write_bundle
from mlconsole.records import replace

if TYPE_CHECKING:
    from mlconsole.actions.launch_data import Base, Configuration, Given
    from mlconsole.actions.snapshots import Copy

    Sources = Sequence[Given | Base | Configuration]

#: Tags that a launch gives: how many ranks the run has, and the copy of its code.
NPROC, SNAPSHOT = "nproc", "snapshot"


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
            Step(
                f"when it has ended, however it ended, run once: {shlex.join(words_without_secrets(list(words)))}",
                spec.cwd,
            )
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
    _ = ctx.catalog  # It makes its folder, for this user or for a group; what comes next goes into it.
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
        refuse_warning(spec, backend, new.backend or "")
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
        set_params(db, number, cast("dict[str, ParamValue]", values_without_secrets(dict(found))))
    tags = parse_tags(params.tag)
    if params.nproc is not None:
        tags[NPROC] = str(params.nproc)
    if spec.code is not None:
        tags[SNAPSHOT] = spec.code.digest[:12]
    if tags:
        set_tags(db, number, tags)
    if spec.teardown:
        from mlconsole.catalog.teardowns import insert_commands  # 2 ms, for runs that have some

        insert_commands(db, number, [words_without_secrets(list(words)) for words in spec.teardown])
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
    examples=(
        "mlconsole launch -- python train.py --lr 0.1",
        "mlconsole launch -e digits -t baseline --gpus 2 --time-limit 2h -- python train.py",
        "mlconsole launch -b slurm -o partition=gpu --retry node_lost=2 -- python train.py",
        "mlconsole launch --grid lr=0.1,0.01 --grid seed=1,2,3 -- python train.py --lr {lr} --seed {seed}",
    ),
)
