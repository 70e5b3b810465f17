"""Events, alerts, policies and their firings as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.alerts import Alert, AlertState, Incident, Moment
from mlconsole.domain.events import Event
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

GLYPHS = {
    AlertState.OK: "✔",
    AlertState.INSUFFICIENT: "?",
    AlertState.PENDING: "◌",
    AlertState.FIRING: "▲",
    AlertState.ACKED: "△",
    AlertState.SNOOZED: "■",
    AlertState.RESOLVED: "✔",
}


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about what happened; None for any other."""
    if isinstance(result, Event):
        return [event_line(result)]
    if isinstance(result, Alert):
        return [clean(f"{result.id}  {state_words(result)}  {result.title}", 400)]
    return _incident(result, now) if isinstance(result, Incident) else None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about what happened; None for any other."""
    if isinstance(items[0], Event):
        return _events([event for event in items if isinstance(event, Event)])
    if isinstance(items[0], Alert):
        return _alerts([alert for alert in items if isinstance(alert, Alert)], now)
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


def state_words(alert: Alert) -> str:
    """An alert's state as glyph and word."""
    until = f" until {alert.until:%H:%M}" if alert.until and alert.state is AlertState.SNOOZED else ""
    return f"{GLYPHS[alert.state]} {alert.state}{until}"


def _events(events: Sequence[Event]) -> list[str]:
    rows = [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.kind, e.subject, words_of(e)) for e in events]
    return table(("AT", "EVENT", "ABOUT", ""), rows)


def _alerts(alerts: Sequence[Alert], now: datetime) -> list[str]:
    rows = [
        (a.id, state_words(a), a.severity.value, a.source, numbers.ago(a.opened_at or a.changed_at, now), a.title)
        for a in alerts
    ]
    return table(("ID", "STATE", "SEVERITY", "SOURCE", "SINCE", "WHAT"), rows, {4})


def _incident(incident: Incident, now: datetime) -> list[str]:
    alert = incident.alert
    out = [clean(f"{alert.id}  {state_words(alert)}  {alert.severity}  {alert.source}  {alert.subject}", 400)]
    out += [clean(alert.title, 400), ""]
    if alert.parts:
        out += [*table(("PART", "EFFECT", ""), [_part(part.name, part.effect, part.words) for part in alert.parts]), ""]
    return out + [moment_line(moment) for moment in incident.timeline]


def _part(name: str, effect: float | None, words: str) -> tuple[str, str, str]:
    return name, "" if effect is None else f"{effect:.3g}", words


def moment_line(moment: Moment) -> str:
    """One line of a timeline."""
    who = f"  {moment.who}" if moment.who else ""
    return clean(f"{moment.at:%Y-%m-%d %H:%M:%S}  {moment.kind}{who}  {moment.words}".rstrip(), 400)
