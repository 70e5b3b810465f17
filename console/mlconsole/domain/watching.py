"""Who watches: one process at a time holds the lease, and says by its beats that it still does."""

from __future__ import annotations

from datetime import datetime

from mlconsole.domain.uptime import Uptime
from mlconsole.records import record

LAPSES_AFTER_S = 10.0
BEAT_EVERY_S = 2.0


@record
class Watcher:
    """One process that watches, or wants to. ``how`` is ``watch`` or ``console``; a process is known by all of it."""

    how: str
    user: str
    host: str
    boot_id: str
    pid: int
    started_ticks: int
    pid_ns: str


@record
class Beat:
    """The last sign of life of a holder.

    Attributes:
        fence: of which lease.
        count: how often it was renewed.
        at: when, by the wall clock; for people.
        awake_us: the same by the clock of the holder's boot, which nobody sets.
    """

    fence: int
    count: int
    at: datetime
    awake_us: int


@record
class Lease:
    """The watcher's lease as it stands.

    Attributes:
        fence: grows by one with each new holder; what was begun under an older one is refused.
        holder: who has it.
        since: since when.
        is_released: its holder has let go of it.
        beat: its last sign of life; that it was taken is the first.
    """

    fence: int
    holder: Watcher
    since: datetime
    is_released: bool
    beat: Beat


def has_lapsed(lease: Lease, host: str, now: Uptime, unchanged_s: float, *, is_gone: bool) -> bool:
    """True when the lease may be taken over: nobody can be renewing it.

    On the same boot of the same machine its age is measured by the clock that nobody sets. Elsewhere clocks cannot
    be compared: it lapses when its beats were watched for as long and did not move.

    Args:
        lease: as it stands.
        host: who asks.
        now: the clock of who asks.
        unchanged_s: for how long who asks has seen the same beat, by a clock of its own.
        is_gone: the holder's process is known to be gone.
    """
    if lease.is_released or is_gone:
        return True
    if _is_same_clock(lease, host, now):
        return now.awake_us - lease.beat.awake_us > LAPSES_AFTER_S * 1e6
    return unchanged_s > LAPSES_AFTER_S


def is_fresh(lease: Lease | None, host: str, now: Uptime, wall: datetime) -> bool:
    """True when a watcher was heard of within the time after which its lease lapses."""
    if lease is None or lease.is_released:
        return False
    if _is_same_clock(lease, host, now):
        return now.awake_us - lease.beat.awake_us <= LAPSES_AFTER_S * 1e6
    return abs((wall - lease.beat.at).total_seconds()) <= LAPSES_AFTER_S


def _is_same_clock(lease: Lease, host: str, now: Uptime) -> bool:
    return bool(now.boot_id) and (lease.holder.host, lease.holder.boot_id) == (host, now.boot_id)
