"""What policies would have done over past events: the same conditions and limits, nothing carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from mlconsole import actions
from mlconsole.actions.context import Context
from mlconsole.domain.budgets import Period
from mlconsole.domain.events import Event
from mlconsole.domain.policies import Decision, Facts, Firing, FiringState, Past, Policy, decide, over_budget, ready
from mlconsole.domain.times import iso
from mlconsole.domain.uptime import Uptime
from mlconsole.errors import MlconsoleError, UsageError
from mlconsole.policy.carrying_out import cost_of
from mlconsole.policy.clock import slots
from mlconsole.policy.deciding import wants
from mlconsole.policy.params import filled, params_of
from mlconsole.policy.rules import with_directory

KEPT = timedelta(days=2)


def would_have_fired(ctx: Context, policies: Sequence[Policy], since: datetime) -> list[Firing]:
    """The firings that past events would have brought, held back ones too, the oldest first.

    How long each would have been under way is not known: ``in_flight`` is taken for free. A run is taken to cost as
    much as its plan says today.
    """
    events = ctx.catalog.events.since(since)
    found = [firing for policy in policies for firing in _of(ctx, policy, [*events, *_strikes(ctx, policy, since)])]
    return sorted(found, key=lambda each: each.at)


def _strikes(ctx: Context, policy: Policy, since: datetime) -> Iterator[Event]:
    if not policy.cron:
        return
    day, now = since, ctx.clock()
    while day < now:
        end = min(day + timedelta(days=1), now)
        for slot in slots(policy.cron, policy.zone, day, end):
            yield Event(0, slot, "cron", f"policy:{policy.name}", {"slot": iso(slot), "policy": policy.name})
        day = end


def _of(ctx: Context, policy: Policy, events: Sequence[Event]) -> Iterator[Firing]:
    past: list[Past] = []
    costs: list[tuple[datetime, int]] = []
    for event in sorted(events, key=lambda each: (each.at, each.number)):
        is_cron = bool(policy.cron) and event.subject == f"policy:{policy.name}" and event.number == 0
        if not is_cron and not wants(policy, event):
            continue
        decision, given = _decided(policy, event, [each for each in past if event.at - each.at < KEPT])
        if policy.budget_microusd is not None and decision.state.counts:
            decision = _within_budget(ctx, policy, event, (decision, given), costs)
        past.append(Past(event.at, Uptime("", 0), decision.state))
        key = f"cron:{iso(event.at)}" if is_cron else f"event:{event.number}"
        number = event.number or None
        yield Firing(
            0,
            policy.name,
            key,
            number,
            event.at,
            decision.state,
            decision.why,
            policy.do,
            given,
            (policy.name,),
            told=f"{event.kind} {event.subject}",
        )


def _within_budget(
    ctx: Context,
    policy: Policy,
    event: Event,
    decided: tuple[Decision, Mapping[str, object]],
    costs: list[tuple[datetime, int]],
) -> Decision:
    """The decision, unless what it would cost is more than is left; ``costs`` are those of the firings before."""
    decision, given = decided
    try:
        action = actions.named(policy.do)
        cost = cost_of(ctx, action, params_of(action, given))
    except MlconsoleError as error:
        return Decision(decision.state, f"{decision.why}; today it could not be planned: {error}")
    since, _ = Period(policy.budget_per).around(event.at)
    if why := over_budget(policy, sum(one for at, one in costs if at >= since), cost):
        return Decision(FiringState.HELD, why)
    costs.append((event.at, cost or 0))
    return decision


def _decided(policy: Policy, event: Event, past: Sequence[Past]) -> tuple[Decision, dict[str, object]]:
    given = with_directory(policy)
    decision = decide(policy, event, Facts(event.at, Uptime("", 0), past))
    if decision.state is FiringState.WAITING:
        decision = ready(policy, event.at, None)
    try:
        return decision, filled(given, event)
    except UsageError as error:
        return Decision(FiringState.HELD, str(error)), given
