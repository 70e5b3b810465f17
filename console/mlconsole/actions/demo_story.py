"""What the demo tells after its trainings: a model goes into production, a worse one follows, and is taken back.

All of it is done by the same actions that people use, so that the audit log, lineage and history are real.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shlex
import subprocess
from pathlib import Path

from mlconsole.actions import dataset, demo_loop, environments, model, release, rollout
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.rates import rate_now
from mlconsole.demo.trainings import SERVED
from mlconsole.errors import ActionFailed, CheckFailed
from mlconsole.records import record

ENVIRONMENT = "prod"
MODEL = "digits"
GOOD, WORSE = ("mlp-64", "digits-1"), ("mlp-64-slow", "digits-2")
"""The run of each model, and the name of its release."""
LEAST_ACCURACY = 0.95
EVERY = 5
LABELLED, ASKED = "labelled.csv", "asked.jsonl"
PROBE = "import importlib.util as u; print(u.find_spec('sklearn').origin)"


@record
class Stage:
    """Where the story is played: the demo's folder, and the interpreter that has torch and scikit-learn."""

    folder: Path
    interpreter: str

    @property
    def labelled(self) -> Path:
        """Images with the digits that they show."""
        return self.folder / "data" / LABELLED

    @property
    def asked(self) -> Path:
        """What the served model was asked, and what it answered."""
        return self.folder / "data" / ASKED


def go_live(ctx: Context, stage: Stage) -> None:
    """Roll out a good model, then a worse one, unless something is live already.

    Raises:
        ActionFailed: what should have come of it did not.
    """
    there = [one for one in ctx.catalog.environments.all() if one.name == ENVIRONMENT]
    if not there or not there[0].pointer.generation:
        _move(ctx, stage, _digits(stage.interpreter), is_there=bool(there))


def move_camera(ctx: Context, stage: Stage) -> None:
    """Let what the live model is asked change, and rules act on it; once.

    Raises:
        ActionFailed: what should have come of it did not.
    """
    demo_loop.play(ctx, _scene(ctx, stage, _digits(stage.interpreter)))


def _scene(ctx: Context, stage: Stage, digits: Path) -> demo_loop.Scene:
    live, rate = ctx.catalog.environments.get(ENVIRONMENT), rate_now(ctx)[0]
    return demo_loop.Scene(
        ENVIRONMENT,
        MODEL,
        live.observed.endpoint or "",
        stage.interpreter,
        stage.folder,
        stage.asked,
        digits,
        _gates(stage),
        usd_per_h=rate.microusd_per_h / 1e6 if rate else None,
    )


def _move(ctx: Context, stage: Stage, digits: Path, *, is_there: bool) -> None:
    """Release and roll out a good model, then a worse one, which its gate takes back."""
    _keep_some(digits, stage.labelled)
    execute(ctx, dataset.ADD, dataset.AddParams(str(digits), MODEL))
    for run, name in (GOOD, WORSE):
        execute(ctx, model.REGISTER, model.RegisterParams(run, MODEL))
        newest = ctx.catalog.models.get(MODEL).label
        execute(ctx, release.CREATE, release.CreateParams(model=newest, code=str(SERVED), name=name))
    if not is_there:
        execute(ctx, environments.CREATE, _environment(stage))
    _roll_out(ctx, GOOD[1])
    try:
        _roll_out(ctx, WORSE[1])
    except CheckFailed as failed:
        ctx.say(failed.message)
    live = ctx.catalog.environments.get(ENVIRONMENT)
    if live.release is None or live.release.name != GOOD[1]:
        raise ActionFailed(f'"{WORSE[1]}" should have been taken back, and was not.', "See: mlconsole env show prod")
    ctx.say(f"{ENVIRONMENT} is generation {live.pointer.generation}: {GOOD[1]} again, at {live.observed.endpoint}")


def _environment(stage: Stage) -> environments.CreateParams:
    serve = [stage.interpreter, "-I", "{release}/code/serve.py", "{release}", "{port}", str(stage.asked)]
    return environments.CreateParams(
        ENVIRONMENT,
        target="process",
        set=(f"command={json.dumps(serve)}", "health=/health"),
        gate=_gates(stage),
    )


def _gates(stage: Stage) -> tuple[str, ...]:
    """It is healthy, and tells labelled images right."""
    ask = [stage.interpreter, "-I", str(SERVED / "ask.py"), str(stage.labelled), f"{LEAST_ACCURACY}"]
    return "http:/health", f"command:{shlex.join(ask)}"


def _roll_out(ctx: Context, name: str) -> None:
    ctx.say(f"rolling {name} out to {ENVIRONMENT}")
    execute(ctx, rollout.ROLLOUT, rollout.RolloutParams(ENVIRONMENT, name), confirmed=True)


def _digits(interpreter: str) -> Path:
    """The images that scikit-learn brings along."""
    done = subprocess.run([interpreter, "-I", "-c", PROBE], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).parent / "datasets" / "data" / "digits.csv.gz"


def _keep_some(digits: Path, path: Path) -> None:
    """Write every fifth image with its label."""
    os.makedirs(path.parent, exist_ok=True)
    with gzip.open(digits, "rt", newline="") as every, open(path, "w", newline="", encoding="utf-8") as some:
        csv.writer(some).writerows(row for number, row in enumerate(csv.reader(every)) if number % EVERY == 0)
