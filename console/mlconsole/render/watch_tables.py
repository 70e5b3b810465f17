"""Events, alerts, policies and their firings as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.events import Event
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about what happened; None for any other."""
    return [event_line(result)] if isinstance(result, Event) else None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about what happened; None for any other."""
    if isinstance(items[0], Event):
        return _events([event for event in items if isinstance(event, Event)])
    return None


def event_line(event: Event) -> str:
    """An event in one line."""
    return clean(f"{event.at:%Y-%m-%d %H:%M:%S}  {event.kind}  {event.subject}  {words_of(event)}".rstrip(), 400)


def words_of(event: Event) -> str:
    """What an event tells, in a few words."""
    data = event.data
    told = data.get("title") or data.get("reason") or ""
    named = [str(data[key]) for key in ("name", "outcome", "percent", "environment") if data.get(key) not in (None, "")]
    return "  ".join([*named, *([str(told)] if told else [])])


def _events(events: Sequence[Event]) -> list[str]:
    rows = [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.kind, e.subject, words_of(e)) for e in events]
    return table(("AT", "EVENT", "ABOUT", ""), rows)
