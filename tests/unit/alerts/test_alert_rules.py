"""When looks become an alert, and when it is over."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta

import pytest

from catalogkit import NOW
from mlconsole.domain.alerts import AlertRules, AlertState, AlertStep, Severity, Signal, Track, Verdict, follow, wake

LETTER = {"b": Verdict.BAD, "-": Verdict.BETWEEN, "c": Verdict.CLEAN, "?": Verdict.INSUFFICIENT}
SLOW = AlertRules(k=3, n=5, m=2, cool_down_s=0.0)


def signal(letter: str, rules: AlertRules = SLOW, severity: Severity = Severity.WARNING) -> Signal:
    return Signal("monitor:m", "monitor", "monitor:m", LETTER[letter], "it moved", severity, rules=rules)


def story(looks: str, rules: AlertRules = SLOW, every_s: float = 60.0, track: Track | None = None) -> list[AlertState]:
    """The states that a series of looks goes through."""
    states, now, track = [], NOW, track or Track()
    for letter in looks:
        track, step = follow(track, signal(letter, rules), now)
        states += [step.state] if step else []
        now += timedelta(seconds=every_s)
    return states


@pytest.mark.parametrize(
    ("looks", "states"),
    [
        ("ccccc", []),
        ("bc", ["pending"]),
        ("bcccccc", ["pending", "ok"]),
        ("bcbcb", ["pending", "firing"]),
        ("bbcccccb", ["pending", "ok", "pending"]),
        ("bbbcc", ["pending", "firing", "resolved"]),
        ("bbbcbcc", ["pending", "firing", "resolved"]),
        ("bbbc-c-c-", ["pending", "firing"]),
        ("-----", []),
        ("?", ["insufficient"]),
        ("?c", ["insufficient", "ok"]),
        ("?bbb", ["insufficient", "pending", "firing"]),
        ("bbb??cc", ["pending", "firing", "resolved"]),
        ("bb?b", ["pending", "insufficient", "pending"]),
    ],
)
def test_looks_bring_these_states(looks: str, states: list[str]) -> None:
    assert [state.value for state in story(looks)] == states


def test_too_little_to_judge_by_never_ends_an_alert_and_is_never_ok() -> None:
    assert story("bbb" + "?" * 50) == [AlertState.PENDING, AlertState.FIRING]


def test_what_flaps_a_thousand_times_an_hour_is_one_incident() -> None:
    rules = AlertRules(k=1, n=1, m=1, cool_down_s=600.0)

    states = story("bc" * 1000, rules, every_s=1.8)

    assert states == [AlertState.FIRING]


def test_it_ends_once_when_it_has_been_quiet_for_the_cool_down() -> None:
    rules = AlertRules(cool_down_s=600.0)

    assert story("bc" * 10 + "c" * 20, rules, every_s=60.0) == [AlertState.FIRING, AlertState.RESOLVED]


def test_setting_the_clock_back_makes_the_cool_down_no_longer_than_it_is() -> None:
    rules = AlertRules(cool_down_s=600.0)
    track, _ = follow(Track(), signal("b", rules), NOW)
    earlier = NOW - timedelta(hours=1)
    track, _ = follow(track, signal("c", rules), earlier)

    _, step = follow(track, signal("c", rules), earlier + timedelta(seconds=600))

    assert step is not None and step.state is AlertState.RESOLVED


def test_what_was_acked_fires_again_only_when_it_gets_worse() -> None:
    acked = Track(AlertState.ACKED, "bbb", 0, Severity.WARNING, NOW)

    same, step = follow(acked, signal("b"), NOW)
    assert step is None
    _, step = follow(same, signal("b", severity=Severity.CRITICAL), NOW)
    assert step == AlertStep(AlertState.FIRING, "it has become critical: it moved")


def test_a_snooze_ends_when_its_time_has_come() -> None:
    until = NOW + timedelta(hours=1)
    snoozed = Track(AlertState.SNOOZED, "bbb", 0, Severity.WARNING, NOW, until)

    assert follow(snoozed, signal("b"), NOW)[1] is None
    assert wake(snoozed, until - timedelta(seconds=1))[1] is None
    _, step = wake(snoozed, until)
    assert step is not None and step.state is AlertState.FIRING


@pytest.mark.parametrize("state", [AlertState.ACKED, AlertState.SNOOZED])
def test_what_somebody_is_at_is_over_when_it_is_over(state: AlertState) -> None:
    track = Track(state, "bbb", 0, Severity.WARNING, NOW, NOW + timedelta(days=1))

    assert story("cc", track=track) == [AlertState.RESOLVED]


def test_any_story_opens_before_it_closes_and_never_twice() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(300):
        rules = AlertRules(
            k=dice.randint(1, 3), n=dice.randint(3, 6), m=dice.randint(1, 3), cool_down_s=dice.choice((0, 300))
        )
        states = story("".join(dice.choices("bc-?", (3, 3, 1, 1), k=60)), rules)
        kept = [state for state in states if state in (AlertState.FIRING, AlertState.RESOLVED)]
        assert kept[:1] in ([], [AlertState.FIRING])
        assert all(a is not b for a, b in itertools.pairwise(kept))
