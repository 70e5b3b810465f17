"""``watch``: do what is due and evaluate, in the foreground, until told to stop."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from mlconsole.actions.base import Action
from mlconsole.actions.context import Context
from mlconsole.domain.events import Event
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Updates
from mlconsole.policy.watcher import Watch

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class WatchParams:
    """Nothing to be said."""


def plan_watch(ctx: Context, params: WatchParams) -> Plan:
    """What watching means."""
    steps = (
        Step("take the watcher's lease, or wait until it is free", str(ctx.settings.home)),
        Step("bring run logs in, look at live runs, do what is due: teardowns, ends, costs", ctx.settings.host),
        Step("evaluate what has happened until told to stop", str(ctx.settings.home)),
    )
    return Plan("watch", Effect.WRITE, steps, command=shlex.join(["mlconsole", "watch"]))


def watch(ctx: Context, params: WatchParams) -> Updates:
    """Watch until told to stop; every event is a line."""
    if ctx.journal is not None:
        ctx.journal.note = "it began to watch"
    return Updates(_events(ctx))


def _events(ctx: Context) -> Iterator[Event]:
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            signal.signal(number, lambda *_: ctx.cancelled.set())
    yield from Watch(ctx, "watch").run(ctx.cancelled)


WATCH = Action("watch", "Do what is due and evaluate, until told to stop", WatchParams, Effect.WRITE, watch, plan_watch)
