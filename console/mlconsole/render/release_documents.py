"""Releases, environments and rollouts as JSON documents."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.contracts import Axis, Check
from mlconsole.domain.environments import Environment, EnvironmentPage, Freeze, Move, Observed, Pin
from mlconsole.domain.releases import Member, Release, ReleaseDiff, ReleasePage
from mlconsole.domain.rollouts import Rollout, RolloutPage
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about releases; None for any other."""
    if isinstance(result, (Release, ReleasePage)):
        return {"kind": "release", **(item(result) or {})}
    if isinstance(result, EnvironmentPage):
        return {"kind": "environment", **_page(result)}
    if isinstance(result, RolloutPage):
        steps = [{"state": one.state.value, "at": iso(one.at), "words": one.words} for one in result.steps]
        return {"kind": "rollout", **rollout(result.rollout), "steps": steps}
    if isinstance(result, ReleaseDiff):
        rows = [{"what": what, "before": before, "after": after} for what, before, after in result.rows]
        ends = {"before": result.before.id, "after": result.after.id}
        return {"kind": "release_diff", **ends, "rows": rows}
    return None


def item(thing: object) -> Document | None:
    """One element of a list about releases; None for any other."""
    if isinstance(thing, Release):
        return release(thing)
    if isinstance(thing, ReleasePage):
        why = thing.quarantine.reason if thing.quarantine else None
        places = {axis.value: path for axis, path in thing.places.items()}
        return {**release(thing.release), "live": list(thing.live), "quarantine": why, "places": places}
    if isinstance(thing, EnvironmentPage):
        return _page(thing, has_history=False)
    if isinstance(thing, Move):
        return _move(thing)
    return None


def release(found: Release) -> Document:
    """``{"id", "code", "data", "model", "config", "env", ...}``; a part that it lacks is null."""
    parts = {axis.value: found.members[axis].id if axis in found.members else None for axis in Axis}
    return {
        "id": found.id,
        "name": found.name,
        **parts,
        "members": {axis.value: _member(one) for axis, one in found.members.items()},
        "contracts": found.verdict.value,
        "checks": [_check(one) for one in found.checks],
        "created_at": iso(found.created_at),
        "created_by": found.created_by,
    }


def _member(member: Member) -> Document:
    contract = member.contract
    return {
        "id": member.id,
        "label": member.label,
        "content": member.content,
        "provides": dict(contract.provides),
        "requires": None if contract.requires is None else [need.words for need in contract.requires],
        "note": contract.note,
    }


def _check(one: Check) -> Document:
    requirement = one.requirement.words if one.requirement else None
    return {"verdict": one.verdict.value, "part": one.axis.value, "requires": requirement, "words": one.words}


def _page(page: EnvironmentPage, *, has_history: bool = True) -> Document:
    found = page.environment
    document: Document = {
        "name": found.name,
        "release": found.pointer.release_id or None,
        "release_name": found.release.label if found.release else None,
        "generation": found.pointer.generation,
        "observed": _observed(found.observed),
        "state": page.standing.value,
        "drift": found.drift,
        "repair": page.repair,
        "members": {axis.value: one.label for axis, one in found.release.members.items()} if found.release else {},
        "rollout": rollout(page.rollout) if page.rollout else None,
        "last_rollout": rollout(page.last) if page.last else None,
        "pins": [_pin(one) for one in page.pins],
        "freezes": [_freeze(one) for one in page.freezes],
        "breaker": found.breaker,
        "gates": [gate.words for gate in found.gates],
        **_made(found),
    }
    if page.at is not None:
        document |= {"at": iso(page.at), "state": "past", "observed": None}
    if has_history:
        document["history"] = [_move(one) for one in page.history]
    return document


def _made(found: Environment) -> Document:
    return {
        "bake_s": found.bake_s,
        "target": found.target,
        "settings": dict(found.settings),
        "host": found.host,
        "allowed": list(found.allowed),
        "production": found.is_production,
        "created_at": iso(found.created_at),
        "created_by": found.created_by,
    }


def _observed(seen: Observed) -> Document | None:
    if seen.at is None:
        return None
    return {
        "release": seen.release_id,
        "generation": seen.generation,
        "healthy": seen.healthy,
        "endpoint": seen.endpoint,
        "words": seen.words,
        "unreachable": seen.unreachable,
        "at": iso(seen.at),
    }


def _pin(pin: Pin) -> Document:
    return {"axis": pin.axis.value if pin.axis else None, "by": pin.by, "at": iso(pin.at), "reason": pin.reason}


def _freeze(freeze: Freeze) -> Document:
    return {"since": iso(freeze.since), "until": iso(freeze.until), "by": freeze.by, "reason": freeze.reason}


def _move(move: Move) -> Document:
    return {
        "generation": move.generation,
        "release": move.release_id,
        "release_name": move.name,
        "before": move.before or None,
        "at": iso(move.at),
        "by": move.by,
        "reason": move.reason,
        "rollout": move.rollout,
        "outcome": move.outcome,
    }


def rollout(found: Rollout) -> Document:
    """A rollout and how far it is."""
    return {
        "id": found.number,
        "environment": found.name,
        "type": found.kind.value,
        "release": found.release_id,
        "before": found.before_id or None,
        "generation": found.generation,
        "state": found.state.value,
        "held": found.held,
        "intent": found.intent,
        "answer": found.answer.value,
        "gates": [{"gate": one.gate, "answer": one.answer.value, "words": one.words} for one in found.answers],
        "message": found.message,
        "asked_by": found.asked_by,
        "asked_at": iso(found.asked_at),
        "accepted_by": found.accepted or None,
        "override": found.override,
        "bake_until": iso(found.bake_until),
    }
