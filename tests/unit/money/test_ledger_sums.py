"""The ledger's arithmetic: runs and IDLE are the machine's cost, always."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mlconsole.domain.ledger import (
    DAY_US,
    Hold,
    Interval,
    Share,
    apportion,
    billed,
    cost_us,
    days,
    intervals,
    nothing_survives_a_restart,
    split,
)
from mlconsole.domain.prices import HOUR_US
from mlconsole.domain.uptime import IDLE, NO_GPU, Uptime

START = 1_750_000_000_000_000
SPAN = 3 * DAY_US
moments = st.integers(START, START + SPAN)
ANY_GPU = st.integers(0, 4)
rates = st.integers(0, 200_000_000)


@st.composite
def holds(draw: st.DrawFn, gpus: st.SearchStrategy[int] = ANY_GPU) -> Hold:
    begin = draw(moments)
    length = draw(st.none() | st.integers(-HOUR_US, 2 * DAY_US))
    return Hold(draw(st.integers(1, 6)), draw(gpus), begin, None if length is None else begin + length)


@given(st.lists(holds(), max_size=12), st.sets(st.integers(1, 4)), st.integers(0, 8), rates, moments, moments)
def test_runs_and_idle_are_the_machines_cost_always(
    held: list[Hold], gpus: set[int], count: int, rate: int, one: int, other: int
) -> None:
    found = intervals([(min(one, other), max(one, other))], [(START, rate)], sorted(gpus), count, held)

    for each in found:
        assert sum(share.microusd for share in each.shares) == each.microusd
        assert all(share.microusd >= 0 and share.gpu_us >= 0 for share in each.shares)
    assert sum(each.microusd for each in found) == cost_us(rate, START, min(one, other), max(one, other))


@given(st.lists(holds(st.integers(1, 4)), max_size=12), st.integers(4, 8), moments, moments)
def test_no_gpu_time_is_counted_twice_or_lost(held: list[Hold], count: int, one: int, other: int) -> None:
    begin, end = min(one, other), max(one, other)

    shares = split(1_000_000, begin, end, [1, 2, 3, 4], count, held) if begin < end else []

    assert sum(share.gpu_us for share in shares) == count * (end - begin)


@given(st.integers(0, 10**13), st.lists(st.integers(0, 10**12) | st.fractions(0, 10**6), min_size=1, max_size=12))
def test_a_sum_is_split_to_the_last_unit_and_nobody_is_a_unit_off(total: int, weights: list[int | Fraction]) -> None:
    parts = apportion(total, weights)

    whole = sum(weights)
    assert sum(parts) == (total if whole else 0)
    assert all(
        abs(part - Fraction(total) * weight / (whole or 1)) < 1 for part, weight in zip(parts, weights, strict=True)
    )


@given(rates, st.lists(moments, min_size=2, max_size=20).map(sorted))
def test_however_time_is_cut_it_costs_the_same(rate: int, cuts: list[int]) -> None:
    pieces = sum(cost_us(rate, START, a, b) for a, b in pairwise(cuts))

    assert pieces == cost_us(rate, START, cuts[0], cuts[-1])


@given(moments, moments, st.integers(0, SPAN), st.integers(0, SPAN), moments, st.booleans(), st.booleans())
def test_paid_time_is_never_negative_and_never_more_than_has_passed(
    settled: int, now: int, before: int, awake: int, last_up: int, same: bool, stops: bool
) -> None:
    found = billed(
        settled, now, Uptime("a", before), Uptime("a" if same else "b", awake), last_up, stops_when_off=stops
    )

    lengths = [b - a for start, end in found for a, b in days(start, end)]
    assert all(length > 0 for length in lengths)
    assert sum(lengths) <= max(0, now - settled)


def of_account(found: list[Interval], account: int) -> int:
    return sum(share.microusd for each in found for share in each.shares if share.account == account)


def test_a_node_at_90_dollars_an_hour_is_2160_a_day_and_four_nodes_are_four_times_that() -> None:
    day = intervals([(START, START + DAY_US)], [(START, 90_000_000)], [1, 2], 8, [])

    assert sum(each.microusd for each in day) == 2_160_000_000
    assert 4 * sum(each.microusd for each in day) == 8_640_000_000


def test_a_run_pays_for_its_gpus_and_the_rest_is_idle() -> None:
    held = [Hold(7, 1, START, START + HOUR_US), Hold(7, 2, START, None), Hold(8, 3, START, None)]

    found = intervals([(START, START + 2 * HOUR_US)], [(START, 8_000_000)], [1, 2, 3, 4], 4, held)

    assert of_account(found, 7) == 6_000_000
    assert of_account(found, 8) == 4_000_000
    assert of_account(found, IDLE) == 6_000_000


def test_a_machine_without_gpus_is_shared_evenly_by_the_runs_alive() -> None:
    held = [Hold(7, NO_GPU, START, None), Hold(8, NO_GPU, START + HOUR_US, START + 2 * HOUR_US)]

    found = intervals([(START - HOUR_US, START + 2 * HOUR_US)], [(START, 1_000_000)], [], 0, held)

    assert (of_account(found, 7), of_account(found, 8), of_account(found, IDLE)) == (1_500_000, 500_000, 1_000_000)


def test_a_run_without_a_gpu_has_no_share_of_a_machine_with_gpus() -> None:
    shares = split(1_000, START, START + HOUR_US, [1], 1, [Hold(7, NO_GPU, START, None)])

    assert shares == [Share(IDLE, 1, HOUR_US, 1_000)]


def test_two_holds_of_one_gpu_are_not_paid_twice() -> None:
    held = [Hold(7, 1, START, START + HOUR_US), Hold(8, 1, START + HOUR_US // 2, START + 2 * HOUR_US)]

    shares = split(2_000, START, START + 2 * HOUR_US, [1], 1, held)

    assert {share.account: share.microusd for share in shares} == {7: 1_000, 8: 1_000}


def test_a_price_that_changed_holds_from_when_it_did() -> None:
    found = intervals([(START, START + 4 * HOUR_US)], [(START, 1_000_000), (START + HOUR_US, 2_000_000)], [1], 1, [])

    assert sum(each.microusd for each in found) == 7_000_000


def test_a_clock_set_back_costs_nothing() -> None:
    assert billed(START, START - HOUR_US, Uptime("a", 0), Uptime("a", 60), 0, stops_when_off=True) == []


def test_a_clock_set_forward_a_day_is_not_a_day_of_cost() -> None:
    found = billed(START, START + DAY_US, Uptime("a", 0), Uptime("a", HOUR_US), 0, stops_when_off=True)

    assert found == [(START, START + HOUR_US)]


def test_a_rented_machine_that_was_switched_off_costs_nothing_meanwhile() -> None:
    now, last_up = START + 10 * HOUR_US, START + 2 * HOUR_US

    found = billed(START, now, Uptime("a", 0), Uptime("b", HOUR_US), last_up, stops_when_off=True)

    assert found == [(START, last_up), (now - HOUR_US, now)]


def test_an_owned_machine_costs_while_it_is_off() -> None:
    now = START + 10 * HOUR_US

    found = billed(START, now, Uptime("a", 0), Uptime("b", HOUR_US), START, stops_when_off=False)

    assert found == [(START, now)]


def test_nothing_is_held_across_a_restart() -> None:
    held = [Hold(7, 1, START, None), Hold(8, 1, START + 3, START + 4), Hold(9, 1, START + 10, None)]

    found = nothing_survives_a_restart(held, START + 5)

    assert [hold.to_us for hold in found] == [START + 5, START + 4, None]


@settings(max_examples=30)
@given(moments, moments)
def test_days_are_cut_at_midnight_utc(one: int, other: int) -> None:
    pieces = list(days(min(one, other), max(one, other)))

    assert all(a // DAY_US == (b - 1) // DAY_US for a, b in pieces)
    assert sum(b - a for a, b in pieces) == abs(one - other)
