"""A policy's own clock: no second trigger and none lost, whatever is done to the wall clock (F-11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from mlconsole.policy.clock import slots
from policykit import Desk

HOURLY = """
[policy.hourly]
cron = "0 * * * *"
do = "budget remove"
with = { name = "none" }
allow = true
per_day = 10000
"""


def test_it_strikes_once_an_hour(desk: Desk) -> None:
    desk.arm(HOURLY)
    leader = desk.claim()
    for _ in range(5 * 12 + 1):
        desk.work(leader)
        desk.clock.passes(minutes=5)

    assert len(desk.states()) == 5


def keys(desk: Desk) -> list[str]:
    return [firing.key for firing in reversed(desk.catalog.firings.of_policy("hourly", 1000))]


@pytest.mark.parametrize("hours", [-1, -5])
def test_a_clock_that_is_set_back_triggers_nothing_twice(desk: Desk, hours: int) -> None:
    desk.arm(HOURLY)
    leader = desk.claim()
    for minute in range(12 * 60):
        if minute == 200:
            desk.clock.is_set(hours=hours)
        desk.work(leader) if minute % 5 == 0 else None
        desk.clock.passes(minutes=1)

    found = keys(desk)
    assert len(found) == len(set(found))
    moments = sorted(datetime.fromisoformat(key.partition(":")[2]) for key in found)
    assert {after - before for before, after in pairwise(moments)} == {timedelta(hours=1)}


def test_a_clock_that_jumps_a_day_ahead_and_back_loses_nothing(desk: Desk) -> None:
    desk.arm(HOURLY)
    leader = desk.claim()
    for minute in range(0, 30 * 60, 5):
        desk.work(leader)
        if minute == 100:
            desk.clock.is_set(days=1)
        if minute == 110:
            desk.clock.is_set(days=-1)
        desk.clock.passes(minutes=5)

    struck = [key for key in keys(desk) if key.startswith("cron:")]
    assert len(struck) == len(set(struck)) == 29
    assert len([key for key in keys(desk) if key.startswith("missed:")]) == 23


def test_of_what_was_missed_the_last_counts_and_the_others_are_recorded(desk: Desk) -> None:
    desk.arm(HOURLY)
    leader = desk.claim()
    desk.work(leader)
    desk.clock.passes(hours=7)
    desk.work(desk.claim())

    assert desk.states() == ["held"] * 6 + ["failed"]
    assert "missed: nobody watched" in desk.catalog.firings.of_policy("hourly")[1].why


@pytest.mark.parametrize(
    ("expression", "day", "hours"),
    [
        ("30 2 * * *", datetime(2026, 3, 29, tzinfo=UTC), ["01:00"]),  # 02:30 does not exist: right after the gap
        ("30 2 * * *", datetime(2026, 10, 25, tzinfo=UTC), ["00:30"]),  # 02:30 exists twice: once
        ("0 * * * *", datetime(2026, 3, 29, tzinfo=UTC), [f"{hour:02}:00" for hour in range(1, 24)]),
        ("0 * * * *", datetime(2026, 10, 25, tzinfo=UTC), [f"{hour:02}:00" for hour in range(1, 24)]),
    ],
)
def test_both_changes_of_summer_time_bring_each_trigger_once(expression: str, day: datetime, hours: list[str]) -> None:
    found = slots(expression, "Europe/Berlin", day, day + timedelta(hours=23, minutes=59))

    assert [f"{slot:%H:%M}" for slot in found] == hours


def test_long_times_of_nobody_watching_are_looked_back_on_for_two_days() -> None:
    now = datetime(2026, 5, 4, tzinfo=UTC)

    assert len(slots("0 * * * *", "UTC", now - timedelta(days=400), now)) == 48
