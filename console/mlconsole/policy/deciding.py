"""Which policies an event sets off, and what becomes of it: decided and recorded in the event's own transaction."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mlconsole.catalog.event_stream import emit, event_of_number
from mlconsole.catalog.firings import facts_of, is_known, record
from mlconsole.catalog.policies import Armed, set_cron
from mlconsole.domain.event_filter import condition, fits
from mlconsole.domain.events import Event
from mlconsole.domain.policies import Decision, FiringState, Policy, decide
from mlconsole.domain.times import iso
from mlconsole.domain.uptime import Uptime
from mlconsole.errors import UsageError
from mlconsole.policy.clock import slots
from mlconsole.policy.params import filled
from mlconsole.policy.rules import with_directory

At = tuple[datetime, Uptime]


def wants(policy: Policy, event: Event) -> bool:
    """True when the event is what the policy waits for, and its condition holds."""
    return policy.when == event.kind and policy.when != "cron" and fits(condition(policy.condition), event)


def consider(db: sqlite3.Connection, armed: Armed, event: Event, at: At) -> None:
    """Decide about a policy that an event may set off, and record it."""
    if event.number > armed.after_event and wants(armed.policy, event):
        _set_off(db, armed, event, f"event:{event.number}", at)


def _set_off(db: sqlite3.Connection, armed: Armed, event: Event, key: str, at: At) -> None:
    policy = armed.policy
    facts = facts_of(db, armed.number, event, *at)
    given = with_directory(policy)
    decision = decide(policy, event, facts)
    try:
        given = filled(given, event)
    except UsageError as error:
        decision = Decision(FiringState.HELD, str(error))
    record(db, armed.number, key, event, decision, (policy.do, given, (*facts.chain, policy.name)), at)


def slots_between(policy: Policy, last: datetime | None, now: datetime) -> bool:
    """True when a policy's clock has struck, was never looked at, or was set back."""
    return last is None or last > now or bool(slots(policy.cron, policy.zone, last, now))


def strike(db: sqlite3.Connection, armed: Armed, at: At) -> None:
    """Set a policy off whose own clock has struck since it was last looked at.

    A moment counts once, however often the wall clock passes it. Of several that were missed the last one counts; the
    others are recorded as held back.
    """
    policy, (now, _) = armed.policy, at
    if armed.cron_at is None or armed.cron_at > now:
        set_cron(db, armed.number, now)
        return
    due = slots(policy.cron, policy.zone, armed.cron_at, now)
    for slot in due[:-1]:
        why = "missed: nobody watched when it was due, and a later one is due too"
        did = (policy.do, with_directory(policy), (policy.name,))
        record(db, armed.number, f"missed:{iso(slot)}", None, Decision(FiringState.HELD, why), did, at)
    for slot in due[-1:]:
        key = f"cron:{iso(slot)}"
        if not is_known(db, armed.number, key):
            number = emit(db, "cron", f"policy:{policy.name}", {"slot": iso(slot), "policy": policy.name}, now)
            _set_off(db, armed, event_of_number(db, number), key, at)
    if due:
        set_cron(db, armed.number, now)
