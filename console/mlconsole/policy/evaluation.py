"""Works through the event stream: each event once, in one transaction with what comes of it."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from mlconsole.actions.context import Context
from mlconsole.catalog.alerts import cursor, move_cursor, tell, wake_due
from mlconsole.catalog.event_stream import after
from mlconsole.catalog.watch_lease import require
from mlconsole.policy.sources.happenings import signal_of

NAME = "evaluation"
AT_ONCE = 200
TOO_OLD = timedelta(days=1)
"""What happened longer ago than that, as in run logs that were just found, raises no alert and fires no policy."""


def evaluate(ctx: Context, fence: int) -> int:
    """Take in what has happened since the last time; returns how many events that were."""
    total = 0
    while ctx.catalog.events.last() > ctx.catalog.alerts.cursor(NAME):
        done = ctx.catalog.write(lambda db: _some(db, ctx, fence))
        if not done:
            break
        total += done
    if ctx.catalog.alerts.snoozes_due(ctx.clock()):
        ctx.catalog.write(lambda db: _wake(db, ctx, fence))
    return total


def _some(db: sqlite3.Connection, ctx: Context, fence: int) -> int:
    require(db, fence)
    now = ctx.clock()
    events = after(db, cursor(db, NAME) or 0, AT_ONCE)
    for event in events:
        signal = signal_of(event) if now - event.at <= TOO_OLD else None
        if signal is not None:
            tell(db, signal, now)
    if events:
        move_cursor(db, NAME, events[-1].number)
    return len(events)


def _wake(db: sqlite3.Connection, ctx: Context, fence: int) -> None:
    require(db, fence)
    wake_due(db, ctx.clock())
