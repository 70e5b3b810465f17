"""The demo: several real trainings in a catalog of their own, one failing, one diverging, one going on."""

from __future__ import annotations

import os
import shlex
from itertools import count

from mlconsole.actions import demo_loop, demo_money, demo_story
from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.launch import LAUNCH
from mlconsole.actions.launch_order import LaunchParams
from mlconsole.actions.sync import refresh
from mlconsole.config import Settings, python
from mlconsole.demo.trainings import EXPERIMENT, LONG, LONG_MINUTES, LONG_ONE, SCRIPT, SHORT, Training
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.query import parse
from mlconsole.domain.results import Listing
from mlconsole.domain.runs import Run, State
from mlconsole.errors import ActionFailed, MlconsoleError, UsageError
from mlconsole.records import record, replace

AT_A_TIME = 2
POLL_S = 0.2
SHORT_LIMIT, LONG_LIMIT = "10m", "25m"
LONG_STARTS_WITHIN_S = 60.0
PROBE_S = 60.0
LONG_ONES, SHORT_ONES = f"tag:{LONG}", f"not tag:{LONG}"
NEEDS = ("torch", "sklearn")
COLUMNS = ("val/acc", "val/loss", "lr", "hidden", "optimizer", "tags", "duration")


@record
class DemoParams:
    """Where the demo lives and what trains in it."""

    directory: str = param(".demo", help="directory of the demo; its catalog is made inside", metavar="DIR")
    python: str | None = param(
        None, help="interpreter of the trainings, with torch and scikit-learn; this one when left out", metavar="FILE"
    )


def own_settings(settings: Settings, params: DemoParams) -> Settings:
    """The session's settings, on the demo's own catalog."""
    from pathlib import Path

    own = replace(settings, home=Path(os.path.abspath(params.directory), "catalog"), backend="local")
    return demo_money.priced(own)


def plan(ctx: Context, params: DemoParams) -> Plan:
    """What the demo makes and starts."""
    home = str(own_settings(ctx.settings, params).home)
    steps = [Step("make a catalog of the demo's own", home), Step(f"set {demo_money.WORDS}, and a budget", home)]
    steps += [Step(f'launch "{t.name}": digits.py {shlex.join(t.flags)}', home) for t in SHORT]
    steps.append(Step("wait until they have ended"))
    steps.append(Step(f'release "{demo_story.GOOD[0]}", serve it on loopback as "{demo_story.ENVIRONMENT}"', home))
    steps.append(Step(f'roll out "{demo_story.WORSE[0]}", which is worse: its gate fails, and it is taken back', home))
    long = f'launch "{LONG_ONE.name}": digits.py {shlex.join(LONG_ONE.flags)}'
    steps.append(Step(f"{long}; it ends by itself after {LONG_MINUTES} minutes", home))
    command = f"mlconsole demo --directory {shlex.quote(params.directory)}"
    steps.append(Step("move the camera: rules see it, train again and roll out what the gates find better", home))
    steps.append(Step("take what is asked now for what is usual: the incident is over", home))
    return Plan("demo", Effect.WRITE, tuple(steps), command=command)


def run(ctx: Context, params: DemoParams) -> Listing[Run]:
    """Launch what is not there yet, two at a time, and tell the story of what they made.

    Raises:
        UsageError: no such interpreter.
        ActionFailed: the interpreter lacks torch or scikit-learn.
    """
    interpreter = _interpreter(params)
    os.makedirs(ctx.settings.home.parent, mode=0o700, exist_ok=True)
    ctx.say(f"The demo's catalog: {ctx.settings.home}")
    ctx.write(lambda db: None, durable=True)
    demo_money.begin(ctx)
    stage = demo_story.Stage(ctx.settings.home.parent, interpreter)
    missing = _missing(ctx)
    for number, training in enumerate(missing, 1):
        while len(_live(ctx, SHORT_ONES)) >= AT_A_TIME:
            _wait(ctx)
        _launch(ctx, training, interpreter)
        ctx.say(f"{number} of {len(missing)}: {training.name} started, {shlex.join(training.flags)}")
    _wait_for_the_short_ones(ctx)
    demo_story.go_live(ctx, stage)
    if (long := _missing_long_one(ctx)) is not None:
        _launch(ctx, long, interpreter)
        ctx.say(f"{long.name} started, {shlex.join(long.flags)}")
    _wait_for_the_long_one(ctx)
    demo_story.move_camera(ctx, stage)
    _tell_what_now(ctx, params)
    return Listing("run", _runs(ctx, "sort:created"), COLUMNS)


def _interpreter(params: DemoParams) -> str:
    import shutil
    import subprocess

    wanted = params.python or python()
    found = shutil.which(wanted)
    if found is None:
        raise UsageError(f'No interpreter "{wanted}".', "Give the path of one: --python .venv/bin/python")
    probe = f"from importlib.util import find_spec as f; print(*(n for n in {NEEDS} if f(n) is None))"
    try:
        done = subprocess.run(
            [found, "-I", "-c", probe], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ActionFailed(f'The interpreter "{found}" does not answer: {error}.') from error
    if done.returncode:
        raise ActionFailed(f'"{found}" is not a Python that works: {done.stderr.strip()[-300:]}.')
    if lacking := done.stdout.split():
        raise ActionFailed(
            f'"{found}" lacks what the trainings need: {" and ".join(lacking)}.',
            "pip install 'mlconsole[demo]', or name another interpreter: --python FILE",
        )
    return os.path.abspath(found)


def _runs(ctx: Context, query: str = "") -> list[Run]:
    return ctx.catalog.runs.load(ctx.catalog.search.all(parse(query), ctx.clock()))


def _missing(ctx: Context) -> list[Training]:
    """The short trainings that were never launched here."""
    refresh(ctx)
    there = {run.name for run in _runs(ctx)}
    return [training for training in SHORT if training.name not in there]


def _missing_long_one(ctx: Context) -> Training | None:
    """The long training, under a name that is free, unless one is still going on."""
    if _live(ctx, LONG_ONES):
        return None
    there = {run.name for run in _runs(ctx)}
    names = (f"{LONG_ONE.name}-{number}" for number in count(2))
    free = LONG_ONE.name if LONG_ONE.name not in there else next(name for name in names if name not in there)
    return replace(LONG_ONE, name=free)


def _live(ctx: Context, which: str) -> list[Run]:
    refresh(ctx)
    return _runs(ctx, f"not state:ended {which}")


def _launch(ctx: Context, training: Training, interpreter: str) -> None:
    execute(
        ctx,
        LAUNCH,
        LaunchParams(
            command=(interpreter, str(SCRIPT), *training.flags),
            experiment=EXPERIMENT,
            name=training.name,
            cwd=str(ctx.settings.home.parent),
            tag=training.tags,
            time_limit=LONG_LIMIT if training.is_long else SHORT_LIMIT,
        ),
    )


def _wait(ctx: Context) -> None:
    if ctx.cancelled.wait(POLL_S):
        raise MlconsoleError("The demo was called off; what it launched goes on.")


def _wait_for_the_short_ones(ctx: Context) -> None:
    names: list[str] = []
    while live := _live(ctx, SHORT_ONES):
        now = sorted(run.name for run in live)
        if now != names:
            ctx.say(f"waiting for {' and '.join(now)}")
        names = now
        _wait(ctx)


def _wait_for_the_long_one(ctx: Context) -> None:
    """Wait until it has logged something, or a minute has passed."""
    deadline = ctx.clock().timestamp() + LONG_STARTS_WITHIN_S
    while ctx.clock().timestamp() < deadline:
        found = _live(ctx, LONG_ONES)
        if not found or any(run.state is State.RUNNING and run.metrics for run in found):
            return
        _wait(ctx)


def _tell_what_now(ctx: Context, params: DemoParams) -> None:
    mlconsole = f"{_program()} --catalog {shlex.quote(os.path.join(params.directory, 'catalog'))}"
    ctx.say(f"Look at them:  {mlconsole}")
    for alert in demo_loop.incidents(ctx):
        ctx.say(f"What the camera's move set off, and why:  {mlconsole} alert show {alert}")
    for run in _live(ctx, LONG_ONES):
        ctx.say(f'"{run.name}" ends by itself. Stop it:  {mlconsole} run stop {run.name} --yes')
    ctx.say(f'"{demo_story.ENVIRONMENT}" goes on serving. Take it down:  {mlconsole} env withdraw prod --yes')
    ctx.say(f"Then remove the demo:  rm -rf {shlex.quote(params.directory)}")


def _program() -> str:
    """How to call this program again: by its path where its name alone does not find it."""
    import shutil
    import sys

    called = sys.argv[0]
    known = os.path.basename(called) != "mlconsole" or shutil.which("mlconsole") == os.path.abspath(called)
    return "mlconsole" if known else shlex.quote(called)


DEMO = Action(
    "demo",
    "Launch small, real trainings to look at",
    DemoParams,
    Effect.WRITE,
    run,
    plan,
    target=lambda p: p.directory,
    settings=own_settings,
)
