"""Figures that waver stand still, and are never far from what was read."""

from __future__ import annotations

from mlconsole.tui.steady import Steady


def test_a_figure_that_wavers_is_shown_as_it_was_and_never_further_off_than_allowed() -> None:
    steady = Steady()

    shown = [steady("power", watts, 5) for watts in (640, 644, 637, 646, 642, 640.5)]

    assert shown == [640, 640, 640, 646, 646, 640.5]


def test_a_slow_drift_is_followed() -> None:
    steady = Steady()

    shown = [steady("power", watts, 5) for watts in range(600, 700)]

    assert all(abs(at - watts) <= 5 for at, watts in zip(shown, range(600, 700), strict=True))


def test_each_figure_has_its_own_past() -> None:
    steady = Steady()

    assert [steady("a", 1, 5), steady("b", 3, 5), steady("a", 2, 5)] == [1, 3, 1]
