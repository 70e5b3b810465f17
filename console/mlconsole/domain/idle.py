"""Is a GPU working, held, stalled, haunted or free? Decided from evidence; unknown counts as active.

A look is what was seen of one GPU and of one who holds its memory; a track is what the looks so far add up to. Nothing
here acts: the steps are proposals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum

from mlconsole.domain.evidence import Activity, Evidence, Holder, Look, Rules, Sign, idle_power_w, weigh
from mlconsole.records import record, replace


class IdleClass(StrEnum):
    """What a GPU does.

    ``BUSY`` works, or may; ``STALLED``: its run lives and makes no headway; ``HELD``: memory is held and nothing moves;
    ``ZOMBIE``: memory is held by a process whose run has ended; ``EMPTY``: nobody holds it.
    """

    BUSY = "busy"
    STALLED = "stalled"
    HELD = "held"
    ZOMBIE = "zombie"
    EMPTY = "empty"


class Step(StrEnum):
    """What is proposed, in the order in which it is."""

    NONE = "none"
    MARK = "mark"
    NOTIFY = "notify"
    COUNTDOWN = "countdown"
    STOP = "stop"
    TEARDOWN = "teardown"


@record
class Verdict:
    """What the looks add up to. ``idle_class`` None: too early to say.

    ``for_s`` is how long it has been so, ``left_s`` what is left of a countdown, ``is_kept`` that somebody asked to
    keep it, ``price_microusd_per_h`` what it costs meanwhile (None: not known).
    """

    idle_class: IdleClass | None
    step: Step
    why: str
    evidence: tuple[Evidence, ...]
    for_s: float = 0.0
    left_s: float | None = None
    is_kept: bool = False
    price_microusd_per_h: int | None = None


@record
class Track:
    """What is remembered between looks; all times are on the looks' own clock."""

    at_s: float
    now: datetime
    verdict: Verdict
    since_s: float
    idle_since_s: float | None = None
    ended_since_s: float | None = None
    countdown_since_s: float | None = None
    grace_until_s: float = 0.0


def follow(track: Track | None, look: Look, rules: Rules | None = None) -> Track:
    """What is known after one more look."""
    rules = rules or Rules()
    evidence = weigh(look, rules)
    after = _begin(track, look, rules)
    if look.at_s < after.grace_until_s:
        verdict = Verdict(None, Step.NONE, "the clock or this console stood still; looking anew", evidence)
        return replace(after, verdict=verdict, since_s=look.at_s)
    after = _remember(after, look, evidence)
    idle_class, why = _classify(after, look, evidence, rules)
    if idle_class is not after.verdict.idle_class:
        after = replace(after, since_s=_began_s(idle_class, after), countdown_since_s=None)
    return _propose(after, look, Verdict(idle_class, Step.NONE, why, evidence), rules)


def _begin(track: Track | None, look: Look, rules: Rules) -> Track:
    """The track with its clocks moved on; after a jump or a gap everything is looked at anew."""
    if track is None:
        nothing = Verdict(None, Step.NONE, "", ())
        return Track(look.at_s, look.now, nothing, look.at_s)
    passed_s = look.at_s - track.at_s
    jumped_s = abs((look.now - track.now).total_seconds() - passed_s)
    after = replace(track, at_s=look.at_s, now=look.now)
    if jumped_s <= rules.clock_jump_s and 0 <= passed_s <= rules.longest_gap_s:
        return after
    return replace(
        after,
        idle_since_s=None,
        ended_since_s=None,
        countdown_since_s=None,
        grace_until_s=look.at_s + rules.grace_s,
    )


def _remember(track: Track, look: Look, evidence: tuple[Evidence, ...]) -> Track:
    """Note since when nothing has moved, and since when the holder's run has ended."""
    is_idle = all(each.activity is Activity.IDLE for each in evidence if each.sign is not Sign.MEMORY)
    has_ended = look.facts.holder is Holder.ENDED_RUN
    return replace(
        track,
        idle_since_s=_since(track.idle_since_s, is_idle, look.at_s),
        ended_since_s=_since(track.ended_since_s, has_ended, look.at_s),
    )


def _since(before: float | None, is_so: bool, at_s: float) -> float | None:
    if not is_so:
        return None
    return at_s if before is None else before


def _classify(track: Track, look: Look, evidence: tuple[Evidence, ...], rules: Rules) -> tuple[IdleClass, str]:
    at_s, says = look.at_s, {each.sign: each.activity for each in evidence}
    if track.ended_since_s is not None and at_s - track.ended_since_s >= rules.zombie_s:
        return IdleClass.ZOMBIE, "a process whose run has ended still holds memory"
    if look.facts.holder is Holder.NOBODY and says[Sign.MEMORY] is Activity.IDLE and says[Sign.SM] is Activity.IDLE:
        return IdleClass.EMPTY, "nobody holds it"
    silent_s = _silent_s(look, says, rules)
    if silent_s is not None:
        return IdleClass.STALLED, f"no metric step for {silent_s / 60:.0f} min, and little power is drawn"
    if track.idle_since_s is None:
        return IdleClass.BUSY, _what_moves(evidence)
    if look.facts.holder in (Holder.NOBODY, Holder.UNSEEN):
        return IdleClass.BUSY, "somebody who cannot be seen holds memory"
    idle_s = at_s - track.idle_since_s
    if idle_s < rules.held_s or look.facts.holder is Holder.ENDED_RUN:
        return IdleClass.BUSY, f"nothing has moved for {_coarse(idle_s)}"
    return IdleClass.HELD, "memory is held and nothing moves"


def _coarse(seconds: float) -> str:
    """A time in words that do not change each second."""
    return f"{seconds // 10 * 10:.0f} s" if seconds < 60 else f"{seconds // 60:.0f} min"


def _began_s(idle_class: IdleClass, track: Track) -> float:
    """When a class that begins to be shown began to be so."""
    began_s = {IdleClass.HELD: track.idle_since_s, IdleClass.ZOMBIE: track.ended_since_s}.get(idle_class)
    return track.at_s if began_s is None else began_s


def _silent_s(look: Look, says: Mapping[Sign, Activity], rules: Rules) -> float | None:
    """How long a live run that logs metrics has made no headway; None while it may be making some."""
    facts = look.facts
    if facts.holder is not Holder.RUN or facts.metric_age_s is None or facts.metric_age_s.value is None:
        return None
    progress = (says.get(sign) for sign in (Sign.LOG, Sign.METRICS, Sign.CHECKPOINTS))
    if any(said not in (None, Activity.IDLE) for said in progress) or says[Sign.POWER] is Activity.UNKNOWN:
        return None
    hard_w = idle_power_w(look, rules) + rules.hard_power_part * (look.power_limit_w.value or 0.0)
    patience_s = max(rules.stalled_s, rules.stalled_gaps * (facts.metric_gap_s or 0.0))
    is_working = look.power_w.value is None or look.power_w.value > hard_w
    return None if is_working or facts.metric_age_s.value < patience_s else facts.metric_age_s.value


def _what_moves(evidence: tuple[Evidence, ...]) -> str:
    moving = [each for each in evidence if each.sign is not Sign.MEMORY and each.activity is not Activity.IDLE]
    first = min(moving, key=lambda each: each.activity is Activity.UNKNOWN)
    said = "unknown" if first.activity is Activity.UNKNOWN else "active"
    return f"{first.sign.value} is {said}: {first.words}"


def _propose(track: Track, look: Look, verdict: Verdict, rules: Rules) -> Track:
    facts, for_s = look.facts, look.at_s - track.since_s
    is_kept = facts.keep_until is not None and look.now < facts.keep_until
    is_due = not is_kept and _may_count_down(track, verdict, look.at_s, rules)
    counting_since_s = _since(track.countdown_since_s, is_due, look.at_s)
    counted_s = None if counting_since_s is None else look.at_s - counting_since_s
    verdict = replace(
        verdict,
        step=_step(verdict.idle_class, for_s, counted_s, is_kept, rules),
        for_s=for_s,
        left_s=None if counted_s is None else max(0.0, rules.countdown_s - counted_s),
        is_kept=is_kept,
        price_microusd_per_h=facts.price_microusd_per_h,
    )
    return replace(track, verdict=verdict, countdown_since_s=counting_since_s)


def _may_count_down(track: Track, verdict: Verdict, at_s: float, rules: Rules) -> bool:
    """Only what is known to be idle, by every sign there is, is ever counted down; a live run that stalls never is."""
    if track.idle_since_s is None:
        return False
    idle_s = at_s - track.idle_since_s
    if verdict.idle_class is IdleClass.ZOMBIE:
        return idle_s >= rules.zombie_countdown_s
    return verdict.idle_class is IdleClass.HELD and idle_s >= rules.held_countdown_s


def _step(idle_class: IdleClass | None, for_s: float, counted_s: float | None, is_kept: bool, rules: Rules) -> Step:
    if idle_class not in _NOTIFIED_AFTER:
        return Step.NONE
    if is_kept:
        return Step.MARK
    if counted_s is None:
        return Step.NOTIFY if for_s >= _NOTIFIED_AFTER[idle_class](rules) else Step.MARK
    if counted_s < rules.countdown_s:
        return Step.COUNTDOWN
    is_stopped_in_vain = counted_s >= rules.countdown_s + rules.teardown_s
    return Step.TEARDOWN if idle_class is IdleClass.ZOMBIE or is_stopped_in_vain else Step.STOP


_NOTIFIED_AFTER: dict[IdleClass | None, Callable[[Rules], float]] = {
    IdleClass.ZOMBIE: lambda rules: 0.0,
    IdleClass.STALLED: lambda rules: rules.stalled_notify_s,
    IdleClass.HELD: lambda rules: rules.held_notify_s,
}
