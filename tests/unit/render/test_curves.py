from __future__ import annotations

import math

import pytest

from mlconsole.domain.histories import MetricBuckets, MetricHistory
from mlconsole.render.curves import COLOURS, XAxis, colours, from_buckets, from_history, smoothed


def history(values: list[float], steps: list[int] | None = None) -> MetricHistory:
    steps = list(range(len(values))) if steps is None else steps
    return MetricHistory("r1", "loss", steps, [100.0 + 2 * step for step in steps], values)


def test_what_is_not_finite_becomes_a_mark_and_a_gap() -> None:
    curve = from_history(history([1.0, math.nan, 3.0, math.inf, -math.inf, 6.0]), "a")
    assert list(curve.xs) == [0, 2, 5]
    assert curve.marks == ((1, "nan"), (3, "inf"), (4, "-inf"))
    assert curve.breaks == {1, 2}


def test_time_counts_seconds_from_the_first_point() -> None:
    assert list(from_history(history([1.0, 2.0, 3.0]), "a", XAxis.TIME).xs) == [0.0, 2.0, 4.0]


def test_epochs_lie_between_the_logged_ones() -> None:
    epochs = MetricHistory("r1", "epoch", [0, 10, 20], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    curve = from_history(history([1.0, 1.0, 1.0], [0, 5, 25]), "a", XAxis.EPOCH, epochs)
    assert list(curve.xs) == [0.0, 0.5, 2.0]


def test_steps_that_went_back_are_put_in_order() -> None:
    curve = from_history(history([1.0, 2.0, 3.0], [0, 9, 4]), "a")
    assert list(curve.xs) == [0, 4, 9]
    assert list(curve.values) == [1.0, 3.0, 2.0]


def test_a_bucket_without_finite_points_is_a_gap() -> None:
    nan = math.nan
    buckets = MetricBuckets(
        "r1", "loss", [0, 10, 20], [0.0, 1.0, 2.0], [1, nan, 3], [2, nan, 4], [1, nan, 4], [0, 9, 0], 27
    )
    curve = from_buckets(buckets, "a")
    assert (list(curve.lows), list(curve.highs), curve.breaks) == ([1, 3], [2, 4], {1})


def test_a_bucket_with_a_few_gaps_keeps_its_extremes_and_is_marked() -> None:
    buckets = MetricBuckets("r1", "loss", [0, 10], [0.0, 1.0], [1.0, 2.0], [5.0, 6.0], [2.0, 3.0], [0, 1], 256)
    curve = from_buckets(buckets, "a")
    assert list(curve.highs) == [5.0, 6.0]
    assert curve.marks == ((10, "nan"),)


def test_smoothing_starts_at_the_first_value() -> None:
    assert list(smoothed(from_history(history([4.0, 4.0, 4.0]), "a"), 0.9)) == pytest.approx([4.0, 4.0, 4.0])


def test_smoothing_weighs_as_the_formula_says() -> None:
    line = smoothed(from_history(history([1.0, 3.0]), "a"), 0.5)
    assert line[1] == pytest.approx((0.5 * 0.5 * 1.0 + 0.5 * 3.0) / 0.75)


def test_colours_do_not_depend_on_the_order_of_runs() -> None:
    keys = [f"run-{index}" for index in range(5)]
    assert colours(keys) == colours(reversed(keys))


def test_few_runs_never_share_a_colour() -> None:
    for start in range(40):
        assert len(set(colours(f"run-{start + index}" for index in range(COLOURS)).values())) == COLOURS


def test_a_run_alone_keeps_its_colour_among_runs_of_other_colours() -> None:
    alone = colours(["run-1"])["run-1"]
    other = next(f"x{n}" for n in range(99) if colours([f"x{n}"])[f"x{n}"] != alone)
    assert colours(["run-1", other])["run-1"] == alone
