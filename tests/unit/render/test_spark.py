from __future__ import annotations

import math

import pytest

from mlconsole.render.spark import bar, course, sparkline


def test_a_sparkline_rises_with_its_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"


def test_a_sparkline_keeps_a_spike_however_narrow_it_is() -> None:
    assert "█" in sparkline([0.0] * 500 + [9.0] + [0.0] * 499, 10)


def test_a_sparkline_shows_what_is_not_a_number() -> None:
    assert sparkline([1.0, math.nan, 2.0], 3) == "▁×█"


def test_a_sparkline_without_values_is_blank() -> None:
    assert sparkline([], 5) == "     "


def test_a_constant_sparkline_is_flat() -> None:
    assert sparkline([3.0, 3.0], 4) == "▁▁  "


@pytest.mark.parametrize(
    ("fraction", "drawn"), [(0, "    "), (0.5, "██  "), (1, "████"), (0.3125, "█▎  "), (7, "████"), (math.nan, "    ")]
)
def test_a_bar_is_exact_to_an_eighth(fraction: float, drawn: str) -> None:
    assert bar(fraction, 4) == drawn


def test_ascii_twins_are_ascii() -> None:
    assert (sparkline([1.0, 2.0, math.nan], 3, is_ascii=True) + bar(0.5, 6, is_ascii=True)).isascii()


def test_a_course_falls_as_a_line() -> None:
    assert course([3.0, 2.0, 1.0, 0.0], 2) == "⠑⢄"
    assert course([3.0, 0.0], 2) == "⠑⣄"


def test_a_course_keeps_a_spike_and_shows_gaps() -> None:
    assert course([0.0] * 501 + [9.0] + [0.0] * 498, 10) == "⣀⣀⣀⣀⣀⣇⣀⣀⣀⣀"
    assert course([1.0, math.nan, 1.0], 4) == "⡀×⣀ "
    assert course([math.nan], 2) == "× "


def test_a_course_in_ascii_is_a_sparkline() -> None:
    assert course([1.0, 2.0, math.nan], 3, is_ascii=True).isascii()


def test_a_bar_with_a_track_shows_what_is_left() -> None:
    assert bar(0.52, 6, track="░") == "███░░░"
