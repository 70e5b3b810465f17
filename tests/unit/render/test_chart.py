from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlconsole.domain.histories import MetricBuckets, MetricHistory
from mlconsole.render.chart import Canvas, ChartSpec, View, draw
from mlconsole.render.curves import Curve, XAxis, colours, from_buckets, from_history
from mlconsole.render.legend import SHAPES
from mlconsole.render.raster import Dots
from mlconsole.render.width import cell_width

NAN, INF = math.nan, math.inf


def curve(values: list[float], run: str = "r1", name: str = "churn-v7", axis: XAxis = XAxis.STEP) -> Curve:
    steps = list(range(len(values)))
    return from_history(MetricHistory(run, "loss", steps, [float(step) for step in steps], values), name, axis)


def text(canvas: Canvas) -> list[str]:
    return ["".join(span.text for span in line) for line in canvas.lines]


def tokens(canvas: Canvas, char: str) -> set[str]:
    return {span.token for line in canvas.lines for span in line if char in span.text}


def test_a_falling_curve_is_drawn_with_axes_ticks_and_its_last_value() -> None:
    assert text(draw([curve([4.0, 3.0, 2.0, 1.0, 0.0])], ChartSpec(30, 8, "loss", dots=Dots.ASCII))) == [
        "loss                    0  @ 4",
        "4+****                        ",
        " |    *******                 ",
        "2+           *******          ",
        " |                  ******    ",
        "0+                        ****",
        " ++-------------+-------- step",
        "  0             2            4",
    ]


@pytest.mark.parametrize("dots", Dots)
def test_every_line_is_as_wide_as_asked(dots: Dots) -> None:
    canvas = draw([curve([1.0, NAN, 5.0]), curve([2.0, 3.0], "r2")], ChartSpec(50, 12, "模型 loss", dots=dots))
    assert {cell_width(line) for line in text(canvas)[:-1]} == {50}
    assert len(canvas.lines) == 12


def test_ascii_charts_are_ascii() -> None:
    values = [math.sin(index / 9) for index in range(90)]
    canvas = draw([curve([*values, NAN, INF, -INF]), curve(values, "r2")], ChartSpec(60, 14, "loss", dots=Dots.ASCII))
    assert all(line.isascii() for line in text(canvas))


def test_a_spike_among_a_million_points_is_seen() -> None:
    values = [0.5] * 100_000
    values[77_777] = 9.0
    canvas = draw([curve(values)], ChartSpec(80, 20, "loss", dots=Dots.ASCII))
    assert "*" in text(canvas)[1]


def test_a_gap_breaks_the_line() -> None:
    whole = text(draw([curve([1.0, 1.0, 1.0, 1.0])], ChartSpec(40, 8, dots=Dots.ASCII)))
    broken = text(draw([curve([1.0, NAN, NAN, 1.0])], ChartSpec(40, 8, dots=Dots.ASCII)))
    assert max(line.count("*") for line in broken) < max(line.count("*") for line in whole) / 4


def test_nan_and_both_infinities_have_marks_of_their_own() -> None:
    canvas = draw([curve([1.0, NAN, 2.0, INF, 1.0, -INF, 2.0])], ChartSpec(40, 10))
    lines = text(canvas)
    assert "×" in lines[-2]
    assert "▲" in lines[1]
    assert "▼" in lines[-3]
    assert tokens(canvas, "×") == {"mark.nan"}
    assert tokens(canvas, "▲") == {"mark.inf"}


def test_a_metric_that_is_nan_from_the_start_is_still_shown() -> None:
    assert "×" in "".join(text(draw([curve([NAN, NAN, NAN])], ChartSpec(40, 8))))


def test_the_cursor_reads_the_value_of_every_curve() -> None:
    canvas = draw([curve([1.0, 2.0, 3.0]), curve([7.0, 8.0, 9.0], "r2", "other")], ChartSpec(60, 12, cursor=1))
    assert [(one.name, one.value) for one in canvas.readouts] == [("churn-v7", 2.0), ("other", 8.0)]
    assert "churn-v7 2" in text(canvas)[-1]
    assert "@ 1" in text(canvas)[0]


def test_a_read_out_bucket_tells_its_extremes() -> None:
    buckets = MetricBuckets("r1", "loss", [0, 128], [0.0, 1.0], [0.1, 0.2], [0.9, 0.8], [0.5, 0.5], [0, 0], 256)
    assert "0.5 (0.2 to 0.8)" in text(draw([from_buckets(buckets, "a")], ChartSpec(60, 10, cursor=200)))[0]


def test_a_column_of_the_field_tells_its_x() -> None:
    canvas = draw([curve([0.0] * 101)], ChartSpec(60, 10))
    assert canvas.x_at(canvas.left) == 0
    assert canvas.x_at(canvas.left + canvas.columns - 1) == pytest.approx(100)
    assert canvas.x_at(0) is None


def test_a_view_shows_only_its_part_and_scales_to_it() -> None:
    values = [100.0, *([1.0] * 50), *([2.0] * 50)]
    canvas = draw([curve(values)], ChartSpec(60, 12, view=View(x0=10, x1=100)))
    assert canvas.y is not None
    assert canvas.y.high <= 2.0


def test_a_view_between_two_points_shows_the_line_that_joins_them() -> None:
    canvas = draw([curve([0.0, 10.0])], ChartSpec(40, 10, view=View(x0=0.4, x1=0.6), dots=Dots.ASCII))
    assert "*" in "".join(text(canvas)[1:-2])


def test_a_legend_names_every_run_with_a_shape_of_its_own() -> None:
    canvas = draw([curve([1.0, 2.0], f"r{index}", f"run-{index}") for index in range(4)], ChartSpec(90, 14))
    legend = text(canvas)[-1]
    assert all(f"run-{index}" in legend for index in range(4))
    assert len({legend[legend.index(f"run-{index}") - 2] for index in range(4)}) == 4


def test_a_curve_among_others_bears_its_shape() -> None:
    canvas = draw([curve([1.0, 5.0], "r1"), curve([5.0, 1.0], "r2")], ChartSpec(60, 12))
    shapes = [text(canvas)[-1].split()[0], text(canvas)[-1].split()[3]]
    assert all(any(shape in line for line in text(canvas)[1:-3]) for shape in shapes)


def test_shapes_stand_on_their_curves_also_between_two_points() -> None:
    falling, flat = curve([5.0, 0.0], "r1"), curve([2.0, 2.0], "r3")
    both = text(draw([flat, falling], ChartSpec(90, 20)))[1:17]
    alone = text(draw([falling], ChartSpec(90, 19, view=View(y0=0.0, y1=5.0))))[1:17]
    shape = SHAPES[colours(["r1", "r3"])["r1"]]
    places = [(x, y) for y, line in enumerate(both) for x, char in enumerate(line) if char == shape]
    assert len(places) >= 3
    assert all(alone[y][x] != " " for x, y in places), (places, both, alone)


def test_too_many_runs_for_the_legend_are_counted() -> None:
    canvas = draw([curve([1.0], f"r{index}", f"a-rather-long-name-{index}") for index in range(40)], ChartSpec(60, 12))
    assert any("+" in line and line.strip().rpartition("+")[2].isdigit() for line in text(canvas)[-4:])


def test_smoothing_keeps_the_raw_curve_faintly_behind() -> None:
    canvas = draw([curve([float(index % 5) for index in range(99)])], ChartSpec(60, 14, smoothing=0.9))
    looks = {span.token for line in canvas.lines for span in line if span.token.startswith("series")}
    assert len(looks) == 2
    assert any(look.endswith(".faint") for look in looks)


def test_logarithmic_axes_spread_decades_evenly() -> None:
    canvas = draw([curve([10.0**-power for power in range(7)])], ChartSpec(60, 16, is_y_log=True))
    assert canvas.y is not None
    assert canvas.y.at(1e-3) == pytest.approx(0.5)


def test_each_decade_has_the_digits_that_it_needs() -> None:
    canvas = draw([curve([10.0**-power for power in range(5)])], ChartSpec(60, 16, is_y_log=True))
    labels = {line.split("┤")[0].strip() for line in text(canvas) if "┤" in line}
    assert labels == {"1", "0.1", "0.01", "0.001", "0.0001"}


def test_an_axis_that_begins_near_zero_begins_at_zero() -> None:
    assert [draw([curve([2.0, low])], ChartSpec(60, 16)).y.low for low in (0.01, 0.5)] == [0.0, 0.5]  # type: ignore[union-attr]


def test_an_empty_chart_says_so() -> None:
    assert "no points yet" in "\n".join(text(draw([], ChartSpec(40, 8, "loss"))))


def test_a_tiny_place_gets_words_and_no_error() -> None:
    for width in range(1, 20):
        for height in range(1, 6):
            assert len(draw([curve([1.0, 2.0])], ChartSpec(width, height, "loss")).lines) == height


def test_hostile_names_come_out_harmless() -> None:
    canvas = draw([curve([1.0], "r1", "\x1b[2J"), curve([1.0], "r2", "a\u202eb\n")], ChartSpec(60, 12, "\x1b]0;x\x07"))
    assert all(unicodedata.category(char) not in ("Cc", "Cf") for line in text(canvas) for char in line)


ANY_VALUE = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, -1.0]))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(ANY_VALUE, max_size=30), max_size=3),
    st.integers(1, 60),
    st.integers(1, 20),
    st.sampled_from(list(Dots)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.6, 0.99]),
)
def test_no_numbers_and_no_size_break_a_chart(
    runs: list[list[float]], width: int, height: int, dots: Dots, y_log: bool, x_log: bool, smoothing: float
) -> None:
    spec = ChartSpec(width, height, "loss", is_y_log=y_log, is_x_log=x_log, smoothing=smoothing, dots=dots, cursor=3)
    canvas = draw([curve(values, f"r{index}") for index, values in enumerate(runs)], spec)
    assert len(canvas.lines) == height
