"""Events, alerts, policies and their firings as JSON documents."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.events import Event
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about what happened; None for any other."""
    found = item(result)
    return None if found is None else {"kind": "event", **found}


def item(thing: object) -> Document | None:
    """An element of a list about what happened; None for any other."""
    return _event(thing) if isinstance(thing, Event) else None


def _event(event: Event) -> Document:
    at = iso(event.at)
    return {"number": event.number, "at": at, "event": event.kind, "subject": event.subject, "data": dict(event.data)}
