"""Environments: named slots that a release is live in, and every move of their pointers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from mlconsole.domain.contracts import Axis
from mlconsole.domain.gates import Gate
from mlconsole.domain.releases import Release, short
from mlconsole.records import field, record

if TYPE_CHECKING:
    from mlconsole.domain.rollouts import Rollout


class Standing(StrEnum):
    """How what is intended and what is seen go together."""

    EMPTY = "empty"
    ROLLING = "rolling"
    HELD = "held"
    LIVE = "live"
    UNHEALTHY = "unhealthy"
    DRIFTED = "drifted"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"


@record
class Pointer:
    """What an environment shall be: a release and the generation, 0 before the first."""

    release_id: str = ""
    generation: int = 0


@record
class Observed:
    """What was seen of an environment; None where it was not seen.

    ``words`` says more, ``unreachable`` why it could not be looked at, ``at`` when that was tried.
    """

    release_id: str | None = None
    generation: int | None = None
    healthy: bool | None = None
    endpoint: str | None = None
    words: str = ""
    unreachable: str = ""
    at: datetime | None = None


@record
class Environment:
    """A slot.

    Attributes:
        number: the catalog's number of it.
        name: as in ``prod``.
        target: the kind of target that releases are deployed by.
        settings: what the target is told.
        host: the machine that deploys to it.
        allowed: users, and groups as ``@group``, who may move it; empty: whoever may write the catalog.
        is_production: its name has to be typed on screen before it is moved.
        gates: what is asked before a rollout is done.
        bake_s: how long a release is looked at before it is done, in seconds.
        created_at: when it was made.
        created_by: who made it.
        pointer: what it shall be.
        observed: what was seen last.
        release: the release of the pointer, None before the first.
        breaker: why nothing is rolled back by itself any more; empty while it is.
        withdrawn: who took down what was live, and when; empty while it shall be live.
    """

    number: int
    name: str
    target: str
    settings: Mapping[str, str]
    host: str
    allowed: tuple[str, ...]
    is_production: bool
    gates: tuple[Gate, ...]
    bake_s: float
    created_at: datetime
    created_by: str
    pointer: Pointer = field(default_factory=Pointer)
    observed: Observed = field(default_factory=Observed)
    release: Release | None = None
    breaker: str = ""
    withdrawn: str = ""

    @property
    def drift(self) -> str:
        """How what was seen differs from what is intended; empty while it does not, or nothing was seen."""
        seen, wanted = self.observed, self.pointer
        if seen.at is None or seen.unreachable or not wanted.generation or self.withdrawn:
            return ""
        if seen.release_id is None:
            return seen.words or f"nothing is live, not {short(wanted.release_id)}"
        if seen.release_id != wanted.release_id:
            return f"{short(seen.release_id)} is live, not {short(wanted.release_id)}"
        if seen.generation is not None and seen.generation != wanted.generation:
            return f"generation {seen.generation} is live, not {wanted.generation}"
        return ""


@record
class Move:
    """One move of a pointer; ``before`` is the release it left, empty for the first."""

    generation: int
    release_id: str
    before: str
    at: datetime
    by: str
    rollout: int
    reason: str
    name: str = ""
    outcome: str = ""


@record
class Pin:
    """An axis that may not change; None: no axis may."""

    axis: Axis | None
    by: str
    at: datetime
    reason: str = ""

    @property
    def words(self) -> str:
        """``model is pinned by ann: audit``."""
        what = self.axis.value if self.axis else "the environment"
        return f"{what} is pinned by {self.by}" + (f": {self.reason}" if self.reason else "")


@record
class Freeze:
    """A time in which an environment may not be moved."""

    number: int
    since: datetime
    until: datetime
    by: str
    reason: str = ""

    def holds(self, now: datetime) -> bool:
        """Whether it is that time."""
        return self.since <= now < self.until

    @property
    def words(self) -> str:
        """``frozen by ann until 2026-01-02 00:00 UTC: holidays``."""
        return f"frozen by {self.by} until {_minute(self.until)}" + (f": {self.reason}" if self.reason else "")

    def words_at(self, now: datetime) -> str:
        """The same, and of one that is still to come when it begins."""
        if now >= self.since:
            return self.words
        times = f"from {_minute(self.since)} until {_minute(self.until)}"
        return f"to be frozen by {self.by} {times}" + (f": {self.reason}" if self.reason else "")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


@record
class EnvironmentPage:
    """An environment with what holds it, what is under way, and how it came here, the newest move first.

    ``at`` is the moment that is shown, None for now. ``repair`` is the command that mends a drift.
    """

    environment: Environment
    pins: tuple[Pin, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    rollout: Rollout | None = None
    last: Rollout | None = None
    history: tuple[Move, ...] = ()
    at: datetime | None = None
    standing: Standing = Standing.EMPTY

    @property
    def repair(self) -> str:
        """What brings back what is intended; empty where nothing has to be."""
        is_wrong = self.standing in (Standing.DRIFTED, Standing.UNHEALTHY)
        return f"mlconsole env repair {self.environment.name} --yes" if is_wrong else ""


def standing_of(environment: Environment, rollout: Rollout | None) -> Standing:
    """How an environment stands, with the rollout that is under way."""
    if rollout is not None:
        return Standing.HELD if rollout.held else Standing.ROLLING
    if not environment.pointer.generation:
        return Standing.EMPTY
    if environment.withdrawn:
        return Standing.WITHDRAWN
    seen = environment.observed
    if environment.drift:
        return Standing.DRIFTED
    if seen.at is None or seen.unreachable:
        return Standing.UNKNOWN
    return Standing.UNHEALTHY if seen.healthy is False else Standing.LIVE


def rules(pins: Iterable[Pin], freezes: Iterable[Freeze], changed: Collection[Axis], now: datetime) -> list[str]:
    """The pins and freezes that a change of these axes runs into, in words."""
    found = [pin.words for pin in pins if changed and (pin.axis is None or pin.axis in changed)]
    return found + [freeze.words for freeze in freezes if freeze.holds(now)]


def may_move(user: str, groups: Iterable[str], allowed: Iterable[str]) -> bool:
    """Whether someone may move an environment."""
    names = set(allowed)
    return not names or user in names or any(f"@{group}" in names for group in groups)


def changed_axes(before: Release | None, after: Release) -> tuple[Axis, ...]:
    """The axes whose members differ."""
    old = before.members if before else {}

    def digest(members: Mapping[Axis, object], axis: Axis) -> str:
        return getattr(members.get(axis), "digest", "")

    return tuple(axis for axis in Axis if digest(old, axis) != digest(after.members, axis))
