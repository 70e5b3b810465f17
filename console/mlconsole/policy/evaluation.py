"""Works through the event stream: each event once, in one transaction with what comes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta

from mlconsole.actions.context import Context
from mlconsole.actions.uptime import uptime
from mlconsole.catalog.alerts import cursor, move_cursor, tell, wake_due
from mlconsole.catalog.event_stream import after
from mlconsole.catalog.policies import armed
from mlconsole.catalog.watch_lease import require
from mlconsole.domain.uptime import Uptime
from mlconsole.policy.deciding import consider, slots_between, strike
from mlconsole.policy.sources.happenings import signal_of

NAME = "evaluation"
AT_ONCE = 200
TOO_OLD = timedelta(days=1)
"""What happened longer ago than that, as in run logs that were just found, raises no alert and fires no policy."""


def evaluate(ctx: Context, fence: int, boot_clock: Callable[[], Uptime] = uptime) -> int:
    """Take in what has happened since the last time; returns how many events that were."""
    total = 0
    while ctx.catalog.events.last() > ctx.catalog.alerts.cursor(NAME):
        done = ctx.catalog.write(lambda db: _some(db, ctx, fence, boot_clock))
        if not done:
            break
        total += done
    if ctx.catalog.alerts.snoozes_due(ctx.clock()):
        ctx.catalog.write(lambda db: _wake(db, ctx, fence))
    return total


def _some(db: sqlite3.Connection, ctx: Context, fence: int, boot_clock: Callable[[], Uptime]) -> int:
    require(db, fence)
    now, clock = ctx.clock(), boot_clock()
    events = after(db, cursor(db, NAME) or 0, AT_ONCE)
    rules = armed(db) if events else []
    for event in events:
        signal = signal_of(event) if now - event.at <= TOO_OLD else None
        if signal is not None:
            tell(db, signal, now)
        for rule in rules:
            consider(db, rule, event, (now, clock))
    if events:
        move_cursor(db, NAME, events[-1].number)
    return len(events)


def strike_clocks(ctx: Context, fence: int, boot_clock: Callable[[], Uptime] = uptime) -> None:
    """Look at the policies that have a clock of their own."""
    now = ctx.clock()
    if any(slots_between(each.policy, each.cron_at, now) for each in ctx.catalog.policies.clocks()):
        ctx.catalog.write(lambda db: _strike(db, ctx, fence, boot_clock))


def _strike(db: sqlite3.Connection, ctx: Context, fence: int, boot_clock: Callable[[], Uptime]) -> None:
    require(db, fence)
    for each in armed(db):
        if each.policy.cron:
            strike(db, each, (ctx.clock(), boot_clock()))


def _wake(db: sqlite3.Connection, ctx: Context, fence: int) -> None:
    require(db, fence)
    wake_due(db, ctx.clock())
