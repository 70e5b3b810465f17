"""A console for tests: a catalog whose runs never change, a clock that stands still, a backend that runs nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lineagekit import fill_past
from robot import Robot

from benchmarks.synthetic import START_US, make
from fakes.backends import CalmBackend
from mlconsole.actions.context import Context
from mlconsole.catalog import Catalog
from mlconsole.catalog.audit import Entry, append
from mlconsole.catalog.observations import set_handle
from mlconsole.config import Settings
from mlconsole.plugin_api import Backend, Handle
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location

RUNS = 40
BEGUN = datetime.fromtimestamp(START_US / 1e6, UTC)
NOW = BEGUN + timedelta(minutes=RUNS, seconds=30)
LIVE, BAD = 40, 33
"""Numbers of a running run and of a failed one."""
TRACE = 'Traceback (most recent call last):\n  File "train.py", line 12, in <module>\nValueError: loss is nan\n'


def fixed_catalog(home: Path) -> None:
    """Make a catalog of forty runs, the newest five of them running, with curves, a reason and an audit trail."""
    make(home, RUNS, histories=8)
    catalog = Catalog(home)
    try:
        catalog.write(_fill_in)
    finally:
        catalog.close()


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
    for number, (action, result) in enumerate(
        (("launch", "done"), ("run stop", "failed: it had ended"), ("run tag", "done"))
    ):
        at = NOW - timedelta(minutes=9 - number)
        for phase in ("begin", "end"):
            append(db, Entry(at, "ada", "gpu-07", action, "write", phase, "live", {}, result if phase == "end" else ""))


@dataclass
class Stage:
    """A console and what it stands on."""

    home: Path
    settings: dict[str, Any]
    backend: Backend

    def console(self, start: Location | None = None) -> Console:
        """A new console on the catalog."""
        fixed = {"home": self.home, "user": "ada", "host": "gpu-07", "theme": "dark"}
        settings = Settings(**{**fixed, **self.settings})
        return Console(Context(settings, clock=lambda: NOW, backend=lambda name: self.backend), start)


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


async def settled(user: Robot) -> None:
    """Wait until nothing that was asked for is on its way."""
    app = user.app
    assert isinstance(app, Console)
    for _ in range(3):
        await user.waits(lambda: not app.reads.waiting_s and not app.doing.waiting_s, "the desks to be done")
        tables = [widget for screen in app.screen_stack for widget in screen.query("Table")]
        await user.waits(
            lambda tables=tables: all(table.is_settled for table in tables), "every table to have its rows"
        )
