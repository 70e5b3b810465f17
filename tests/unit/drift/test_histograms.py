"""Histograms of a baseline and a window on the same bins."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from mlconsole.domain.drift import CategoryShape, ColumnProfile, Histogram, Kind, NumberShape
from mlconsole.drift.histograms import histogram
from mlconsole.drift.profile import NumberTally

SEED = 11


def column(values: np.ndarray, edges: np.ndarray, kind: Kind = Kind.FLOAT) -> ColumnProfile:
    tally = NumberTally(array("d", edges.tolist()))
    tally.add(values)
    return ColumnProfile("x", kind, len(values), shape=tally.shape())


def drawn(before: np.ndarray, now: np.ndarray, bins: int = 10, most: int = 101) -> Histogram:
    values = np.sort(np.unique(before))
    edges = values if len(values) <= most else np.unique(np.quantile(before, np.linspace(0, 1, most), method="nearest"))
    found = histogram(column(before, edges), column(now, edges), bins)
    assert found is not None
    return found


def test_bins_are_as_wide_as_each_other_and_hold_what_the_rows_say() -> None:
    r = np.random.default_rng(SEED)
    before, now = r.normal(0, 1, 20_000), r.normal(1, 1, 2_000)
    found = drawn(before, now)

    cuts = np.array([float(label.partition(" to ")[0]) for label in found.labels] + [np.inf])
    assert np.diff(cuts[:-1]) == pytest.approx(np.full(9, cuts[1] - cuts[0]), abs=0.02)
    assert cuts[0] == pytest.approx(np.quantile(before, 0.01), abs=0.05)
    cuts[0] = -np.inf
    for shares, values in ((found.reference, before), (found.current, now)):
        assert sum(shares) == pytest.approx(1)
        assert shares == pytest.approx(np.histogram(values, cuts)[0] / len(values), abs=0.05)


def test_what_lies_beyond_the_baseline_is_in_the_last_bin() -> None:
    r = np.random.default_rng(SEED)
    found = drawn(r.random(5_000), r.random(500) + 100)

    assert found.current[0] == 0 and sum(found.reference[:2]) == pytest.approx(1) and sum(found.current) == 1


def test_few_values_are_drawn_one_by_one() -> None:
    found = drawn(np.repeat([0.0, 1.0, 5.0], 100), np.repeat([0.0, 5.0], 50))

    assert found.labels == ("0", "1", "5")
    assert found.current == pytest.approx((0.5, 0.0, 0.5))


@pytest.mark.parametrize("values", [np.linspace(-1, 1, 500) * 1.7e308, np.full(200, 3.0), np.array([1.0, 2.0])])
def test_odd_numbers_are_drawn_without_a_fault(values: np.ndarray) -> None:
    found = drawn(values, values)

    assert sum(found.reference) == pytest.approx(1) and found.reference == pytest.approx(found.current)


def test_categories_have_their_own_shares_and_nothing_has_no_histogram() -> None:
    before = ColumnProfile("x", Kind.TEXT, 10, shape=CategoryShape(("a", "b"), (7, 3), 0, 2))
    now = ColumnProfile("x", Kind.TEXT, 10, shape=CategoryShape(("a", "b"), (1, 3), 6, 4))

    found = histogram(before, now)
    assert found == Histogram(("a", "b", "(other)"), (0.7, 0.3, 0.0), (0.1, 0.3, 0.6))
    assert histogram(before, ColumnProfile("x", Kind.TEXT, 10, nulls=10)) is None
    assert isinstance(column(np.ones(3), np.ones(1)).shape, NumberShape)
