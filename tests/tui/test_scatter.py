"""The scatter of a param against a metric."""

from __future__ import annotations

from datetime import UTC, datetime

from mlconsole.domain.runs import MetricSummary, Run, State
from mlconsole.render.chart import ChartSpec, draw
from mlconsole.render.legend import SHAPES
from mlconsole.tui.widgets.scatter import numeric_params, points

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(number: int, lr: object, last: float) -> Run:
    summary = MetricSummary(last, None, None, 1, 1)
    params = {"lr": lr, "seed": 1, "amp": True, "name": f"n{number}"}
    return Run(
        number, f"id{number}", f"r{number}", "e", State.ENDED, None, NOW, params=params, metrics={"loss": summary}
    )  # type: ignore[arg-type]


def test_only_numbers_that_differ_are_laid_out() -> None:
    assert numeric_params([run(1, 0.1, 1.0), run(2, 0.2, 2.0)]) == ["lr"]
    assert numeric_params([run(1, 0.1, 1.0), run(2, 0.1, 2.0)]) == []


def test_each_run_has_its_own_shape_at_its_place() -> None:
    curves = points([run(i, 10.0**-i, float(i)) for i in range(5)], "lr", "loss")
    canvas = draw(curves, ChartSpec(80, 24, "loss by lr", is_x_log=True, x_name="lr"))
    field = "".join(span.text for line in canvas.lines[1:-3] for span in line)
    assert sum(shape in field for shape in SHAPES) == 5
    assert any("lr log" in span.text for line in canvas.lines for span in line)


def test_what_is_not_finite_is_a_mark_and_what_is_missing_is_left_out() -> None:
    curves = points([run(1, 0.1, float("nan")), run(2, "auto", 1.0)], "lr", "loss")
    assert [(curve.name, list(curve.xs), curve.marks) for curve in curves] == [("r1", [], ((0.1, "nan"),))]


def test_the_only_run_with_both_has_a_shape_and_a_name_too() -> None:
    canvas = draw(points([run(1, 0.1, 1.0)], "lr", "loss"), ChartSpec(80, 24, "loss by lr", is_scatter=True))
    shown = "".join(span.text for line in canvas.lines for span in line)
    assert sum(shape in shown for shape in SHAPES) == 1
    assert "r1 1" in shown
