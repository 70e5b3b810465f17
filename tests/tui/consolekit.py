"""A console for tests: a catalog whose runs never change, a clock that stands still, a backend that runs nothing."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gpuscene import BOOTED, GPUS, HOST, fill_gpus, fill_ledger
from lineagekit import fill_past
from robot import Robot

from benchmarks.synthetic import START_US, make
from fakes.backends import CalmBackend
from mlconsole.actions.context import Context
from mlconsole.catalog import Catalog
from mlconsole.catalog.audit import Entry, append
from mlconsole.catalog.environments import Mover, move_pointer, put_environment
from mlconsole.catalog.observations import set_handle
from mlconsole.catalog.releases import NewMember, NewRelease, put_release
from mlconsole.catalog.rollouts import enter, insert_rollout
from mlconsole.config import Settings
from mlconsole.content.identity import named, release_id
from mlconsole.domain.contracts import Axis, Contract, Requirement
from mlconsole.domain.environments import Environment
from mlconsole.domain.gates import gate_of
from mlconsole.domain.releases import Member
from mlconsole.domain.rollouts import Rollout, RolloutKind, RolloutState
from mlconsole.domain.uptime import Uptime
from mlconsole.plugin_api import Backend, Handle
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location

RUNS = 40
BEGUN = datetime.fromtimestamp(START_US / 1e6, UTC)
NOW = BEGUN + timedelta(minutes=RUNS, seconds=30)
UPTIME = Uptime(BOOTED.boot_id, BOOTED.awake_us + RUNS * 60_000_000 + 30_000_000)
"""The machine of the fixed catalog has been up since before its first run, whatever that of the test has been."""
LIVE, BAD = 40, 33
"""Numbers of a running run and of a failed one."""
TRACE = 'Traceback (most recent call last):\n  File "train.py", line 12, in <module>\nValueError: loss is nan\n'


def fixed_catalog(home: Path) -> None:
    """Make a catalog of forty runs, the newest five of them running, with curves, a reason and an audit trail."""
    shutil.copytree(Path(_made().name) / "lab", home)


@functools.cache
def _made() -> tempfile.TemporaryDirectory[str]:
    """The catalog that others are copies of: a copy takes a fiftieth of the time. It goes with the process."""
    folder = tempfile.TemporaryDirectory()
    _make(Path(folder.name) / "lab")
    return folder


def _make(home: Path) -> None:
    make(home, RUNS, histories=8)
    catalog = Catalog(home)
    try:
        catalog.write(_fill_in)
        catalog.write(lambda db: fill_ledger(db, BEGUN, LIVE, BAD))
    finally:
        catalog.close()
    fill_gpus(home, NOW, LIVE, BAD)


def _fill_in(db: Any) -> None:
    bad = {"n": BAD, "reason": "exit code 1"}
    db.execute(
        "UPDATE run SET outcome = 'failed', exit_code = 1, state = 'ended', ended_us = created_us + 60000000, "
        "name = 'broken', reason = :reason WHERE n = :n",
        bad,
    )
    db.execute("UPDATE run SET name = 'live' WHERE n = ?", (LIVE,))
    db.execute("UPDATE run SET backend = 'local', token = id || '.1' WHERE n > ?", (RUNS - 5,))
    for number in range(RUNS - 4, RUNS + 1):
        (token,) = db.execute("SELECT token FROM run WHERE n = ?", (number,)).fetchone()
        set_handle(db, number, Handle("local", token))
    fill_past(db, START_US, (BAD, LIVE))
    environment = json.dumps({"python": "3.11.2", "host": {"cpus": 2, "memory_gib": 8}, "packages": {"torch": "2.13"}})
    code = json.dumps({"commit": "4d1e" * 10, "branch": "main", "dirty": True})
    db.execute(
        "INSERT INTO detail (run, traceback, environment, code) VALUES (?, ?, ?, ?)", (BAD, TRACE, environment, code)
    )
    fill_in_environments(db)
    for number, (action, result) in enumerate(
        (("launch", "done"), ("run stop", "failed: it had ended"), ("run tag", "done"))
    ):
        at = NOW - timedelta(minutes=9 - number)
        for phase in ("begin", "end"):
            append(db, Entry(at, "ada", "gpu-07", action, "write", phase, "live", {}, result if phase == "end" else ""))


def fill_in_environments(db: Any) -> None:
    """Three releases, an environment that one of them was taken back in, and one that waits for a person."""
    needs = {"code": (Requirement(Axis.CONFIG, "threshold"),), "model": (Requirement(Axis.DATA, "schema", "==v1"),)}
    gives = {"config": {"threshold": "0.5"}, "data": {"schema": "v1"}, "env": {"torch": "2.13.0"}, "model": {}}
    releases = []
    for number in (1, 2, 3):
        labels = {"code": "commit 4d1e4d1e4d1e", "data": "churn@4", "model": f"churn@{number}", "config": "serve.toml"}
        members = {
            Axis(axis): named(
                Member(
                    Axis(axis), f"{axis}:{label}", "", label, Contract(gives.get(axis, {}), needs.get(axis, ()), True)
                )
            )
            for axis, label in {**labels, "env": "requirements.txt"}.items()
        }
        name = f"churn-v{number}"
        kept = [NewMember(member, (), "") for member in members.values()]
        releases.append(release_id(members))
        put_release(db, NewRelease(releases[-1], kept, name, "gpu-07", "ada", NOW - timedelta(days=4 - number)))
    gates = (gate_of("metric:acc>=0.9"), gate_of("http:/health"))
    for name in ("prod", "staging"):
        slot = Environment(0, name, "directory", {"path": "/srv/model"}, "elsewhere", (), name == "prod", gates, 60.0,
                           NOW - timedelta(days=5), "ada")  # fmt: skip
        put_environment(db, slot)
    done, back, automatic = RolloutState.DONE, RolloutState.ROLLED_BACK, RolloutKind.AUTOMATIC
    _moved(db, 1, releases[0], "", 0, 40, done)
    _moved(db, 1, releases[1], releases[0], 1, 20, back, message="metric:acc>=0.9: 0.81 against 0.9")
    _moved(db, 1, releases[0], releases[1], 2, 19, done, automatic, "rollout 2: metric:acc>=0.9: 0.81 against 0.9")
    _moved(db, 2, releases[2], "", 0, 1, RolloutState.VERIFYING)
    db.execute("UPDATE rollout SET held = 1, message = 'http:/health: no answer: ConnectError' WHERE environment = 2")
    seen = [releases[0], 3, True, "/srv/model/current", "generation 3 is in place", ""]
    at = round(NOW.timestamp() * 1e6) - 12_000_000
    db.execute("UPDATE environment SET observed = ?, observed_us = ? WHERE n = 1", (json.dumps(seen), at))


def _moved(
    db: Any,
    environment: int,
    release: str,
    before: str,
    generation: int,
    hours: int,
    state: RolloutState,
    kind: RolloutKind = RolloutKind.ROLLOUT,
    reason: str = "rollout",
    message: str = "gates: pass",
) -> None:
    """A rollout that went as far as that, so many hours ago."""
    at = NOW - timedelta(hours=hours)
    begun = Rollout(0, environment, ("prod", "staging")[environment - 1], kind, release, before, generation,
                    RolloutState.PLANNED, "ada", at, at)  # fmt: skip
    rollout = replace(begun, number=insert_rollout(db, begun))
    for step in (RolloutState.PREFLIGHT, RolloutState.PREPARED, RolloutState.COMMITTED, RolloutState.APPLYING,
                 RolloutState.VERIFYING, state):  # fmt: skip
        if step is RolloutState.COMMITTED:
            assert move_pointer(db, rollout, Mover("ada", "gpu-07", at, reason))
        if rollout.state is not step:
            assert enter(db, rollout, step, at, message if step is state else "")
            rollout = replace(rollout, state=step)
    answers = [["metric:acc>=0.9", "pass", "0.93 against 0.9"], ["http:/health", "pass", "it answered 200"]]
    db.execute("UPDATE rollout SET answers = ? WHERE n = ?", (json.dumps(answers), rollout.number))


@dataclass
class Stage:
    """A console and what it stands on."""

    home: Path
    settings: dict[str, Any]
    backend: Backend

    def console(self, start: Location | None = None) -> Console:
        """A new console on the catalog."""
        fixed = {"home": self.home, "user": "ada", "host": HOST, "theme": "dark", "watcher": False}
        fixed["gpus"] = str(self.home / GPUS)
        settings = Settings(**{**fixed, **self.settings})
        ctx = Context(settings, clock=lambda: NOW, backend=lambda name: self.backend, uptime=lambda: UPTIME)
        return Console(ctx, start)


def stage(home: Path, backend: Backend | None = None, **settings: Any) -> Stage:
    """A stage with a fixed catalog, which nothing changes unless ``read_only`` is False."""
    if not (home / "catalog.db").exists():
        fixed_catalog(home)
    return Stage(home, {"read_only": True, **settings}, backend or CalmBackend())


@asynccontextmanager
async def opened(app: Console, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Robot]:
    """A robot in front of a console that has read its first rows."""
    async with app.run_test(size=size) as pilot:
        user = Robot(pilot)
        await settled(user)
        yield user


async def settled(user: Robot, times: int = 3) -> None:
    """Wait until nothing that was asked for is on its way; what an answer asks for in turn takes another time."""
    app = user.app
    assert isinstance(app, Console)
    for _ in range(times):
        await user.waits(lambda: app.gpus.has_looked, "the GPUs to have been looked at")
        await user.waits(lambda: not app.reads.waiting_s and not app.doing.waiting_s, "the desks to be done")
        tables = [widget for screen in app.screen_stack for widget in screen.query("Table")]
        await user.waits(
            lambda tables=tables: all(table.is_settled for table in tables), "every table to have its rows"
        )
