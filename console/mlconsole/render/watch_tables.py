"""Events, alerts, policies and their firings as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.alerts import Alert, AlertState, Incident, Moment
from mlconsole.domain.events import Event
from mlconsole.domain.policies import Firing, FiringState, PolicyChange, PolicyPage, PolicyRow
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


FIRING_GLYPHS = {
    FiringState.HELD: "■",
    FiringState.WAITING: "◌",
    FiringState.PROPOSED: "?",
    FiringState.DUE: "◌",
    FiringState.STARTED: "●",
    FiringState.DONE: "✔",
    FiringState.FAILED: "✖",
    FiringState.STUCK: "✖",
    FiringState.DECLINED: "■",
    FiringState.EXPIRED: "■",
}


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about what happened; None for any other."""
    if isinstance(result, Event):
        return [event_line(result)]
    if isinstance(result, Alert):
        answers = f"  {result.said}" if result.answers else ""
        return [clean(f"{result.id}  {state_words(result)}{answers}  {result.title}", 400)]
    if isinstance(result, Firing):
        return [clean(f"{result.policy}  {result.do}  {firing_words(result)}  {result.why}", 400)]
    if isinstance(result, PolicyPage):
        return _page(result, now)
    return _incident(result, now) if isinstance(result, Incident) else None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about what happened; None for any other."""
    if isinstance(items[0], Event):
        return _events([event for event in items if isinstance(event, Event)])
    if isinstance(items[0], Alert):
        return _alerts([alert for alert in items if isinstance(alert, Alert)], now)
    if isinstance(items[0], PolicyRow):
        return _policies([row for row in items if isinstance(row, PolicyRow)], now)
    if isinstance(items[0], Firing):
        return _firings([firing for firing in items if isinstance(firing, Firing)])
    if isinstance(items[0], PolicyChange):
        rows = [(each.what, each.name, each.words) for each in items if isinstance(each, PolicyChange)]
        return table(("", "POLICY", "WHAT"), rows)
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
        (
            a.id,
            state_words(a),
            a.severity.value,
            a.source,
            numbers.ago(a.opened_at or a.changed_at, now),
            a.title,
            a.said if a.answers else "",
        )
        for a in alerts
    ]
    titles = ("ID", "STATE", "SEVERITY", "SOURCE", "SINCE", "WHAT")
    if any(a.answers for a in alerts):
        return table((*titles, "SAID"), rows, {4})
    return table(titles, [row[:-1] for row in rows], {4})


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


def firing_words(firing: Firing) -> str:
    """A firing's state as glyph and word."""
    return f"{FIRING_GLYPHS[firing.state]} {firing.state}"


def _firings(firings: Sequence[Firing]) -> list[str]:
    rows = [
        (str(f.number or ""), f"{f.at:%Y-%m-%d %H:%M:%S}", f.policy, firing_words(f), f.do, f.because, f.why)
        for f in firings
    ]
    return table(("#", "AT", "POLICY", "STATE", "ACTION", "BECAUSE OF", "WHY"), rows, {0})


def _policies(rows: Sequence[PolicyRow], now: datetime) -> list[str]:
    cells = [
        (
            row.policy.name,
            row.policy.trigger,
            row.policy.do,
            "acts" if row.policy.allow else "proposes",
            str(row.fired),
            str(row.held),
            str(row.waiting),
            numbers.ago(row.last_at, now) if row.last_at else "never",
        )
        for row in rows
    ]
    titles = ("POLICY", "WHEN", "ACTION", "MODE", "FIRED", "HELD", "WAITING", "LAST")
    return table(titles, cells, {4, 5, 6, 7})


def _page(page: PolicyPage, now: datetime) -> list[str]:
    row, policy = page.row, page.row.policy
    out = [
        clean(f"{policy.name}  {'acts by itself' if policy.allow else 'proposes'}", 400),
        clean(f"when {policy.trigger}", 400),
        clean(f"do {policy.do}  {' '.join(f'{key}={value}' for key, value in policy.given.items())}", 1000),
        clean(f"{limits_words(row)}", 400),
        clean(f"{policy.file}:{policy.line}, applied {numbers.ago(row.applied_at, now)} by {row.applied_by}", 400),
        "",
    ]
    return out + (_firings(page.firings) if page.firings else ["It has not fired."])


def limits_words(row: PolicyRow) -> str:
    """What holds a policy back, in words."""
    policy = row.policy
    budget = "" if policy.budget_microusd is None else f", ${policy.budget_microusd / 1e6:.2f} a {policy.budget_per}"
    windows = "".join(f", within {window.words} {policy.zone}" for window in policy.windows)
    cool = f"cool-down {numbers.duration(policy.cooldown_s)}, " if policy.cooldown_s else ""
    return f"{cool}{policy.per_day} a day, {policy.in_flight} in flight{budget}{windows}"
