"""An incident's timeline: what was seen, who answered, which policies fired, and what came of that, in one order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from mlconsole.actions.context import Context
from mlconsole.catalog import Catalog
from mlconsole.domain.alerts import Alert, Incident, Moment
from mlconsole.domain.events import Event
from mlconsole.domain.gates import brief
from mlconsole.domain.policies import DEEPEST, Firing, FiringState
from mlconsole.domain.rollouts import RolloutPage, RolloutState

AROUND = timedelta(hours=1)
"""What happened to the same thing so long before and after belongs to it."""
ABOUT_FIELDS = {"environment": "environment:", "env": "environment:", "run": "run:"}


def incident(ctx: Context, alert: Alert) -> Incident:
    """An alert with what happened about it and because of it."""
    catalog = ctx.catalog
    begin = (alert.opened_at or alert.changed_at) - AROUND
    end = (alert.resolved_at or ctx.clock()) + AROUND
    about = (event for subject in _subjects(alert) for event in catalog.events.about(subject))
    near = (event for event in about if begin <= event.at <= end)
    events = [event for event in near if event.data.get("alert", alert.id) == alert.id]
    firings, caused = _consequences(catalog, events)
    moments = [
        *(
            Moment(change.at, f"alert {change.state}", change.who, change.why)
            for change in catalog.alerts.changes(alert.number)
        ),
        *(moment for firing in firings for moment in _rollouts(catalog, firing)),
        *(_moment(event) for event in (*events, *caused) if not event.kind.startswith("alert.")),
        *(moment for firing in firings for moment in _firing(firing)),
    ]
    return Incident(alert, tuple(sorted(moments, key=lambda each: each.at)))


def _subjects(alert: Alert) -> list[str]:
    """What it is about, and the runs before the last one where it is about several."""
    runs = [f"run:{part.name}" for part in alert.parts] if alert.source == "run" else []
    return list(dict.fromkeys([alert.subject, *runs]))


def _consequences(catalog: Catalog, events: list[Event]) -> tuple[list[Firing], list[Event]]:
    """The firings that events set off and the events that these caused, and so on, each once."""
    firings: dict[int, Firing] = {}
    known = {event.number: event for event in events}
    fresh = list(known)
    for _ in range(DEEPEST):
        new = [each for each in catalog.firings.of_events(fresh) if each.number not in firings]
        firings |= {each.number: each for each in new}
        found = [event for each in new for event in _caused_by(catalog, each)]
        fresh = [event.number for event in found if event.number not in known]
        known |= {event.number: event for event in found}
        if not fresh:
            break
    roots = {event.number for event in events}
    return list(firings.values()), [event for number, event in known.items() if number not in roots]


def _caused_by(catalog: Catalog, firing: Firing) -> Iterator[Event]:
    """The events of a firing's own changes, of the runs that it launched, and of what it was asked to act on."""
    if firing.state is FiringState.HELD:
        return
    for what in catalog.firings.caused(firing.number):
        kind, _, name = what.partition(":")
        if kind == "event" and (event := catalog.events.get(int(name))) is not None:
            yield event
        elif kind == "run":
            yield from catalog.events.about(what)
        elif kind == "rollout":
            about = catalog.events.about(f"environment:{catalog.rollouts.get(int(name)).name}")
            yield from (event for event in about if event.data.get("rollout") == int(name))
    since = firing.started_at or firing.at
    for field, prefix in ABOUT_FIELDS.items():
        if named := firing.given.get(field):
            yield from (event for event in catalog.events.about(f"{prefix}{named}") if event.at >= since)


def _moment(event: Event) -> Moment:
    data = event.data
    named = [str(data[key]) for key in ("name", "label", "environment", "outcome") if data.get(key)]
    told = data.get("reason") or data.get("title") or ""
    return Moment(event.at, event.kind, "", "  ".join([*named, *([str(told)] if told else [])]))


def _firing(firing: Firing) -> Iterator[Moment]:
    """A firing as it was set off, and how it ended."""
    did = f"{firing.do} #{firing.number}"
    if firing.state is FiringState.HELD:
        yield Moment(firing.at, f"policy {firing.state}", firing.policy, f"{did}: {firing.why}")
        return
    yield Moment(firing.at, "policy fired", firing.policy, did)
    last: datetime | None = firing.ended_at or firing.started_at
    yield Moment(last or firing.at, f"policy {firing.state}", firing.who or firing.policy, f"{did}: {firing.why}")


def _rollouts(catalog: Catalog, firing: Firing) -> Iterator[Moment]:
    """The rollouts that a firing began, and those that took them back."""
    for what in catalog.firings.caused(firing.number):
        kind, _, name = what.partition(":")
        if kind == "rollout":
            child = catalog.rollouts.child(int(name))
            for number in (int(name), *([child.number] if child else [])):
                yield from _steps(catalog.rollouts.page(number))


def _steps(page: RolloutPage) -> Iterator[Moment]:
    """When a rollout moved the pointer, what the gates answered, and its end."""
    rollout = page.rollout
    for step in page.steps:
        if step.state.is_over:
            for one in rollout.answers:
                yield Moment(step.at, f"gate {one.answer}", rollout.name, f"{brief(one.gate)}: {one.words}")
        if step.state is RolloutState.COMMITTED or step.state.is_over:
            yield Moment(step.at, f"{rollout.kind} {step.state.value.replace('_', ' ')}", rollout.name, step.words)
