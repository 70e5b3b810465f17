"""What an action works with: settings, clock, catalog, backends, and the audit row of the action under way."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from mlconsole.actions.uptime import uptime
from mlconsole.catalog import Catalog
from mlconsole.config import Settings

if TYPE_CHECKING:
    from mlconsole.catalog import audit as audit_log
    from mlconsole.domain.gpu import GpuSnapshot
    from mlconsole.domain.uptime import Uptime
    from mlconsole.plugin_api import Backend, Target

SAID_AGAIN_S = 3600.0
GPU_LOOK_S, GPU_HANGS_S = 15.0, 5.0
T = TypeVar("T")


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def load_backend(name: str) -> Backend:
    """The installed backend of that name; see :func:`mlconsole.backends.one`."""
    from mlconsole import backends  # 8 ms, for commands that need one

    return backends.one(name)


def load_target(name: str) -> Target:
    """The installed target of that name; see :func:`mlconsole.targets.one`."""
    from mlconsole import targets  # 8 ms, for commands that deploy

    return targets.one(name)


def look_at_gpus(host: str, home: Path) -> GpuSnapshot:
    """One look at this machine's GPUs; after seconds one that hangs is left out, and a driver that does is told.

    ``home`` is where it is remembered which GPU hung.
    """
    from mlconsole.telemetry.hangs import Hangs
    from mlconsole.telemetry.sampler import Sampler, Timing  # 12 ms, for commands about GPUs

    sampler = Sampler(host, Timing(first_turn_s=GPU_HANGS_S), hangs=Hangs(home, uptime)).start()
    try:
        return sampler.wait(GPU_LOOK_S)
    finally:
        sampler.stop()


class Journal:
    """The audit row of the action under way: written with the action's first change.

    ``note`` says what came of it, beside that it was done.
    """

    def __init__(self, action: str, effect: str, target: str, params: Mapping[str, object]) -> None:
        self.action = action
        self.effect = effect
        self.target = target
        self.params = params
        self.begun = False
        self.note = ""


class Cause(Protocol):
    """On whose behalf something is changed, where that is no person: named in the audit log, asked at each change.

    ``why`` stands with its name there; empty where what it did is told elsewhere.
    """

    actor: str
    why: str

    def wrap(self, change: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """The change with what has to be true before it, and what has to be noted after it."""
        ...


class Context:
    """One front end's session.

    Attributes:
        settings: what this process was told.
        clock: gives the present moment, UTC.
        backend: loads a backend by name.
        gpus: looks at the GPUs of this machine, by its host's name.
        target: loads a target by name.
        uptime: gives which boot of this machine this is, and for how long.
        say: tells the person something that is not data.
        cancelled: set when the person no longer wants the answer.
        journal: the audit row of the action under way, None outside one.
        session: the context that this one shares its catalog with, None for the session's own.
        cause: on whose behalf it changes something; None for the person's own.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], datetime] = utc_now,
        backend: Callable[[str], Backend] = load_backend,
        say: Callable[[str], None] = lambda text: None,
        cancelled: threading.Event | None = None,
        journal: Journal | None = None,
        session: Context | None = None,
        gpus: Callable[[str], GpuSnapshot] | None = None,
        target: Callable[[str], Target] = load_target,
        cause: Cause | None = None,
        uptime: Callable[[], Uptime] = uptime,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.backend = backend
        self.say = say
        self.cancelled = cancelled or threading.Event()
        self.journal = journal
        self.session = session
        self.gpus = gpus or partial(look_at_gpus, home=settings.home)
        self.target = target
        self.cause = cause
        self.uptime = uptime

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog, opened when first needed."""
        if self.session is not None:
            return self.session.catalog
        settings = self.settings
        return Catalog(
            settings.home, user=settings.user, read_only=settings.read_only, on_network=settings.network_home
        )

    @property
    def has_catalog(self) -> bool:
        """True when there is a catalog: asking for it would not make one."""
        return self.settings.database.exists()

    def on(self, settings: Settings) -> Context:
        """A session like this one with other settings; its catalog is its own to close."""
        return Context(
            settings,
            self.clock,
            self.backend,
            self.say,
            self.cancelled,
            gpus=self.gpus,
            target=self.target,
            uptime=self.uptime,
        )

    def for_action(self, journal: Journal) -> Context:
        """The same session with an audit row of its own; the catalog is shared."""
        return self._sharing(self.cancelled, journal=journal, cause=self.cause)

    def caused_by(self, cause: Cause) -> Context:
        """The same session for something that is done on behalf of no person."""
        return self._sharing(self.cancelled, cause=cause)

    def beside(self, cancelled: threading.Event | None = None) -> Context:
        """A session on the same catalog for somebody who works next to the person, who may have an end of its own."""
        return self._sharing(cancelled or self.cancelled)

    def seldom(self, clock_s: Callable[[], float] = time.monotonic) -> Context:
        """A session for who looks again and again: the same words are said once an hour, not at every look."""
        made, said = self._sharing(self.cancelled), dict[str, float]()

        def say(text: str) -> None:
            now_s = clock_s()
            for old in [each for each, at_s in said.items() if now_s - at_s >= SAID_AGAIN_S]:
                del said[old]
            if text not in said:
                said[text] = now_s
                self.say(text)

        made.say = say
        return made

    def _sharing(
        self, cancelled: threading.Event, *, journal: Journal | None = None, cause: Cause | None = None
    ) -> Context:
        return Context(
            self.settings,
            clock=self.clock,
            backend=self.backend,
            say=self.say,
            cancelled=cancelled,
            journal=journal,
            session=self,
            gpus=self.gpus,
            target=self.target,
            cause=cause,
            uptime=self.uptime,
        )

    def write(self, change: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Change the catalog in one transaction; the first one of an action carries its audit row."""
        journal, cause = self.journal, self.cause
        if journal is None or journal.begun:
            return self.catalog.write(cause.wrap(change) if cause else change, durable=durable)

        from mlconsole.catalog import audit as audit_log  # 1 ms, where something changes

        def with_audit(db: sqlite3.Connection) -> T:
            audit_log.append(db, self.entry(journal, "begin", ""))
            return change(db)

        result = self.catalog.write(cause.wrap(with_audit) if cause else with_audit, durable=True)
        journal.begun = True
        return result

    @property
    def actor(self) -> str:
        """Who changes something: the person, or the rule on whose behalf it is done."""
        return self.cause.actor if self.cause else self.settings.user

    def entry(self, journal: Journal, phase: str, result: str) -> audit_log.Entry:
        """An audit entry of this session for the action under way."""
        from mlconsole.catalog import audit as audit_log  # 1 ms, where something changes

        why = {"why": self.cause.why} if self.cause and self.cause.why else {}
        return audit_log.Entry(
            at=self.clock(),
            actor=self.actor,
            host=self.settings.host,
            action=journal.action,
            effect=journal.effect,
            phase=phase,
            target=journal.target,
            params={**journal.params, **why},
            result=result,
        )

    def let_go(self) -> None:
        """Close the catalog for the whole session; the next use opens what is in its place then."""
        if self.session is not None:
            self.session.let_go()
        self.close()
        self.__dict__.pop("catalog", None)

    def close(self) -> None:
        """Close the catalog if it was opened."""
        if "catalog" in self.__dict__:
            self.catalog.close()
