"""Being the one who watches: taking the lease, keeping it, noticing that it is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mlconsole.actions.context import Context
from mlconsole.actions.uptime import uptime
from mlconsole.catalog.watch_lease import is_gone, release, take
from mlconsole.domain.uptime import Uptime
from mlconsole.domain.watching import BEAT_EVERY_S, Beat, Lease, Watcher, has_lapsed


def this_process(ctx: Context, how: str) -> Watcher:
    """This process, as the lease names it."""
    with open("/proc/self/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    pid_ns = os.readlink("/proc/self/ns/pid")
    return Watcher(how, ctx.settings.user, ctx.settings.host, uptime().boot_id, os.getpid(), ticks, pid_ns)


@dataclass
class Leadership:
    """One process's claim to the lease.

    Attributes:
        ctx: the session.
        me: this process.
        boot_clock: the clock of this boot, which nobody sets and which goes on in sleep.
        clock_s: a clock of this process that never jumps.
        fence: the number of the lease that is held; None while another one watches.
    """

    ctx: Context
    me: Watcher
    boot_clock: Callable[[], Uptime] = uptime
    clock_s: Callable[[], float] = time.monotonic
    fence: int | None = None
    _count: int = 0
    _beaten_us: int = 0
    _seen: tuple[int, int] = (0, 0)
    _seen_s: float = field(default=0.0)

    def keep(self) -> bool:
        """Take the lease or renew it; True while it is held. Called at least every two seconds."""
        if self.fence is None:
            return self._take()
        late_s = (self.boot_clock().awake_us - self._beaten_us) / 1e6
        if late_s >= BEAT_EVERY_S:
            # One that was stopped for longer than its lease looks first whether another one has taken over.
            if not self.ctx.catalog.lease.holds(self.fence):
                self.fence = None
                return False
            self._beat()
        return True

    def _take(self) -> bool:
        standing = self.ctx.catalog.lease.standing()
        if standing is not None and not self._may_take(standing):
            return False
        now, clock = self.ctx.clock(), self.boot_clock()
        # Between the look and the transaction another one may have taken it: then the fence has moved on.
        expected = standing.fence if standing else 0
        self.fence = self.ctx.catalog.write(
            lambda db: take(db, self.me, lambda lease: lease.fence == expected, now, clock), durable=True
        )
        if self.fence is None:
            return False
        self._count = 0
        self._beat()
        return True

    def _may_take(self, lease: Lease) -> bool:
        beat = (lease.fence, lease.beat.count)
        if beat != self._seen:
            self._seen, self._seen_s = beat, self.clock_s()
        unchanged_s = self.clock_s() - self._seen_s
        return has_lapsed(lease, self.me.host, self.boot_clock(), unchanged_s, is_gone=is_gone(lease.holder))

    def _beat(self) -> None:
        assert self.fence is not None
        clock = self.boot_clock()
        self._count += 1
        self._beaten_us = clock.awake_us
        self.ctx.catalog.lease.beat(Beat(self.fence, self._count, self.ctx.clock(), clock.awake_us))

    def let_go(self) -> None:
        """Give the lease back, if it is held."""
        fence, self.fence = self.fence, None
        if fence is not None:
            self.ctx.catalog.write(lambda db: release(db, fence))
