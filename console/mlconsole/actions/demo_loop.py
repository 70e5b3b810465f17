"""The end of the demo's story: what the served model is asked changes, and rules act on it while nobody looks.

A camera has moved by one pixel. A monitor sees it in what is asked, an alert opens, and policies measure what is live,
train again, register, release and roll out; a gate compares with what was live. A watcher of its own does all that.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from mlconsole import actions
from mlconsole.actions import environments, monitor
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.config import python
from mlconsole.demo.trainings import SCRIPT, SERVED
from mlconsole.domain.alerts import AlertState
from mlconsole.domain.events import Event
from mlconsole.domain.policies import FiringState
from mlconsole.errors import ActionFailed, MlconsoleError
from mlconsole.records import record

MONITOR = "digits-live"
COLUMNS = "ink,top,bottom,left,right"
RECENT, KEPT, BASELINE, RULES = "recent.csv", "recent-kept.csv", "asked-before.jsonl", "policies.toml"
WINDOW, AS_BEFORE, MOVED = 300, 600, 900
"""Images in a window of the monitor, and how many are asked before and after the camera has moved."""
SEED = 0
AT_ONCE = 100
BAKE = "2s"
POLL_S = 0.25
WITHIN_S = 100.0
PIXELS, SIDE = 64, 8
EVERY = "2s"
"""How often the monitor is looked at: the demo's hour passes in a minute."""
ENDS = ("rollout.done", "rollout.failed")
TOLD = ("drift.opened", "model.registered", "release.created", *ENDS, "monitor.rebaselined", "alert.resolved")

Rows = list[list[float]]


@record
class Scene:
    """What the loop is about.

    Attributes:
        environment: where the model is live.
        model: its name.
        endpoint: where it answers.
        interpreter: of the trainings.
        folder: the demo's.
        asked: the log of what was asked and answered.
        images: a gzipped CSV file of labelled images.
        gates: those that the environment has, beside the one that compares.
        code: the folder that is released, with what measures.
        train: the script that trains.
        usd_per_h: what the machine costs; budgets are by it, and there are none where it is not known.
    """

    environment: str
    model: str
    endpoint: str
    interpreter: str
    folder: Path
    asked: Path
    images: Path
    gates: tuple[str, ...]
    code: Path = SERVED
    train: Path = SCRIPT
    usd_per_h: float | None = None

    def data(self, name: str) -> Path:
        """A file of the demo's data."""
        return self.folder / "data" / name


def play(ctx: Context, scene: Scene) -> None:
    """Let what is asked change, and wait until the rules have brought a better model; once.

    Raises:
        ActionFailed: it did not come to that in time.
    """
    if any(one.name == MONITOR for one in ctx.catalog.monitors.all()):
        return
    before, after = _images(scene.images)
    _write(scene.data(RECENT), after[::3])
    _write(scene.data(KEPT), after[1::3])
    _ask(scene, islice(cycle(before), MOVED))
    os.replace(scene.asked, scene.data(BASELINE))
    _ask(scene, islice(cycle(before[::-1]), AS_BEFORE))
    _arm(ctx, scene)
    ctx.say(f"The camera moves by one pixel. What {scene.model} is asked is logged in {scene.asked}")
    _ask(scene, islice(cycle(after), MOVED))
    last = ctx.catalog.events.last()
    with _watching(ctx, scene):
        done = _wait(ctx, last, lambda event: event.kind in ENDS)
        live = ctx.catalog.environments.get(scene.environment)
        if done.kind != "rollout.done" or live.release is None:
            why = done.data.get("reason")
            raise ActionFailed(f"The rules brought no better model: {why}.", "See: mlconsole policy history")
        ctx.say(f"{scene.environment} is generation {live.pointer.generation}: {live.release.name}, by rule.")
        usual = _wait(ctx, done.number, lambda event: event.kind == "monitor.rebaselined")
        _ask(scene, islice(cycle(after), AS_BEFORE))
        _wait(ctx, usual.number, _is_over)
        _wait_for_firings(ctx)


def _is_over(event: Event) -> bool:
    return event.kind == "alert.resolved" and event.subject == f"monitor:{MONITOR}"


def incidents(ctx: Context) -> list[str]:
    """Ids of the alerts that the camera's move has raised, though they are over."""
    return [alert.id for alert in ctx.catalog.alerts.listed(tuple(AlertState)) if alert.data.get("monitor") == MONITOR]


def _images(path: Path) -> tuple[Rows, Rows]:
    """Images with their digits, as the camera saw them, and others as it sees them since it was moved."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [[float(cell) for cell in row] for row in csv.reader(file)]
    Random(SEED).shuffle(rows)  # As they lie they are sorted by who wrote them.
    return rows[::2], [_moved(row) for row in rows[1::2]]


def _moved(row: list[float]) -> list[float]:
    """An image one pixel further to the right; its digit stays."""
    lines = (row[at : at + SIDE] for at in range(0, PIXELS, SIDE))
    return [cell for line in lines for cell in (0.0, *line[:-1])] + row[PIXELS:]


def _write(path: Path, rows: Rows) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([f"{cell:g}" for cell in row] for row in rows)


def _ask(scene: Scene, rows: Iterable[list[float]]) -> None:
    """Ask the endpoint, as its clients do."""
    images = [row[:PIXELS] for row in rows]
    for at in range(0, len(images), AT_ONCE):
        body = json.dumps({"images": images[at : at + AT_ONCE]}).encode()
        try:
            urllib.request.urlopen(urllib.request.Request(f"{scene.endpoint}/predict", body), timeout=20).close()
        except OSError as error:
            raise ActionFailed(f"{scene.endpoint} does not answer: {error}.") from error


def _arm(ctx: Context, scene: Scene) -> None:
    """Set the monitor up, the gate that compares, and the rules."""
    watched = monitor.AddParams(
        MONITOR,
        baseline=str(scene.data(BASELINE)),
        live=str(scene.asked),
        window=f"rows:{WINDOW}",
        columns=COLUMNS,
        every=EVERY,
    )
    execute(ctx, monitor.ADD, watched)
    gates = (*scene.gates, "metric:recent/acc>=present")
    execute(ctx, environments.SET, environments.SetParams(scene.environment, gate=gates, bake=BAKE))
    path = scene.folder / RULES
    path.write_text(rules(scene), encoding="utf-8")
    apply = actions.named("policy apply")
    execute(ctx, apply, apply.params(str(path)))


def rules(scene: Scene) -> str:
    """The rules, with the names of this demo put in."""
    names: dict[str, Any] = {
        "MONITOR": MONITOR,
        "MODEL": scene.model,
        "ENVIRONMENT": scene.environment,
        "ENDPOINT": scene.endpoint,
        "PYTHON": scene.interpreter,
        "TRAIN": scene.train,
        "CODE": scene.code,
        "FOLDER": scene.folder,
        "RECENT": scene.data(RECENT),
        "KEPT": scene.data(KEPT),
    }
    text = (SERVED / RULES).read_text(encoding="utf-8")
    if scene.usd_per_h is None:
        text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("budget_usd"))
    else:
        names |= {"HALF_HOUR": f"{scene.usd_per_h / 2:.2f}", "HOUR": f"{scene.usd_per_h:.2f}"}
    for name, value in names.items():
        text = text.replace(f"@{name}@", json.dumps(str(value))[1:-1])
    return text


@contextmanager
def _watching(ctx: Context, scene: Scene) -> Iterator[None]:
    """A watcher for that time; where another one leads, it waits behind that one."""
    words = [python(), "-P", "-m", "mlconsole", "watch", "--catalog", str(ctx.settings.home)]
    with open(scene.folder / "watch.log", "ab") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(ctx: Context, last: int, is_it: Callable[[Event], bool]) -> Event:
    """Tell what happens until it is that.

    Raises:
        ActionFailed: it does not come to that in time.
    """
    deadline = ctx.clock().timestamp() + WITHIN_S
    while ctx.clock().timestamp() < deadline:
        for event in ctx.catalog.events.after(last):
            last = event.number
            if event.kind in TOLD:
                ctx.say(f"{event.kind}: {event.data.get('title') or event.data.get('reason') or event.subject}")
            if is_it(event):
                return event
        if ctx.cancelled.wait(POLL_S):
            raise MlconsoleError("The demo was called off; what it launched goes on.")
    raise ActionFailed(f"The rules did not act within {WITHIN_S:g} s.", "See: mlconsole policy history")


def _wait_for_firings(ctx: Context) -> None:
    """Wait until the watcher has noted how everything ended that it does."""
    deadline = ctx.clock().timestamp() + WITHIN_S
    while ctx.catalog.firings.in_state(FiringState.STARTED) and ctx.clock().timestamp() < deadline:
        ctx.cancelled.wait(POLL_S)
