"""The watcher's lease: one row with a number that fences off the past, and a file that is touched to keep it.

Taking the lease is an immediate transaction; what a holder changes requires its fence in the transaction of the
change. Beats go to a file beside the catalog: an idle catalog stays unwritten, and no reader is woken by them.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mlconsole.catalog.markers import Liveness, Marker
from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime
from mlconsole.domain.watching import Beat, Lease, Watcher
from mlconsole.errors import LeaseLost

BEAT_NAME = "watcher-beat"
SELECT = """
SELECT fence, how, user, host, boot_id, pid, started_ticks, pid_ns, since_us, since_awake_us, released FROM watcher
"""
TAKE = """
INSERT INTO watcher (one, fence, how, user, host, boot_id, pid, started_ticks, pid_ns, since_us, since_awake_us)
VALUES (1, :fence, :how, :user, :host, :boot_id, :pid, :started_ticks, :pid_ns, :now, :awake)
ON CONFLICT (one) DO UPDATE
SET fence = excluded.fence, how = excluded.how, user = excluded.user, host = excluded.host,
    boot_id = excluded.boot_id, pid = excluded.pid, started_ticks = excluded.started_ticks, pid_ns = excluded.pid_ns,
    since_us = excluded.since_us, since_awake_us = excluded.since_awake_us, released = 0
"""
RELEASE = "UPDATE watcher SET released = 1 WHERE fence = :fence"
HOLDS = "SELECT 1 FROM watcher WHERE fence = :fence AND NOT released"


def take(
    db: sqlite3.Connection, me: Watcher, may_take: Callable[[Lease], bool], now: datetime, clock: Uptime
) -> int | None:
    """Take the lease where it is free or ``may_take`` it; the new fence, None where another one keeps it."""
    row = db.execute(SELECT).fetchone()
    standing = _lease(row, None) if row else None
    if standing is not None and not may_take(standing):
        return None
    fence = standing.fence + 1 if standing else 1
    values: dict[str, object] = {"fence": fence, "how": me.how, "user": storable(me.user), "host": storable(me.host)}
    values |= {"boot_id": me.boot_id, "pid": me.pid, "started_ticks": me.started_ticks, "pid_ns": me.pid_ns}
    db.execute(TAKE, {**values, "now": to_us(now), "awake": clock.awake_us})
    return fence


def release(db: sqlite3.Connection, fence: int) -> None:
    """Let go of the lease, so that the next one need not wait."""
    db.execute(RELEASE, {"fence": fence})


def require(db: sqlite3.Connection, fence: int) -> None:
    """Refuse what a watcher does whose lease another one has taken over; the first thing in a write transaction.

    Raises:
        LeaseLost: it has.
    """
    if db.execute(HOLDS, {"fence": fence}).fetchone() is None:
        raise LeaseLost("Another watcher has taken over; this one does nothing more.")


class WatchLease:
    """The lease of one catalog, as it can be seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._beat_path = store.path.with_name(BEAT_NAME)

    def standing(self) -> Lease | None:
        """The lease with its last beat; None before the first watcher."""
        rows = self._store.read(SELECT)
        return _lease(rows[0], self.last_beat()) if rows else None

    def holds(self, fence: int) -> bool:
        """True while nobody has taken over."""
        return bool(self._store.read(HOLDS, {"fence": fence}))

    def beat(self, beat: Beat) -> None:
        """Leave a sign of life. What fails here lets the lease lapse, and nothing worse."""
        text = json.dumps([beat.fence, beat.count, to_us(beat.at), beat.awake_us])
        try:
            descriptor = os.open(self._beat_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError:
            return
        try:
            os.pwrite(descriptor, text.ljust(100).encode() + b"\n", 0)
        except OSError:
            return
        finally:
            os.close(descriptor)

    def last_beat(self) -> Beat | None:
        """The last sign of life that can be read."""
        try:
            fence, count, at_us, awake_us = json.loads(self._beat_path.read_bytes())
            return Beat(int(fence), int(count), moment(int(at_us)) or EPOCH, int(awake_us))
        except (OSError, ValueError, TypeError):
            return None


def is_gone(holder: Watcher) -> bool:
    """True when the process of a watcher is known to be gone."""
    who = (holder.pid, holder.started_ticks, holder.boot_id, holder.host, holder.pid_ns)
    return Liveness().why_gone(Marker(Path(), "", "", *who)) is not None


def _lease(row: Row, beat: Beat | None) -> Lease:
    fence, how, user, host, boot_id, pid, ticks, pid_ns, since_us, awake_us, released = row
    holder = Watcher(str(how), str(user), str(host), str(boot_id), pid, ticks, str(pid_ns))
    since = moment(since_us) or EPOCH
    if beat is None or beat.fence != fence:
        beat = Beat(fence, 0, since, awake_us)
    return Lease(fence, holder, since, bool(released), beat)
