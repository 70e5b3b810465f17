"""Policies: when something happens and conditions hold, an action is done, at most so often, within a budget.

Pure: a policy, an event and what is known of its past in, a decision with its reason out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from mlconsole.domain.events import Event
from mlconsole.domain.uptime import Uptime
from mlconsole.records import field, record

DAY_S = 86_400.0
DEEPEST = 8


class FiringState(StrEnum):
    """Where one firing of a policy is.

    ``WAITING`` for its window or price, ``PROPOSED`` for a person, ``DUE`` for the watcher; ``HELD`` was held back,
    ``STUCK`` was begun and nobody saw how it ended.
    """

    HELD = "held"
    WAITING = "waiting"
    PROPOSED = "proposed"
    DUE = "due"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    STUCK = "stuck"
    DECLINED = "declined"
    EXPIRED = "expired"

    @property
    def counts(self) -> bool:
        """True for what counts towards cool-down and limits."""
        return self not in (FiringState.HELD, FiringState.EXPIRED, FiringState.DECLINED)


@record
class Window:
    """A part of the day in a time zone; one that begins after it ends goes over midnight."""

    begin: time
    end: time

    def holds(self, moment: datetime, zone: tzinfo) -> bool:
        """True when the moment is in it."""
        clock = moment.astimezone(zone).time()
        if self.begin <= self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end

    @property
    def words(self) -> str:
        """As it is written."""
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


@record
class Policy:
    """A rule.

    Attributes:
        name: what it is called.
        when: the kind of event that it waits for; ``cron`` for its own clock.
        do: the action's name.
        given: the action's params; texts may hold ``{fields}`` of the event.
        condition: a filter over the event's fields; empty for none.
        cron: its own clock, in five fields.
        zone: the time zone of ``cron`` and ``windows``.
        allow: it acts by itself; otherwise it proposes, and a person says yes.
        cooldown_s: so long after a firing it does not fire.
        per_day: at most so many firings in 24 hours.
        budget_microusd: what the runs that it launches may cost in ``budget_per``; None: no limit of its own.
        budget_per: ``day``, ``week`` or ``month``.
        in_flight: so many of its firings may be under way at once.
        max_depth: how often it may stand in the chain of what caused an event, before it is a loop.
        windows: it acts only within one of these.
        below_microusd_per_h: it acts only while the machine costs less than that.
        expires_s: what waits or is proposed is dropped after that.
        file: where it is written.
        line: and in which line.
    """

    name: str
    when: str
    do: str
    given: Mapping[str, Any] = field(default_factory=dict)
    condition: str = ""
    cron: str = ""
    zone: str = "UTC"
    allow: bool = False
    cooldown_s: float = 0.0
    per_day: int = 24
    budget_microusd: int | None = None
    budget_per: str = "month"
    in_flight: int = 1
    max_depth: int = 1
    windows: tuple[Window, ...] = ()
    below_microusd_per_h: int | None = None
    expires_s: float = DAY_S
    file: str = ""
    line: int = 0

    @property
    def trigger(self) -> str:
        """When it fires, in words."""
        if self.cron:
            return f"cron {self.cron} ({self.zone})"
        return f"{self.when} if {self.condition}" if self.condition else self.when


@record
class Past:
    """An earlier firing, on both clocks."""

    at: datetime
    uptime: Uptime
    state: FiringState

    def ago_s(self, now: datetime, uptime: Uptime) -> float:
        """How long ago it was; on the same boot by the clock that nobody sets, and never less than nothing."""
        if self.uptime.boot_id and self.uptime.boot_id == uptime.boot_id:
            return max(0.0, (uptime.awake_us - self.uptime.awake_us) / 1e6)
        return max(0.0, (now - self.at).total_seconds())


@record
class Facts:
    """What a decision is made from.

    Attributes:
        now: the wall clock.
        uptime: the boot's clock.
        past: the policy's firings that count, of the last day and a half.
        in_flight: how many of them are under way, their runs included.
        chain: the policies that the event goes back to, the first one first.
    """

    now: datetime
    uptime: Uptime
    past: Sequence[Past] = ()
    in_flight: int = 0
    chain: tuple[str, ...] = ()


@record
class Decision:
    """What becomes of a policy that an event fits, and why."""

    state: FiringState
    why: str


def decide(policy: Policy, event: Event, facts: Facts) -> Decision:
    """Whether a policy whose event and condition fit acts, proposes, or is held back."""
    held = _held(policy, event, facts)
    if held:
        return Decision(FiringState.HELD, held)
    return ready(policy, facts.now, None, price_is_known=False)


def ready(policy: Policy, now: datetime, price_microusd_per_h: int | None, *, price_is_known: bool = True) -> Decision:
    """Whether what is not held back can be done now, has to wait, or is a person's to decide."""
    if waits := _waits(policy, now, price_microusd_per_h, price_is_known):
        return Decision(FiringState.WAITING, waits)
    if not policy.allow:
        return Decision(FiringState.PROPOSED, "it may only propose: a person decides")
    return Decision(FiringState.DUE, "it is allowed to act")


def over_budget(policy: Policy, spent_microusd: int, cost_microusd: int | None) -> str:
    """Why a policy's budget does not bear a firing that costs that; empty where it does."""
    if policy.budget_microusd is None:
        return ""
    if cost_microusd is None:
        return "budget: what it would cost is not known; a launch needs a price and a time_limit"
    if spent_microusd + cost_microusd <= policy.budget_microusd:
        return ""
    figures = f"${spent_microusd / 1e6:.2f} spent + ${cost_microusd / 1e6:.2f} for this one"
    return f"budget: {figures} is more than ${policy.budget_microusd / 1e6:.2f} a {policy.budget_per}"


def _held(policy: Policy, event: Event, facts: Facts) -> str:
    """Why it is held back; empty when it is not."""
    age_s = (facts.now - event.at).total_seconds()
    if age_s > max(policy.expires_s, DAY_S):
        return f"it happened {age_s / 3600:.0f} h ago"
    if len(facts.chain) >= DEEPEST:
        return f"the chain of causes is {len(facts.chain)} deep: {' > '.join(facts.chain)}"
    if facts.chain.count(policy.name) >= policy.max_depth:
        return f"loop: it is its own effect: {' > '.join((*facts.chain, policy.name))}"
    ages = sorted(past.ago_s(facts.now, facts.uptime) for past in facts.past if past.state.counts)
    if ages and ages[0] < policy.cooldown_s:
        return f"cool-down: it fired {_words(ages[0])} ago, {_words(policy.cooldown_s)} must pass"
    today = sum(age < DAY_S for age in ages)
    if today >= policy.per_day:
        return f"limit: it has fired {today} times in 24 hours, {policy.per_day} are allowed"
    if facts.in_flight >= policy.in_flight:
        return f"in flight: {facts.in_flight} of it under way, {policy.in_flight} may be"
    return ""


def _waits(policy: Policy, now: datetime, price: int | None, price_is_known: bool) -> str:
    from zoneinfo import ZoneInfo  # 6 ms, where a window is looked at

    if policy.windows and not any(window.holds(now, ZoneInfo(policy.zone)) for window in policy.windows):
        return f"it waits for {', '.join(w.words for w in policy.windows)} ({policy.zone})"
    below = policy.below_microusd_per_h
    if below is None:
        return ""
    if not price_is_known or price is None:
        return "it waits for a price below its limit; the present one is not known"
    if price >= below:
        return f"it waits for less than ${below / 1e6:.2f}/h; the machine costs ${price / 1e6:.2f}/h"
    return ""


def _words(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@record
class Firing:
    """One time that a policy's event and condition fitted: what became of it, and why.

    Attributes:
        number: what people call it by.
        policy: which one.
        key: what makes it this one and no other.
        event: the event that set it off.
        at: when.
        state: where it is.
        why: the reason of that.
        do: the action.
        given: the params that it got, the event's fields filled in.
        chain: the policies that it goes back to, its own the last.
        tries: how often it was begun.
        begun: the action has made its first change.
        run_id: the run that it launched; empty for none.
        cost_microusd: what its plan said that it would cost.
        started_at: when it was begun.
        ended_at: when it was over.
        who: who decided, where a person did.
        told: the event's kind and subject, in words.
    """

    number: int
    policy: str
    key: str
    event: int | None
    at: datetime
    state: FiringState
    why: str
    do: str
    given: Mapping[str, Any]
    chain: tuple[str, ...] = ()
    tries: int = 0
    begun: bool = False
    run_id: str = ""
    cost_microusd: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    who: str = ""
    told: str = ""

    @property
    def because(self) -> str:
        """What set it off, in words: the event, or the time at which its own clock struck."""
        return self.key if self.key.startswith("cron:") or not self.told else self.told


@record
class PolicyRow:
    """A policy as it stands: what it is, whether it is armed, and how often it did what in the last day."""

    policy: Policy
    applied_at: datetime
    applied_by: str
    last_at: datetime | None = None
    fired: int = 0
    held: int = 0
    waiting: int = 0


@record
class PolicyPage:
    """A policy with its newest firings, those held back included."""

    row: PolicyRow
    firings: tuple[Firing, ...]


@record
class PolicyChange:
    """What applying a file would do with one policy: ``add``, ``change``, ``keep``, ``remove`` or ``refuse``."""

    what: str
    name: str
    words: str
    line: int = 0
