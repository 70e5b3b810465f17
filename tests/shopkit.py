"""Environments for tests: releases of a few bytes, a real directory target, and processes that kill themselves."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from mlconsole.actions.context import Context, Journal, load_target
from mlconsole.actions.environments import CREATE as CREATE_ENVIRONMENT
from mlconsole.actions.environments import CreateParams
from mlconsole.actions.execute import execute
from mlconsole.actions.looking import look
from mlconsole.actions.release import CREATE as CREATE_RELEASE
from mlconsole.actions.release import CreateParams as ReleaseParams
from mlconsole.actions.rollout import ROLLOUT, RolloutParams
from mlconsole.actions.rollouts import carry_on_due, give_back_others
from mlconsole.config import Settings
from mlconsole.domain.environments import Environment
from mlconsole.domain.releases import Release
from mlconsole.domain.rollouts import RolloutPage
from mlconsole.domain.targets import TargetObservation, TargetOrder
from mlconsole.errors import MlconsoleError
from mlconsole.plugin_api import Target

T = TypeVar("T")
HOST = os.uname().nodename
#: What changes something outside and is audited by the interpreter; see the table of audit events in its manual.
WATCHED = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "shutil.rmtree", "fcntl.flock"}


@dataclass
class Shop:
    """A catalog with releases and one environment, as one person on this machine uses it.

    Attributes:
        folder: where all of it is.
        ahead: how far its clock is ahead of the machine's.
        said: what was told to the person.
    """

    folder: Path
    user: str = "ann"
    ahead: timedelta = timedelta()
    said: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Where the environment is deployed to."""
        return self.folder / "live"

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def context(self, kind: type[Context] = Context, target: Callable[[str], Target] = load_target) -> Context:
        settings = Settings(self.folder / "home", self.user, HOST)
        return kind(settings, self.now, say=self.said.append, target=target)

    def release(self, name: str, parts: Mapping[str, str] | None = None) -> Release:
        """Make a release whose code, or given parts, hold a text."""
        given = {}
        for part, text in (parts or {"code": name}).items():
            folder = self.folder / "sources" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{part}.json").write_text(text)
            given[part] = str(folder / f"{part}.json")
        ctx = self.context()
        made = execute(ctx, CREATE_RELEASE, ReleaseParams(name=name, **given))  # type: ignore[arg-type]
        ctx.close()
        assert isinstance(made, Release)
        return made

    def environment(self, name: str = "prod", **params: object) -> None:
        """Make an environment on a directory."""
        ctx = self.context()
        execute(ctx, CREATE_ENVIRONMENT, CreateParams(name, f"directory:{self.place}", **params))  # type: ignore[arg-type]
        ctx.close()

    def rollout(self, release: str, **params: object) -> RolloutPage:
        """Roll out, to the end."""
        ctx = self.context()
        try:
            done = execute(ctx, ROLLOUT, RolloutParams("prod", release, **params), confirmed=True)  # type: ignore[arg-type]
        finally:
            ctx.close()
        assert isinstance(done, RolloutPage)
        return done

    def settle(self) -> Environment:
        """Look again and again, as any command does, until nothing is under way; what is live then."""
        ctx = self.context()
        try:
            for _ in range(100):
                carry_on_due(ctx)
                if not ctx.catalog.rollouts.open():
                    break
                self.ahead += timedelta(minutes=2)
            assert ctx.catalog.rollouts.open() == []
            seen = look(ctx, ctx.catalog.environments.get("prod"))
            give_back_others(ctx, seen)
            return seen
        finally:
            ctx.close()

    def check(self) -> None:
        """What must hold whenever nothing is under way: pointer, history, audit, outbox and target agree."""
        seen = self.settle()
        ctx = self.context()
        generation = seen.pointer.generation
        moves = [move.generation for move in ctx.catalog.environments.moves(seen.number)]
        audited = [r.params["generation"] for r in ctx.catalog.audit.newest(1 << 30) if r.action == "env move"]
        assert moves == audited == list(range(generation, 0, -1))
        assert ctx.catalog.audit.first_bad() is None
        assert (seen.observed.release_id, seen.observed.generation) == (seen.pointer.release_id, generation)
        assert seen.observed.healthy is True and not seen.drift
        assert ctx.catalog.environments.deployed(seen.number) == [(generation, seen.pointer.release_id)]
        ctx.close()
        assert [path.name for path in (self.place / "generations").iterdir()] == [f"{generation:06}"]
        with sqlite3.connect(self.folder / "home" / "catalog.db") as db:
            (waiting,) = db.execute("SELECT count(*) FROM outbox WHERE delivered_us IS NULL").fetchone()
        assert waiting == 0


class Fuse:
    """Kills this process at the n-th tick; 0 never."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.ticks = 0

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class FusedTarget:
    """The installed target, with a tick before and after every verb."""

    def __init__(self, name: str, fuse: Fuse) -> None:
        self.name = name
        self._target, self._fuse = load_target(name), fuse

    def _do(self, verb: Callable[[TargetOrder], None], order: TargetOrder) -> None:
        self._fuse.tick()
        verb(order)
        self._fuse.tick()

    def prepare(self, order: TargetOrder) -> None:
        self._do(self._target.prepare, order)

    def activate(self, order: TargetOrder) -> None:
        self._do(self._target.activate, order)

    def release(self, order: TargetOrder) -> None:
        self._do(self._target.release, order)

    def observe(self, environment: str, settings: Mapping[str, str], state_dir: Path) -> TargetObservation:
        self._fuse.tick()
        return self._target.observe(environment, settings, state_dir)


def fused_context(fuse: Fuse) -> type[Context]:
    """A session with a tick before and after every transaction."""

    class Fused(Context):
        def write(self, change: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
            fuse.tick()
            result = super().write(change, durable=durable)
            fuse.tick()
            return result

        def for_action(self, journal: Journal) -> Context:
            return Fused(
                self.settings, self.clock, self.backend, self.say, self.cancelled, journal, self, self.gpus, self.target
            )

    return Fused


def in_child(shop: Shop, work: Callable[[Context], object], kill_at: int = 0) -> tuple[str, int]:
    """Do something in a process of its own, killed at the n-th thing that it does to the outside.

    Returns how it ended, ``killed``, ``done`` or an error's words, and how many such things it did.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = "?"
        fuse = Fuse(kill_at)
        try:
            sys.addaudithook(lambda event, arguments: fuse.tick() if event in WATCHED else None)
            ctx = shop.context(fused_context(fuse), lambda name: FusedTarget(name, fuse))
            work(ctx)
            told = "done"
        except MlconsoleError as error:
            told = f"{type(error).__name__}: {error}"
        except BaseException as error:  # noqa: BLE001  told to the parent
            told = f"unexpected {type(error).__name__}: {error}"
        finally:
            os.write(writing, f"{fuse.ticks} {told}".encode())
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed", kill_at
    ticks, _, told = said.partition(" ")
    return told, int(ticks)


def wait_for(claim: Callable[[], bool], what: str) -> None:
    """Poll for ten seconds."""
    end = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < end, what
        time.sleep(0.01)
