"""Rollouts: the journal of a move of an environment's pointer, step by step."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from mlconsole.domain.gates import Answer, GateAnswer, together
from mlconsole.domain.releases import short
from mlconsole.records import record


class RolloutState(StrEnum):
    """How far a rollout is. Up to ``prepared`` nothing has moved; from ``committed`` on the pointer has."""

    PLANNED = "planned"
    PREFLIGHT = "preflight"
    PREPARED = "prepared"
    COMMITTED = "committed"
    APPLYING = "applying"
    VERIFYING = "verifying"
    DONE = "done"
    COMPENSATING = "compensating"
    FAILED = "failed"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled_back"

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done."""
        return self in OVER

    @property
    def has_moved(self) -> bool:
        """Whether the pointer was moved, while it is not over."""
        return self in (RolloutState.COMMITTED, RolloutState.APPLYING, RolloutState.VERIFYING)


OVER = (
    RolloutState.DONE,
    RolloutState.FAILED,
    RolloutState.ABORTED,
    RolloutState.SUPERSEDED,
    RolloutState.ROLLED_BACK,
)


class RolloutKind(StrEnum):
    """Why a pointer is moved."""

    ROLLOUT = "rollout"
    ROLLBACK = "rollback"
    REPAIR = "repair"
    AUTOMATIC = "automatic"


@record
class Rollout:
    """One rollout.

    Attributes:
        number: the catalog's number of it.
        environment: the environment's number.
        name: the environment's name.
        kind: why it was begun.
        release_id: what shall be live.
        before_id: what was live when it was asked for, empty for nothing.
        before_generation: the generation that the pointer must have to be moved.
        state: how far it is.
        asked_by: who asked.
        asked_at: when.
        state_at: when it came to its state.
        intent: ``go``, or ``abort`` once somebody wants it undone.
        override: why pins and freezes do not hold for it; empty: they do.
        accepted: who took the answers of the gates as they are; empty: nobody.
        message: what came of it, or what it waits for.
        answers: the gates' last answers.
        bake_until: until when it is looked at before it is done.
        tries: how often the present step was tried.
        parent: the rollout that this one undoes, 0 for none.
        held: it waits for a person.
    """

    number: int
    environment: int
    name: str
    kind: RolloutKind
    release_id: str
    before_id: str
    before_generation: int
    state: RolloutState
    asked_by: str
    asked_at: datetime
    state_at: datetime
    intent: str = "go"
    override: str = ""
    accepted: str = ""
    message: str = ""
    answers: tuple[GateAnswer, ...] = ()
    bake_until: datetime | None = None
    tries: int = 0
    parent: int = 0
    held: bool = False

    @property
    def generation(self) -> int:
        """The generation that it makes."""
        return self.before_generation + 1

    @property
    def answer(self) -> Answer:
        """What its gates say together."""
        return together(self.answers)

    @property
    def words(self) -> str:
        """One that is under way, as it is said loudly."""
        left = self.message or self.state.value
        since = f"{self.asked_at:%Y-%m-%d %H:%M}"
        how = "is held" if self.held else f"is {self.state.value}"
        return f'The {self.kind.value} of "{self.name}" to {short(self.release_id)} {how} since {since}: {left}.'


@record
class RolloutStep:
    """One entry of a rollout's journal."""

    state: RolloutState
    at: datetime
    words: str = ""


@record
class RolloutPage:
    """A rollout with its journal, the oldest entry first."""

    rollout: Rollout
    steps: tuple[RolloutStep, ...]
