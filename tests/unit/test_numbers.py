"""Figures as they stand on the screen."""

from __future__ import annotations

import math

import pytest

from mlconsole.render import numbers

SHOWN = [
    (0.139, "0.1390"),
    (0.9722, "0.9722"),
    (1.0, "1.000"),
    (0.0, "0.000"),
    (-0.5, "-0.5000"),
    (0.05, "0.05000"),
    (12.0, "12"),
    (999.96, "1000"),
    (1e-5, "1.000e-05"),
    (3, "3"),
    (math.nan, "NaN"),
    (None, ""),
]


@pytest.mark.parametrize(("value", "shown"), SHOWN)
def test_a_metric_in_a_column_keeps_the_zeros_at_its_end(value: float | None, shown: str) -> None:
    assert numbers.measured(value) == shown


def test_metrics_under_each_other_are_as_wide() -> None:
    assert len({len(numbers.measured(value)) for value in (0.975, 0.9722, 0.1, 0.5)}) == 1
