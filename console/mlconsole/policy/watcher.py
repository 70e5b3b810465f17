"""The watcher: whoever holds the lease brings the catalog up to date, does what is due, and evaluates.

Killing it at any point loses nothing: what it works on stands in the catalog, and the next one goes on from there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from mlconsole import notifiers
from mlconsole.actions.context import Context
from mlconsole.actions.gpu import watch as watch_gpus
from mlconsole.actions.monitor_check import check_due
from mlconsole.actions.settling import settle_now
from mlconsole.actions.sync import ingest, observe_live
from mlconsole.actions.turns import start_due
from mlconsole.domain.events import Event
from mlconsole.domain.gpu import DriverState
from mlconsole.domain.times import parse_duration
from mlconsole.domain.watching import Watcher
from mlconsole.errors import MlconsoleError
from mlconsole.policy import telling
from mlconsole.policy.duties import Duties, Duty
from mlconsole.policy.evaluation import evaluate, strike_clocks
from mlconsole.policy.idling import Idling
from mlconsole.policy.leadership import Leadership, this_process
from mlconsole.policy.office import Office
from mlconsole.policy.sources import budgets, environments, gpus, runs
from mlconsole.policy.sources.base import take_in
from mlconsole.policy.sources.endpoints import Endpoint

TICK_S = 0.5
INGEST_S = 1.0
OBSERVE_S = 1.5
SETTLE_S = 60.0
EVALUATE_S = 0.5
LOOK_S = 5.0
ASK_S = 15.0
DEVICE_FILES = ("/dev/nvidiactl", "/dev/dxg")
GPU_LOOK_S = 2.0
GPUS_AGAIN_S = 600.0
NOTHING_TO_LOOK_AT = (DriverState.NO_DRIVER, DriverState.NO_GPU)


def may_have_gpus() -> bool:
    """False on a machine without an NVIDIA driver's device files: nobody need start a process to ask."""
    return any(os.path.exists(path) for path in DEVICE_FILES)


@dataclass
class Term:
    """One time of holding the lease: the duties that go on meanwhile."""

    ctx: Context
    fence: int
    me: Watcher
    keeps_fresh: bool
    duties: Duties = field(init=False)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.duties = Duties(self.ctx.say)
        self.duties.start(self._duties())

    def _duties(self) -> list[Duty]:
        ctx = self.ctx
        office = Office(ctx, self.fence, self.me, self.stopped.is_set)
        quiet = ctx.seldom()
        fresh = [Duty("logs", lambda: ingest(quiet), INGEST_S), Duty("jobs", lambda: self._observe(quiet), OBSERVE_S)]
        return [
            *(fresh if self.keeps_fresh else []),
            Duty("events", self._evaluate, EVALUATE_S),
            Duty("clocks", lambda: strike_clocks(ctx, self.fence), EVALUATE_S),
            Duty("policies", office.round, EVALUATE_S),
            Duty("runs", lambda: take_in(ctx, self.fence, runs.PREFIXES, runs.look(ctx)), LOOK_S),
            Duty("budgets", lambda: take_in(ctx, self.fence, budgets.PREFIXES, budgets.look(ctx)), LOOK_S),
            Duty("monitors", lambda: check_due(ctx), LOOK_S),
            Duty(
                "environments", lambda: take_in(ctx, self.fence, environments.PREFIXES, environments.look(ctx)), LOOK_S
            ),
            *(self._asks(Endpoint(name, options)) for name, options in ctx.settings.endpoints.items()),
            *telling.duties(ctx, self.fence, notifiers.one),
            *([Duty("gpus", self._look_at_gpus, GPUS_AGAIN_S)] if self.keeps_fresh or may_have_gpus() else []),
            Duty("costs", lambda: settle_now(ctx, ctx.clock()), SETTLE_S),
        ]

    def _observe(self, quiet: Context) -> None:
        """Look at the live jobs; what ended is evaluated at once."""
        observe_live(quiet)
        self.duties.wake("events")

    def _evaluate(self) -> None:
        """Take in what has happened; what fires is begun at once."""
        if evaluate(self.ctx, self.fence):
            self.duties.wake("policies")

    def _asks(self, endpoint: Endpoint) -> Duty:
        every_s = parse_duration(str(endpoint.options.get("every", ""))) or ASK_S

        def ask() -> None:
            signal = endpoint.look()
            take_in(self.ctx, self.fence, (), [signal])

        return Duty(f"endpoint {endpoint.name}", ask, max(1.0, every_s))

    def _look_at_gpus(self) -> None:
        """Look as long as there are GPUs to look at; a machine without any is asked again after a while."""
        looked_s = float("-inf")
        idling = Idling(self.ctx, self.fence)
        for report in watch_gpus(self.ctx.beside(self.stopped), GPU_LOOK_S):
            if report.snapshot.state in NOTHING_TO_LOOK_AT:
                return
            if time.monotonic() - looked_s >= LOOK_S and report.snapshot.state.has_readings:
                looked_s = time.monotonic()
                seen = gpus.signals(report)
                if self.ctx.settings.idle == "off":
                    seen = [signal for signal in seen if not signal.cause.startswith(gpus.IDLE_PREFIX)]
                take_in(self.ctx, self.fence, gpus.PREFIXES, seen)
                idling.take(report)

    def end(self) -> None:
        """Stop the duties."""
        self.stopped.set()
        self.duties.stop()


class Watch:
    """A process that watches, or waits to.

    Args:
        ctx: the session.
        how: ``watch`` or ``console``.
        keeps_fresh: it also ingests run logs and looks at live jobs; an open console does that anyway.
    """

    def __init__(self, ctx: Context, how: str, *, keeps_fresh: bool = True) -> None:
        self._ctx = ctx.beside()
        self._keeps_fresh = keeps_fresh
        self.leadership = Leadership(self._ctx, this_process(ctx, how))
        self._term: Term | None = None
        self._has_said = False
        self._own_at_s = 0.0

    @property
    def leads(self) -> bool:
        """True while this process holds the lease."""
        return self._term is not None

    def step(self) -> None:
        """Keep or try for the lease; do what leading means."""
        led = self.leads
        if not self.leadership.keep():
            self._end_term()
            self._say_who(led)
            self._start_own()
            return
        assert self.leadership.fence is not None
        if self._term is None or self._term.fence != self.leadership.fence:
            self._end_term()
            self._term = Term(self._ctx, self.leadership.fence, self.leadership.me, self._keeps_fresh)
            self._ctx.say("Watching.")

    def _end_term(self) -> None:
        if self._term is not None:
            self._term.end()
            self._term = None

    def _start_own(self) -> None:
        """Start this user's runs whose turn has come: only processes of theirs can, whoever watches."""
        if not self._keeps_fresh or time.monotonic() < self._own_at_s:
            return
        self._own_at_s = time.monotonic() + OBSERVE_S
        with suppress(MlconsoleError):
            if self._ctx.catalog.queue.anything(self._ctx.settings.host)[0]:
                start_due(self._ctx)

    def _say_who(self, led: bool) -> None:
        """Say once who watches instead."""
        if self._has_said and not led:
            return
        self._has_said = True
        standing = self._ctx.catalog.lease.standing()
        if standing is not None:
            who = standing.holder
            self._ctx.say(
                f"{who.user}@{who.host} watches (process {who.pid}, {who.how}); this one takes over after it."
            )

    def run(self, stopped: threading.Event) -> Iterator[Event]:
        """Watch until told to stop; gives the events that are noted meanwhile."""
        seen = self._ctx.catalog.events.last()
        try:
            while not stopped.is_set():
                self.step()
                for event in self._ctx.catalog.events.after(seen):
                    seen = event.number
                    yield event
                stopped.wait(TICK_S)
        finally:
            self._end_term()
            self.leadership.let_go()
