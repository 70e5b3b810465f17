from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlconsole.render.scale import fitted, number_label, time_label

FINITE = st.floats(-1e12, 1e12)


@given(FINITE, FINITE, st.integers(2, 12), st.booleans())
def test_ticks_lie_inside_the_scale_in_order(one: float, other: float, most: int, is_log: bool) -> None:
    scale = fitted(min(one, other), max(one, other), is_log=is_log)
    ticks = scale.ticks(most)
    slack = (scale.high - scale.low) * 1e-6
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    assert ticks == sorted(set(ticks))


@given(st.floats(1e-6, 1e6), st.floats(1.5, 1e6), st.booleans(), st.floats(0, 1))
def test_a_value_stands_where_its_fraction_says(low: float, ratio: float, is_log: bool, fraction: float) -> None:
    scale = fitted(low, low * ratio, is_log=is_log)
    assert scale.at(scale.value(fraction)) == pytest.approx(fraction, abs=1e-6)


def test_a_single_value_gets_room_around_it() -> None:
    scale = fitted(5.0, 5.0)
    assert scale.low < 5.0 < scale.high


def test_linear_ticks_are_round() -> None:
    assert fitted(0.03, 0.97).ticks(5) == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_logarithmic_ticks_are_powers_of_ten() -> None:
    assert fitted(0.002, 50.0, is_log=True).ticks(8) == pytest.approx([0.01, 0.1, 1.0, 10.0])


def test_a_logarithmic_scale_puts_what_is_not_positive_at_its_lower_end() -> None:
    assert fitted(0.1, 10.0, is_log=True).at(-3.0) < 0


def test_time_ticks_are_whole_minutes_and_hours() -> None:
    assert fitted(0, 5400).ticks(4, is_time=True) == [0, 1800, 3600, 5400]


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.0, 0.1, "0"),
        (0.25, 0.05, "0.25"),
        (12.0, 2.0, "12"),
        (12000.0, 2000.0, "12k"),
        (3e6, 5e5, "3.0M"),
        (3e-5, 1e-5, "3e-05"),
    ],
)
def test_labels_have_the_digits_that_their_step_needs(value: float, step: float, text: str) -> None:
    assert number_label(value, step) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0"), (45, "45s"), (300, "5m"), (5400, "1h30m"), (172800, "2d")])
def test_times_are_durations(seconds: float, text: str) -> None:
    assert time_label(seconds, 60) == text


def test_what_is_zero_all_the_time_stands_on_the_axis() -> None:
    scale = fitted(0.0, 0.0)
    assert (scale.low, scale.high) == (0.0, 1.0)


def test_time_that_is_counted_back_has_a_sign() -> None:
    assert [time_label(value, 60.0) for value in (-5400.0, -300.0, -0.0, 300.0)] == ["-1h30m", "-5m", "0", "5m"]


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("value", [8.98846567431158e307, sys.float_info.max])
def test_the_largest_numbers_have_a_scale_with_ticks(value: float, is_log: bool) -> None:
    assert all(map(math.isfinite, fitted(value, value, is_log=is_log).ticks(5)))
    assert all(map(math.isfinite, fitted(-value, value, is_log=is_log).ticks(5)))


def test_a_low_chart_has_as_many_ticks_as_were_asked_for_where_round_values_allow_it() -> None:
    assert fitted(0.05, 2.6).ticks(5) == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5])


def test_thousands_are_told_alike_along_an_axis() -> None:
    assert [number_label(value, 5000.0) for value in (5000.0, 10_000.0)] == ["5k", "10k"]
