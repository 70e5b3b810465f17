"""Recorded traces of GPUs at work and idle: what is missing counts as at work, no live job is proposed (F-39)."""

from __future__ import annotations

import pytest
from traces_kit import PRICE, START, looks, names, play

from mlconsole.domain.idle import IdleClass, Step

ORDER = list(Step)
#: For each trace the classes that may be shown, and the farthest step that may be proposed.
EXPECTED = {
    "abandoned_notebook": ({IdleClass.BUSY, IdleClass.HELD}, Step.TEARDOWN),
    "busy_orphan": ({IdleClass.BUSY, IdleClass.ZOMBIE}, Step.NOTIFY),
    "checkpoint_upload": ({IdleClass.BUSY}, Step.NONE),
    "data_preparation": ({IdleClass.BUSY}, Step.NONE),
    "deadlocked_loader": ({IdleClass.BUSY, IdleClass.HELD, IdleClass.STALLED}, Step.NOTIFY),
    "evaluation_pause": ({IdleClass.BUSY}, Step.NONE),
    "failing_driver": ({IdleClass.BUSY}, Step.NONE),
    "foreign_container": ({IdleClass.BUSY}, Step.NONE),
    "free_gpu": ({IdleClass.EMPTY}, Step.NONE),
    "hung_collective": ({IdleClass.BUSY, IdleClass.STALLED}, Step.NOTIFY),
    "mig_without_utilisation": ({IdleClass.BUSY}, Step.NONE),
    "notebook": ({IdleClass.BUSY, IdleClass.HELD}, Step.NOTIFY),
    "zombie": ({IdleClass.BUSY, IdleClass.ZOMBIE}, Step.TEARDOWN),
}


def test_every_trace_says_what_is_expected_of_it() -> None:
    assert sorted(EXPECTED) == names()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_trace_is_classed_and_proposed_as_expected_and_no_farther(name: str) -> None:
    classes, farthest = EXPECTED[name]

    verdicts = [track.verdict for track in play(looks(name))]

    assert {verdict.idle_class for verdict in verdicts} == classes
    assert max((verdict.step for verdict in verdicts), key=ORDER.index) is farthest


@pytest.mark.parametrize(
    "name",
    ["data_preparation", "evaluation_pause", "checkpoint_upload", "hung_collective", "deadlocked_loader", "notebook"],
)
def test_no_live_job_is_ever_proposed_to_be_ended(name: str) -> None:
    steps = {track.verdict.step for track in play(looks(name))}

    assert not steps & {Step.COUNTDOWN, Step.STOP, Step.TEARDOWN}


def test_a_zombie_is_flagged_within_a_minute_of_its_run_s_end() -> None:
    first = next(track for track in play(looks("zombie")) if track.verdict.idle_class is IdleClass.ZOMBIE)

    assert 600 < first.at_s <= 660
    assert first.verdict.step is Step.NOTIFY


def test_a_hung_collective_is_said_to_stall_within_half_an_hour() -> None:
    first = next(track for track in play(looks("hung_collective")) if track.verdict.idle_class is IdleClass.STALLED)

    assert first.at_s <= 1200 + 1800
    assert "no metric step for 20 min" in first.verdict.why


def test_a_held_gpu_says_for_how_long_nothing_has_moved() -> None:
    held = [track for track in play(looks("abandoned_notebook")) if track.verdict.idle_class is IdleClass.HELD]

    assert held[0].verdict.for_s == pytest.approx(300, abs=10)
    assert held[-1].verdict.for_s == pytest.approx(10_800 - 60, abs=20)


def test_a_countdown_runs_in_full_and_names_the_price() -> None:
    counting = [t.verdict for t in play(looks("abandoned_notebook")) if t.verdict.step is Step.COUNTDOWN]

    assert counting[0].left_s == 600
    assert 0 < (counting[-1].left_s or 0) <= 10
    assert {verdict.price_microusd_per_h for verdict in counting} == {PRICE}


def test_a_zombie_goes_from_its_countdown_to_teardown_because_there_is_no_run_to_stop() -> None:
    steps = list(dict.fromkeys(track.verdict.step for track in play(looks("zombie"))))

    assert steps == [Step.NONE, Step.NOTIFY, Step.COUNTDOWN, Step.TEARDOWN]


def test_an_abandoned_notebook_is_marked_told_of_counted_down_stopped_and_torn_down_in_this_order() -> None:
    steps = list(dict.fromkeys(track.verdict.step for track in play(looks("abandoned_notebook"))))

    assert steps == [Step.NONE, Step.MARK, Step.NOTIFY, Step.COUNTDOWN, Step.STOP, Step.TEARDOWN]


def test_what_is_kept_is_marked_and_no_more_until_the_time_is_over() -> None:
    tracks = play(looks("abandoned_notebook", keep_until_s=9000))

    kept = [track for track in tracks if (track.now - START).total_seconds() < 9000]
    assert {track.verdict.step for track in kept} == {Step.NONE, Step.MARK}
    assert all(track.verdict.is_kept for track in kept)
    counting = next(track for track in tracks if track.verdict.step is Step.COUNTDOWN)
    assert (counting.at_s, counting.verdict.left_s) == (9000, 600)


def test_a_kept_zombie_is_still_called_one() -> None:
    tracks = play(looks("zombie", keep_until_s=99_999))

    assert tracks[-1].verdict.idle_class is IdleClass.ZOMBIE
    assert tracks[-1].verdict.step is Step.MARK
