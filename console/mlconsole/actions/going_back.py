"""What is done when a release turns out bad in its place: it is quarantined, and another rollout goes back."""

from __future__ import annotations

from datetime import timedelta
from sqlite3 import Connection

from mlconsole.actions.context import Context
from mlconsole.catalog.environments import pointer_of, set_breaker
from mlconsole.catalog.releases import put_quarantine
from mlconsole.catalog.rollouts import enter, insert_rollout, tell_failed
from mlconsole.domain.environments import Environment
from mlconsole.domain.rollouts import Rollout, RolloutKind, RolloutState
from mlconsole.records import record

MOST_AUTOMATIC = 3
WINDOW = timedelta(hours=1)
"""So many rollbacks within so long open the circuit breaker: something else is wrong."""


@record
class Verdict:
    """Why a release goes back.

    Attributes:
        words: why.
        is_fault: because it turned out bad, not because a person wants it.
        is_quarantined: whether the release is refused from now on.
    """

    words: str
    is_fault: bool
    is_quarantined: bool = False


def healthy_before(ctx: Context, environment: Environment, release_id: str) -> str:
    """The release that was last found good in an environment, other than the given one; empty for none."""
    refused = ctx.catalog.releases.quarantines()
    for found in ctx.catalog.rollouts.good(environment.number):
        if found != release_id and found not in refused:
            return found
    return ""


def go_back(ctx: Context, environment: Environment, rollout: Rollout, verdict: Verdict) -> str:
    """End a rollout whose pointer has moved, and record the intent to go back; returns why not, empty when it did.

    The breaker is opened, and nothing moves, when what went back by itself is bad too, or that happened too often.
    """
    target = healthy_before(ctx, environment, rollout.release_id) or _not_refused(ctx, rollout.before_id)
    label = ctx.catalog.releases.by_id(target).label if target else ""
    why_not = _breaker(ctx, environment, rollout, verdict) if verdict.is_fault else ""
    now, user = ctx.clock(), ctx.settings.user

    def change(db: Connection) -> None:
        if verdict.is_quarantined and rollout.kind is not RolloutKind.AUTOMATIC:
            put_quarantine(db, rollout.release_id, f"{rollout.name}: {verdict.words}", user, now)
        if why_not:
            set_breaker(db, environment.number, why_not)
            return
        pointer = pointer_of(db, environment.number)
        after = RolloutState.ROLLED_BACK if target else RolloutState.FAILED
        words = f"{verdict.words}; {f'back to {label}' if target else 'there is nothing to go back to'}"
        is_done = enter(db, rollout, after, now, words, whatever_intent=True)
        if is_done and verdict.is_fault:
            tell_failed(db, rollout, verdict.words, now)
        if is_done and target and pointer.generation == rollout.generation:
            kind = RolloutKind.AUTOMATIC if verdict.is_fault else RolloutKind.ROLLBACK
            insert_rollout(db, _back(rollout, target, kind, verdict, now))

    ctx.write(change, durable=True)
    return f"{verdict.words}; {why_not}" if why_not else ""


def _back(rollout: Rollout, target: str, kind: RolloutKind, verdict: Verdict, now: object) -> Rollout:
    from datetime import datetime

    assert isinstance(now, datetime)
    return Rollout(
        number=0,
        environment=rollout.environment,
        name=rollout.name,
        kind=kind,
        release_id=target,
        before_id=rollout.release_id,
        before_generation=rollout.generation,
        state=RolloutState.PLANNED,
        asked_by=rollout.asked_by,
        asked_at=now,
        state_at=now,
        override=f"rollout {rollout.number}: {verdict.words}"[:300],
        parent=rollout.number,
    )


def _not_refused(ctx: Context, release_id: str) -> str:
    return release_id if release_id and ctx.catalog.releases.quarantine(release_id) is None else ""


def _breaker(ctx: Context, environment: Environment, rollout: Rollout, verdict: Verdict) -> str:
    name = environment.name
    way_out = f"decide yourself: mlconsole rollback {name}, or mlconsole env accept {name}"
    if rollout.kind is RolloutKind.AUTOMATIC:
        return f"what went back by itself is bad too, so nothing more does; {way_out}"
    if environment.breaker:
        return f"the circuit breaker is open; {way_out}"
    count = ctx.catalog.rollouts.automatic_since(environment.number, ctx.clock() - WINDOW)
    if count >= MOST_AUTOMATIC:
        hours = WINDOW.total_seconds() / 3600
        return f"{count} rollbacks within {hours:g} h open the circuit breaker; {way_out}"
    return ""
