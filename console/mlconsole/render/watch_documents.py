"""Events, alerts, policies and their firings as JSON documents."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.alerts import Alert, Incident, Moment
from mlconsole.domain.events import Event
from mlconsole.domain.policies import Firing, PolicyPage, PolicyRow
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about what happened; None for any other."""
    if isinstance(result, Event):
        return {"kind": "event", **_event(result)}
    if isinstance(result, Alert):
        return {"kind": "alert", **_alert(result)}
    if isinstance(result, Firing):
        return {"kind": "firing", **_firing(result)}
    if isinstance(result, PolicyPage):
        return {"kind": "policy", **_policy(result.row), "firings": [_firing(each) for each in result.firings]}
    if isinstance(result, Incident):
        return {"kind": "alert", **_alert(result.alert), "timeline": [_moment(each) for each in result.timeline]}
    return None


def item(thing: object) -> Document | None:
    """An element of a list about what happened; None for any other."""
    if isinstance(thing, Event):
        return _event(thing)
    if isinstance(thing, PolicyRow):
        return _policy(thing)
    if isinstance(thing, Firing):
        return _firing(thing)
    return _alert(thing) if isinstance(thing, Alert) else None


def _event(event: Event) -> Document:
    at = iso(event.at)
    return {"number": event.number, "at": at, "event": event.kind, "subject": event.subject, "data": dict(event.data)}


def _alert(alert: Alert) -> Document:
    return {
        "id": alert.id,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "source": alert.source,
        "opened_at": iso(alert.opened_at),
        "title": alert.title,
        "subject": alert.subject,
        "cause": alert.cause,
        "changed_at": iso(alert.changed_at),
        "resolved_at": iso(alert.resolved_at),
        "snoozed_until": iso(alert.until),
        "who": alert.who,
        "why": alert.why,
        "parts": [{"name": part.name, "words": part.words, "effect": part.effect} for part in alert.parts],
        "data": dict(alert.data),
        "answers": [
            {"at": iso(one.at), "state": one.state.value, "who": one.who, "why": one.why} for one in alert.answers
        ],
    }


def _moment(moment: Moment) -> Document:
    return {"at": iso(moment.at), "what": moment.kind, "who": moment.who, "words": moment.words}


def _firing(firing: Firing) -> Document:
    return {
        "number": firing.number,
        "policy": firing.policy,
        "state": firing.state.value,
        "why": firing.why,
        "at": iso(firing.at),
        "event": firing.event,
        "key": firing.key,
        "because": firing.because,
        "action": firing.do,
        "params": dict(firing.given),
        "chain": list(firing.chain),
        "run": firing.run_id or None,
        "cost_usd": None if firing.cost_microusd is None else firing.cost_microusd / 1e6,
        "started_at": iso(firing.started_at),
        "ended_at": iso(firing.ended_at),
        "tries": firing.tries,
        "who": firing.who,
    }


def _policy(row: PolicyRow) -> Document:
    policy = row.policy
    return {
        "name": policy.name,
        "when": policy.when,
        "cron": policy.cron or None,
        "timezone": policy.zone,
        "if": policy.condition,
        "do": policy.do,
        "with": dict(policy.given),
        "allow": policy.allow,
        "cooldown_s": policy.cooldown_s,
        "per_day": policy.per_day,
        "budget_usd": None if policy.budget_microusd is None else policy.budget_microusd / 1e6,
        "budget_per": policy.budget_per,
        "in_flight": policy.in_flight,
        "max_depth": policy.max_depth,
        "windows": [window.words for window in policy.windows],
        "file": policy.file,
        "line": policy.line,
        "applied_at": iso(row.applied_at),
        "applied_by": row.applied_by,
        "last_at": iso(row.last_at),
        "fired": row.fired,
        "held": row.held,
        "waiting": row.waiting,
    }
