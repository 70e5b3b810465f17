"""A minute of a GPU's use in a dozen cells."""

from __future__ import annotations

from math import isnan, nan

from mlconsole.tui.screens.gpus import LOOKS_A_CELL, peaks


def test_no_peak_of_a_minute_is_lost_and_what_nobody_could_read_is_a_gap() -> None:
    quiet = [0.0] * LOOKS_A_CELL
    assert peaks([*quiet, 0.0, 97.0, nan, 0.0, 0.0, *quiet]) == [0.0, 97.0, 0.0]
    assert isnan(peaks([nan] * LOOKS_A_CELL)[0])


def test_the_newest_looks_fill_the_last_cell() -> None:
    assert peaks([5.0, 1.0, 1.0, 1.0, 1.0, 7.0]) == [5.0, 7.0]
    assert peaks([]) == []
