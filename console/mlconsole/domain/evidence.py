"""What speaks for and against a GPU being at work, sign by sign; what is missing or old says nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from mlconsole.domain.gpu import UNREAD, GpuReading, Value
from mlconsole.records import record, replace


class Activity(StrEnum):
    """What one piece of evidence says."""

    ACTIVE = "active"
    IDLE = "idle"
    UNKNOWN = "unknown"


class Sign(StrEnum):
    """Where evidence comes from."""

    SM = "sm"
    MEMORY = "memory"
    POWER = "power"
    CPU = "cpu"
    LOG = "log"
    METRICS = "metrics"
    CHECKPOINTS = "checkpoints"


@record
class Evidence:
    """One sign, what it says, and the age of that in seconds. Memory is active while it is held."""

    sign: Sign
    activity: Activity
    age_s: float
    words: str


class Holder(StrEnum):
    """Who holds the GPU's memory. ``UNSEEN``: somebody does, and nothing is known of them."""

    NOBODY = "nobody"
    RUN = "run"
    ENDED_RUN = "ended_run"
    OTHER = "other"
    UNSEEN = "unseen"


@record
class Rules:
    """Thresholds and times. Powers are parts of the GPU's limit above what it draws when idle."""

    stale_s: float = 30.0
    free_mib: float = 600.0
    cpu_percent: float = 2.0
    power_part: float = 0.15
    hard_power_part: float = 0.3
    unknown_idle_power_part: float = 0.2
    most_idle_power_part: float = 0.4
    quiet_s: float = 120.0
    checkpoint_quiet_s: float = 300.0
    held_s: float = 300.0
    held_notify_s: float = 1800.0
    held_countdown_s: float = 7200.0
    countdown_s: float = 600.0
    teardown_s: float = 300.0
    zombie_s: float = 20.0
    zombie_countdown_s: float = 120.0
    stalled_s: float = 1200.0
    stalled_gaps: float = 10.0
    stalled_notify_s: float = 600.0
    grace_s: float = 180.0
    longest_gap_s: float = 60.0
    clock_jump_s: float = 5.0


@record
class Facts:
    """What is known of a holder beside the GPU's own figures. A value of None: it has no such thing.

    ``cpu_percent`` is of its whole process tree, 100 a core. ``log_age_s``, ``metric_age_s`` and ``checkpoint_age_s``
    are the seconds since it last wrote one; ``metric_gap_s`` is the usual time between two of its steps.
    """

    holder: Holder
    cpu_percent: Value[float] | None = UNREAD
    log_age_s: Value[float] | None = None
    metric_age_s: Value[float] | None = None
    metric_gap_s: float | None = None
    checkpoint_age_s: Value[float] | None = None
    keep_until: datetime | None = None
    price_microusd_per_h: int | None = None


@record
class Look:
    """What was seen at one moment. ``at_s`` is a clock that never jumps, ``now`` the time of day."""

    at_s: float
    now: datetime
    facts: Facts
    sm_percent: Value[float] = UNREAD
    memory_mib: Value[float] = UNREAD
    power_w: Value[float] = UNREAD
    power_limit_w: Value[float] = UNREAD
    idle_power_w: float | None = None


def look_at(reading: GpuReading, facts: Facts, at_s: float, now: datetime, idle_power_w: float | None = None) -> Look:
    """The look that a reading and the facts make together; the reading's own age makes its figures older."""
    return Look(
        at_s,
        now,
        facts,
        _older(reading.utilization_percent, reading.age_s),
        _older(reading.memory_used_mib, reading.age_s),
        _older(reading.power_w, reading.age_s),
        _older(reading.power_limit_w, 0.0, is_constant=True),
        idle_power_w,
    )


def weigh(look: Look, rules: Rules) -> tuple[Evidence, ...]:
    """Every sign that there is, and what it says; what is missing or old says nothing."""
    facts = look.facts
    found = [
        _evidence(Sign.SM, look.sm_percent, rules, lambda v: v > 0, "{:.0f} % of the multiprocessors' time"),
        _evidence(Sign.MEMORY, look.memory_mib, rules, lambda v: v > rules.free_mib, "{:,.0f} MiB held"),
        _power(look, rules),
        _evidence(Sign.CPU, facts.cpu_percent, rules, lambda v: v >= rules.cpu_percent, "{:.0f} % of a core"),
        _evidence(Sign.LOG, facts.log_age_s, rules, lambda v: v < rules.quiet_s, "last line {:.0f} s ago"),
        _evidence(Sign.METRICS, facts.metric_age_s, rules, lambda v: v < rules.quiet_s, "last step {:.0f} s ago"),
        _evidence(
            Sign.CHECKPOINTS,
            facts.checkpoint_age_s,
            rules,
            lambda v: v < rules.checkpoint_quiet_s,
            "last written {:.0f} s ago",
        ),
    ]
    return tuple(each for each in found if each is not None)


def _evidence(
    sign: Sign, value: Value[float] | None, rules: Rules, is_active: Callable[[float], bool], words: str
) -> Evidence | None:
    if value is None:
        return None
    if value.value is None:
        return Evidence(sign, Activity.UNKNOWN, value.age_s, value.why)
    said = words.format(value.value)
    if value.age_s > rules.stale_s:
        return Evidence(sign, Activity.UNKNOWN, value.age_s, f"{said}, {value.age_s:.0f} s old")
    return Evidence(sign, Activity.ACTIVE if is_active(value.value) else Activity.IDLE, value.age_s, said)


def _power(look: Look, rules: Rules) -> Evidence | None:
    power, limit = look.power_w, look.power_limit_w.value
    if limit is None and power.is_known:
        return Evidence(Sign.POWER, Activity.UNKNOWN, power.age_s, f"the power limit is {look.power_limit_w.why}")
    ceiling_w = idle_power_w(look, rules) + rules.power_part * (limit or 0.0)
    return _evidence(Sign.POWER, power, rules, lambda v: v > ceiling_w, "{:.0f} W")


def idle_power_w(look: Look, rules: Rules) -> float:
    """What the GPU draws when it does nothing: the least that was seen, or a careful part of its limit.

    A least that is much of the limit is that of a GPU which was never seen doing nothing.
    """
    limit_w = look.power_limit_w.value or 0.0
    if look.idle_power_w is not None and look.idle_power_w <= rules.most_idle_power_part * limit_w:
        return look.idle_power_w
    return rules.unknown_idle_power_part * limit_w


def _older(value: Value[float], by_s: float, *, is_constant: bool = False) -> Value[float]:
    return replace(value, age_s=0.0 if is_constant else value.age_s + by_s)
