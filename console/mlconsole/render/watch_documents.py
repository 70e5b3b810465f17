"""Events, alerts, policies and their firings as JSON documents."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.alerts import Alert, Incident, Moment
from mlconsole.domain.events import Event
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about what happened; None for any other."""
    if isinstance(result, Event):
        return {"kind": "event", **_event(result)}
    if isinstance(result, Alert):
        return {"kind": "alert", **_alert(result)}
    if isinstance(result, Incident):
        return {"kind": "alert", **_alert(result.alert), "timeline": [_moment(each) for each in result.timeline]}
    return None


def item(thing: object) -> Document | None:
    """An element of a list about what happened; None for any other."""
    if isinstance(thing, Event):
        return _event(thing)
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
    }


def _moment(moment: Moment) -> Document:
    return {"at": iso(moment.at), "what": moment.kind, "who": moment.who, "words": moment.words}
