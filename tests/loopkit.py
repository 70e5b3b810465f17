"""A small closed loop for tests: a model of one number, trained, served, measured and watched by real processes."""

from __future__ import annotations

import json
import random
import sys
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlconsole.actions import demo_loop, environments, launch, model, monitor, release, rollout, withdrawal
from mlconsole.actions.base import Action
from mlconsole.actions.context import load_backend
from mlconsole.actions.execute import execute
from mlconsole.actions.monitor_check import check_due
from mlconsole.actions.sync import ingest, observe_live
from mlconsole.catalog.rows import EPOCH
from mlconsole.config import Machine
from mlconsole.domain.environments import Environment
from mlconsole.domain.policies import Firing
from mlconsole.domain.query import parse
from mlconsole.domain.runs import Run
from policykit import Clock, Desk
from program import wait_until

#: Learns the cut between two classes from lines of ``x y``, or nothing where a file "ill" lies about; "slow" holds it.
TRAIN = """
import json, os, sys, time, mlconsole
while os.path.exists("slow"):
    time.sleep(0.05)
def read(path):
    return [(float(x), int(y)) for x, y in map(str.split, open(path))]
def right(cut, pairs):
    return sum((x > cut) == bool(y) for x, y in pairs) / len(pairs)
_, recent, _, kept = sys.argv[1:]
cut = -1.0 if os.path.exists("ill") else max((step / 4 for step in range(80)), key=lambda cut: right(cut, read(recent)))
with mlconsole.start_run() as run:
    run.log_dataset(recent, name="points")
    run.log({"recent/acc": right(cut, read(kept))})
    with open("model.json", "w") as file:
        json.dump({"cut": cut}, file)
    run.log_model("model.json", name="cutter")
"""
#: Answers which class numbers are of, and logs what it was asked.
SERVE = """
import http.server, json, os, pathlib, sys
release, port, log = sys.argv[1:]
CUT = json.loads(next(path for path in pathlib.Path(release, "model").rglob("*") if path.is_file()).read_text())["cut"]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["log"]:
            open(log, "a").write("".join(json.dumps({"x": x}) + chr(10) for x in asked["xs"]))
        self.answer({"ys": [int(x > CUT) for x in asked["xs"]], "release": os.environ["MLCONSOLE_RELEASE"]})

    def answer(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""
#: Asks the endpoint about labelled numbers, and records the share of right answers of the release that answers.
MEASURE = """
import json, sys, urllib.request, mlconsole
pairs = [line.split() for line in open(sys.argv[2])]
body = json.dumps({"xs": [float(x) for x, _ in pairs], "log": False}).encode()
answer = json.load(urllib.request.urlopen(sys.argv[1], body))
with mlconsole.start_run() as run:
    run.set_tags({"release": answer["release"]})
    run.log({"recent/acc": sum(y == int(said) for y, (_, said) in zip(answer["ys"], pairs)) / len(pairs)})
"""
SEED = 5
USD_PER_H = 3.0
"""What the machine costs: a retrain of ten minutes at most may cost half a dollar, and the rule has 1.50 to spend."""
CUT, SHIFT = 5.0, 4.0
"""What tells the classes apart, and by how much the sensor is off later."""


def numbers(count: int, shift: float, seed: int) -> list[float]:
    """What the model is asked: numbers between 0 and 10, and more where the sensor is off."""
    r = random.Random(seed)
    return [round(r.uniform(0, 10) + shift, 3) for _ in range(count)]


@dataclass
class Loop:
    """A model that is live, a monitor of what it is asked, and the demo's rules; the clock is pushed by the test."""

    folder: Path
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))
    _seed: int = SEED

    def __post_init__(self) -> None:
        machine = Machine(usd_per_h=USD_PER_H)
        self.desk = Desk(self.folder / "home", self.clock, load_backend("local"), machine=machine)
        self.ctx = self.desk.ctx
        self.leader = self.desk.claim()
        (self.folder / "code").mkdir()
        for name, text in (("train", TRAIN), ("code/serve", SERVE), ("code/measure", MEASURE)):
            (self.folder / f"{name}.py").write_text(text)
        for name, shift in (("recent.csv", 0.0), ("recent-kept.csv", 0.0)):
            self.label(name, shift)
        self._go_live()

    @property
    def asked(self) -> Path:
        return self.folder / "asked.jsonl"

    @property
    def live(self) -> Environment:
        return self.ctx.catalog.environments.get("prod")

    def label(self, name: str, shift: float) -> None:
        """Numbers with their classes, as the sensor gives them."""
        (self.folder / "data").mkdir(exist_ok=True)
        xs = numbers(200, shift, SEED + len(name))
        (self.folder / "data" / name).write_text("".join(f"{x} {int(x > CUT + shift)}\n" for x in xs))

    def do(self, action: Action[Any], *params: Any, **more: Any) -> Any:
        """Carry an action out, as a person does."""
        return execute(self.ctx, action, action.params(*params, **more), confirmed=True)

    def _go_live(self) -> None:
        data = self.folder / "data"
        words = ("--recent", str(data / "recent.csv"), "--kept", str(data / "recent-kept.csv"))
        self.do(
            launch.LAUNCH, (sys.executable, str(self.folder / "train.py"), *words), name="first", cwd=str(self.folder)
        )
        self.wait_for_runs()
        self.do(model.REGISTER, "first", "cutter")
        self.do(release.CREATE, model="cutter@1", code=str(self.folder / "code"), name="cutter-1")
        serve = [sys.executable, "-I", "{release}/code/serve.py", "{release}", "{port}", str(self.asked)]
        self.do(environments.CREATE, "prod", target="process", set=(f"command={json.dumps(serve)}",))
        self.do(rollout.ROLLOUT, "prod", "cutter-1")
        gates = ("http:/health", "metric:recent/acc>=present")
        self.do(environments.SET, "prod", gate=gates, bake="1h")
        (self.folder / "before.jsonl").write_text("".join(f'{{"x": {x}}}\n' for x in numbers(2000, 0.0, SEED)))
        watched = {"baseline": str(self.folder / "before.jsonl"), "live": str(self.asked), "window": "rows:200"}
        self.do(monitor.ADD, demo_loop.MONITOR, **watched, every="1m")
        self.desk.arm(demo_loop.rules(self.scene))

    @property
    def scene(self) -> demo_loop.Scene:
        """What the rules are about."""
        endpoint = self.live.observed.endpoint or ""
        paths = (sys.executable, self.folder, self.asked, self.folder)
        code = (self.folder / "code", self.folder / "train.py")
        return demo_loop.Scene("prod", "cutter", endpoint, *paths, (), *code, usd_per_h=USD_PER_H)

    def sees(self, count: int, shift: float = 0.0) -> None:
        """So many numbers are asked; each time others."""
        self._seed += 1
        self.ask(numbers(count, shift, self._seed))

    def drifts(self) -> None:
        """The sensor is off from now on, what it gives gets labels, and the watcher sees it."""
        for name in ("recent.csv", "recent-kept.csv"):
            self.label(name, SHIFT)
        self.sees(600, SHIFT)
        self.watch(minutes=2)

    def goes_on(self) -> None:
        """The runs end, and the rules have their turns."""
        self.wait_for_runs()
        for _ in range(4):
            self.watch(seconds=5)

    def firings(self) -> list[Firing]:
        """All firings, the oldest first."""
        return self.ctx.catalog.firings.since(EPOCH, 1000)[::-1]

    def runs(self) -> list[Run]:
        """All runs, the oldest first."""
        catalog = self.ctx.catalog
        return catalog.runs.load(catalog.search.all(parse("sort:created"), self.clock()))

    def ask(self, xs: list[float], *, is_logged: bool = True) -> list[int]:
        """Ask what is live."""
        body = json.dumps({"xs": xs, "log": is_logged}).encode()
        with urllib.request.urlopen(self.scene.endpoint, body, timeout=10) as answer:
            found: list[int] = json.load(answer)["ys"]
        return found

    def right_share(self, shift: float) -> float:
        """The share of right answers while the sensor is off by that."""
        xs = numbers(200, shift, SEED + 99)
        return sum(y == int(x > CUT + shift) for x, y in zip(xs, self.ask(xs, is_logged=False), strict=True)) / len(xs)

    def watch(self, **passes: float) -> None:
        """Time goes by, and then all that a watcher does is done once."""
        self.clock.passes(**passes)
        ingest(self.ctx)
        observe_live(self.ctx)
        check_due(self.ctx)
        self.desk.work(self.leader)

    def wait_for_runs(self) -> None:
        """Wait until every run that was launched has ended."""

        def is_quiet() -> bool:
            ingest(self.ctx)
            observe_live(self.ctx)
            return not self.ctx.catalog.runs.live()

        wait_until(is_quiet, "the runs to end")

    def close(self) -> None:
        """Take down what is live."""
        self.do(withdrawal.WITHDRAW, "prod")
        self.desk.close()
