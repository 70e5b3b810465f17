"""One watches; another takes over only when the first cannot be watching any more."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from mlconsole.actions.uptime import uptime
from mlconsole.catalog.watch_lease import BEAT_NAME, require
from mlconsole.domain.watching import LAPSES_AFTER_S
from mlconsole.errors import LeaseLost
from policykit import Desk


def test_the_first_takes_the_lease_and_the_second_waits(desk: Desk) -> None:
    first, second = desk.claim(), desk.claim()

    assert [first.keep(), second.keep(), first.keep(), second.keep()] == [True, False, True, False]


def test_a_lease_that_is_renewed_is_kept_for_ever(desk: Desk) -> None:
    first, second = desk.claim(), desk.claim()
    for _ in range(100):
        assert first.keep() and not second.keep()
        desk.clock.passes(seconds=2)


def test_a_lease_that_is_not_renewed_lapses_within_fifteen_seconds(desk: Desk) -> None:
    first, second = desk.claim(), desk.claim()
    assert first.keep() and not second.keep()

    desk.clock.passes(seconds=LAPSES_AFTER_S + 1)

    assert second.keep()
    assert not first.keep()


def test_setting_the_wall_clock_takes_the_lease_from_nobody(desk: Desk) -> None:
    first, second = desk.claim(), desk.claim()
    assert first.keep()
    for hours in (24, -25, 1, -1):
        desk.clock.is_set(hours=hours)
        assert not second.keep() and first.keep()


def test_one_that_was_stopped_past_its_lease_may_change_nothing_more(desk: Desk) -> None:
    first, second = desk.claim(), desk.claim()
    assert first.keep() and first.fence is not None
    fence = first.fence
    desk.clock.passes(minutes=5)
    assert second.keep() and second.fence == fence + 1

    with pytest.raises(LeaseLost):
        desk.catalog.write(lambda db: require(db, fence))
    assert not first.keep()


def test_a_process_that_is_gone_needs_no_waiting(desk: Desk) -> None:
    here = replace(desk.process(), host=os.uname().nodename, boot_id=uptime().boot_id, started_ticks=1)
    assert desk.claim(here).keep()

    assert desk.claim().keep()


def test_a_lease_that_was_let_go_of_is_free_at_once(desk: Desk) -> None:
    first, second = desk.claim(), desk.claim()
    first.keep()
    first.let_go()

    assert second.keep() and not first.keep()


def test_the_beats_of_another_machine_are_watched_before_its_lease_is_taken(desk: Desk) -> None:
    elsewhere = replace(desk.process(), host="gpu-2", boot_id="boot-of-gpu-2")
    assert desk.claim(elsewhere).keep()
    here = desk.claim()

    assert not here.keep()
    desk.clock.passes(seconds=LAPSES_AFTER_S - 1)
    assert not here.keep()
    desk.clock.passes(seconds=2)
    assert here.keep()


@pytest.mark.parametrize("noise", [b"", b"[", b"null", b'["a",1,2,3]', b"\xff" * 50])
def test_a_beat_that_cannot_be_read_is_none(desk: Desk, noise: bytes) -> None:
    first, second = desk.claim(), desk.claim()
    assert first.keep()
    (desk.home / BEAT_NAME).write_bytes(noise)

    assert not second.keep() and first.keep()
