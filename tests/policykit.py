"""A session whose clocks are moved by hand: the wall, which anybody may set, and the boot's, which nobody sets."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from catalogkit import NOW
from fakes.backends import CalmBackend
from mlconsole.actions.context import Context
from mlconsole.catalog import Catalog
from mlconsole.config import Settings
from mlconsole.domain.uptime import Uptime
from mlconsole.domain.watching import Watcher
from mlconsole.plugin_api import Backend
from mlconsole.policy.leadership import Leadership, this_process


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

    def __post_init__(self) -> None:
        self.settings = Settings(self.home, "ann", "gpu-1")
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

    def claim(self, who: Watcher | None = None) -> Leadership:
        """Somebody who wants the lease."""
        return Leadership(self.session(), who or self.process(), self.clock.boot, lambda: self.clock.awake_s)

    def close(self) -> None:
        self.ctx.close()
