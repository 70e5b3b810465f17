from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traces_kit import START, play

from mlconsole.domain.evidence import Activity, Facts, Holder, Look, Rules, Sign, look_at, weigh
from mlconsole.domain.gpu import GpuReading, Value, known, missing
from mlconsole.domain.idle import IdleClass, Step, Track, follow

RULES = Rules()
LIVE = (Step.COUNTDOWN, Step.STOP, Step.TEARDOWN)
IDLE = Look(
    0.0,
    START,
    Facts(Holder.OTHER, cpu_percent=known(0.0)),
    known(0.0),
    known(38_000.0),
    known(113.0),
    known(700.0),
    70.0,
)


def at(look: Look, at_s: float, jump_s: float = 0.0, **changes: object) -> Look:
    return replace(look, at_s=at_s, now=START + timedelta(seconds=at_s + jump_s), **changes)  # type: ignore[arg-type]


def idle_until(end_s: int, start_s: int = 0) -> list[Look]:
    return [at(IDLE, each) for each in range(start_s, end_s, 30)]


def last(looks: Iterable[Look]) -> Track:
    return play(list(looks))[-1]


def test_a_clock_jump_gives_no_verdict_for_the_first_minutes_and_begins_anew() -> None:
    before = last(idle_until(9000))

    jumped = follow(before, at(IDLE, 9000, jump_s=3600))

    assert (jumped.verdict.idle_class, jumped.verdict.step) == (None, Step.NONE)
    later = follow(jumped, at(IDLE, 9030, jump_s=3600))
    assert later.verdict.idle_class is None
    for at_s in range(9060, 9460, 30):
        later = follow(later, at(IDLE, at_s, jump_s=3600))
    assert (later.verdict.idle_class, later.verdict.step) == (IdleClass.BUSY, Step.NONE)


def test_after_a_pause_of_this_console_nothing_is_decided_from_before_it() -> None:
    before = last(idle_until(7400))
    assert before.verdict.step is Step.COUNTDOWN

    after = follow(before, at(IDLE, 7400 + 7200))

    assert (after.verdict.idle_class, after.verdict.step, after.idle_since_s) == (None, Step.NONE, None)


def test_a_clock_that_goes_back_is_a_jump_too() -> None:
    assert follow(last(idle_until(9000)), at(IDLE, 9000, jump_s=-3600)).verdict.step is Step.NONE


def test_one_look_that_could_not_be_read_begins_the_count_anew() -> None:
    looks = [*idle_until(7000), at(IDLE, 7000, sm_percent=missing("GPU lost")), *idle_until(9000, 7030)]

    assert last(looks).verdict.step is Step.NOTIFY


def test_an_old_figure_counts_as_unknown_and_so_as_active() -> None:
    evidence = {each.sign: each for each in weigh(replace(IDLE, sm_percent=known(0.0, age_s=31.0)), RULES)}

    assert evidence[Sign.SM].activity is Activity.UNKNOWN
    assert "31 s old" in evidence[Sign.SM].words


def test_the_age_of_a_reading_makes_every_figure_of_it_older() -> None:
    reading = GpuReading("h", 0, "u", "n", START, age_s=40.0, utilization_percent=known(0.0, 1.0), power_w=known(70.0))

    look = look_at(reading, Facts(Holder.NOBODY, cpu_percent=None), 0.0, START)

    assert look.sm_percent.age_s == 41.0
    assert {each.activity for each in weigh(look, RULES)} == {Activity.UNKNOWN}


def test_power_over_idle_is_measured_against_what_the_gpu_draws_when_it_does_nothing() -> None:
    def says(power_w: float, idle_w: float | None) -> Activity:
        look = replace(IDLE, power_w=known(power_w), idle_power_w=idle_w)
        return next(each.activity for each in weigh(look, RULES) if each.sign is Sign.POWER)

    assert says(170.0, 70.0) is Activity.IDLE
    assert says(180.0, 70.0) is Activity.ACTIVE
    assert says(240.0, None) is Activity.IDLE
    assert says(250.0, None) is Activity.ACTIVE


def test_power_says_nothing_while_the_limit_is_not_known() -> None:
    evidence = weigh(replace(IDLE, power_limit_w=missing("not supported")), RULES)

    assert next(each for each in evidence if each.sign is Sign.POWER).activity is Activity.UNKNOWN


def test_memory_that_nobody_seems_to_hold_is_not_called_free() -> None:
    unseen = replace(IDLE, facts=Facts(Holder.NOBODY, cpu_percent=None))

    verdict = last([at(unseen, each) for each in range(0, 20_000, 30)]).verdict

    assert (verdict.idle_class, verdict.step) == (IdleClass.BUSY, Step.NONE)
    assert "cannot be seen" in verdict.why


def test_a_run_s_end_alone_is_no_zombie_before_its_processes_had_time_to_go() -> None:
    ended = replace(IDLE, facts=Facts(Holder.ENDED_RUN, cpu_percent=known(0.0)))

    assert last([at(ended, 0), at(ended, 10)]).verdict.idle_class is IdleClass.BUSY


def test_the_reason_names_a_sign_that_moves_before_one_that_is_unknown() -> None:
    look = replace(IDLE, sm_percent=missing("no permission"), power_w=known(400.0))

    assert last([look]).verdict.why == "power is active: 400 W"
    unknown = replace(IDLE, sm_percent=missing("no permission"))
    assert last([unknown]).verdict.why == "sm is unknown: no permission"


VALUES = st.one_of(st.just(missing("?")), st.floats(0, 100).map(known), st.floats(0, 1000).map(lambda a: known(0.0, a)))


@st.composite
def unknown_looks(draw: st.DrawFn) -> list[Look]:
    """Hours of idle looks, of which every one lacks at least one sign."""
    looks = []
    for number in range(draw(st.integers(2, 40))):
        look = at(IDLE, number * 60.0)
        hidden = draw(st.sampled_from(("sm_percent", "power_w", "cpu_percent")))
        holder = draw(st.sampled_from((Holder.OTHER, Holder.RUN, Holder.ENDED_RUN)))
        cpu: Value[float] = missing("?") if hidden == "cpu_percent" else known(0.0)
        look = replace(look, facts=Facts(holder, cpu_percent=cpu))
        looks.append(look if hidden == "cpu_percent" else replace(look, **{hidden: missing("?")}))
    return looks


@given(unknown_looks())
@settings(max_examples=60, deadline=None, print_blob=True)
def test_nothing_is_counted_down_while_any_sign_is_unknown(looks: list[Look]) -> None:
    rules = Rules(held_s=0, held_countdown_s=0, zombie_s=0, zombie_countdown_s=0, countdown_s=0, teardown_s=0)

    assert all(track.verdict.step not in LIVE for track in play(looks, rules))


@given(st.lists(st.tuples(VALUES, VALUES, VALUES, st.sampled_from(Holder), st.floats(0, 200)), max_size=30))
@settings(max_examples=60, deadline=None, print_blob=True)
def test_any_looks_whatever_give_a_verdict_whose_times_are_never_negative(
    seen: list[tuple[Value[float], Value[float], Value[float], Holder, float]],
) -> None:
    at_s = 0.0
    looks = []
    for sm, power, cpu, holder, step_s in seen:
        at_s += step_s
        look = at(IDLE, at_s, sm_percent=sm, power_w=power)
        looks.append(replace(look, facts=Facts(holder, cpu_percent=cpu)))

    for track in play(looks):
        assert track.verdict.for_s >= 0
        assert track.verdict.left_s is None or 0 <= track.verdict.left_s <= RULES.countdown_s


@pytest.mark.parametrize("holder", [Holder.RUN, Holder.OTHER])
def test_a_sign_of_life_ends_a_countdown(holder: Holder) -> None:
    looks = [replace(each, facts=Facts(holder, cpu_percent=known(0.0))) for each in idle_until(7400)]
    assert last(looks).verdict.step is Step.COUNTDOWN

    alive = at(IDLE, 7400, facts=Facts(holder, cpu_percent=known(50.0)))

    assert last([*looks, alive]).verdict.step is Step.NONE


def test_a_gpu_that_was_never_seen_doing_nothing_does_not_teach_what_it_draws_then() -> None:
    look = replace(IDLE, power_w=known(400.0), idle_power_w=390.0)

    assert next(each.activity for each in weigh(look, RULES) if each.sign is Sign.POWER) is Activity.ACTIVE
