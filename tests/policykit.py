"""A session whose clocks are moved by hand: the wall, which anybody may set, and the boot's, which nobody sets."""

from __future__ import annotations

import os
import sqlite3
import tomllib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from catalogkit import NOW
from fakes.backends import CalmBackend
from mlconsole.actions.context import Context
from mlconsole.actions.uptime import uptime
from mlconsole.catalog import Catalog
from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.policies import put_policy
from mlconsole.catalog.rows import EPOCH
from mlconsole.config import Machine, Settings
from mlconsole.domain.policies import FiringState, Policy
from mlconsole.domain.uptime import Uptime
from mlconsole.domain.watching import Watcher
from mlconsole.plugin_api import Backend
from mlconsole.policy.carrying_out import carry_out, look_at_waiting, settle_begun
from mlconsole.policy.evaluation import evaluate, strike_clocks
from mlconsole.policy.leadership import Leadership, this_process
from mlconsole.policy.rules import of_table


@dataclass
class Clock:
    """A wall clock and a boot clock."""

    now: datetime = NOW
    awake_s: float = 1000.0
    boot_id: str = "boot-1"

    def __call__(self) -> datetime:
        return self.now

    def boot(self) -> Uptime:
        return Uptime(self.boot_id, round(self.awake_s * 1e6))

    def passes(self, **parts: float) -> None:
        """Time goes by, on both."""
        passed = timedelta(**parts)
        self.now += passed
        self.awake_s += passed.total_seconds()

    def is_set(self, **parts: float) -> None:
        """Somebody sets the wall clock."""
        self.now += timedelta(**parts)


@dataclass
class Desk:
    """One console's session on a catalog, and what it said."""

    home: Path
    clock: Clock
    backend: Backend = field(default_factory=CalmBackend)
    said: list[str] = field(default_factory=list)
    machine: Machine | None = None

    def __post_init__(self) -> None:
        self.settings = Settings(self.home, "ann", "gpu-1", machine=self.machine)
        self.ctx = self.session()

    def session(self) -> Context:
        """Another session on the same catalog."""
        return Context(self.settings, clock=self.clock, backend=lambda name: self.backend, say=self.said.append)

    @property
    def catalog(self) -> Catalog:
        return self.ctx.catalog

    def process(self, pid: int | None = None) -> Watcher:
        """A watching process; this one unless told otherwise."""
        mine = this_process(self.ctx, "watch")
        return Watcher("watch", "ann", "gpu-1", self.clock.boot_id, pid or os.getpid(), mine.started_ticks, mine.pid_ns)

    def dead_process(self) -> Watcher:
        """A process of this machine that is gone for certain."""
        return replace(self.process(), host=os.uname().nodename, boot_id=uptime().boot_id, started_ticks=1)

    def arm(self, text: str, by: str = "ann") -> list[Policy]:
        """Arm the policies of a file's text; all of them must be sound."""
        policies, problems = of_table(tomllib.loads(text), text, "/lab/policies.toml")
        assert problems == []

        def change(db: sqlite3.Connection) -> None:
            for policy in policies:
                put_policy(db, replace(policy, file=""), by, self.clock.now)

        self.catalog.write(change)
        return policies

    def work(self, leader: Leadership, me: Watcher | None = None) -> None:
        """One round of a watcher: events, clocks, and every firing that is due, one after the other."""
        assert leader.keep() and leader.fence is not None
        evaluate(self.ctx, leader.fence, self.clock.boot)
        strike_clocks(self.ctx, leader.fence, self.clock.boot)
        settle_begun(self.ctx, leader.fence, frozenset())
        look_at_waiting(self.ctx, leader.fence)
        policies = {policy.name: policy for policy in self.catalog.policies.armed()}
        for firing in self.catalog.firings.in_state(FiringState.DUE):
            carry_out(self.ctx, firing, policies[firing.policy], me or leader.me, leader.fence)

    def states(self) -> list[str]:
        """The states of all firings, the oldest first."""
        return [firing.state.value for firing in reversed(self.catalog.firings.since(EPOCH, 10_000))]

    def add_dataset(self, name: str, version: int = 1) -> None:
        """Tell of a new dataset."""
        data = {"dataset": name, "version": version, "label": f"{name}@{version}", "path": f"/data/{name}"}
        self.catalog.write(lambda db: emit(db, "dataset.added", f"dataset:{name}@{version}", data, self.clock.now))

    def claim(self, who: Watcher | None = None) -> Leadership:
        """Somebody who wants the lease."""
        return Leadership(self.session(), who or self.process(), self.clock.boot, lambda: self.clock.awake_s)

    def close(self) -> None:
        self.ctx.close()
