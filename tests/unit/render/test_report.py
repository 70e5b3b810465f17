from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from hostile import STRINGS, raw_controls
from mlconsole.domain.compare import compare
from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import MetricSummary, Outcome, ParamValue, Run, State
from mlconsole.render.figures import POINTS, curve, curves_figure, parallel_figure
from mlconsole.render.report import Report, page

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def run(number: int, last: float = 0.5, **params: ParamValue) -> Run:
    return Run(
        number=number,
        id=f"run{number}",
        name=f"name-{number}",
        experiment="digits",
        state=State.ENDED,
        outcome=Outcome.SUCCEEDED,
        created_at=NOW,
        params=params,
        metrics={"loss": MetricSummary(last, 0.1, 1.0, 9, 10)},
    )


def history(values: Sequence[float]) -> MetricHistory:
    return MetricHistory("run1", "loss", list(range(len(values))), [0.0] * len(values), list(values))


def report(*runs: Run, traceback: str = "") -> Report:
    curves = {"loss": [curve(one, place, history([1.0, math.nan, 0.5])) for place, one in enumerate(runs)]}
    details = tuple(RunDetails(one, traceback) for one in runs)
    return Report(details, compare(runs), curves, "loss", ())


class Page(HTMLParser):
    """Tags, links and text of a page, as a browser would take it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.shown: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def test_a_report_loads_nothing_from_anywhere() -> None:
    text = page(report(run(1, lr=0.1), run(2, lr=0.2)), NOW)

    assert Page(text).links == []
    assert "default-src 'none'" in text


def test_a_report_holds_plotly_once() -> None:
    assert page(report(run(1), run(2)), NOW).count("plotly.js v") == 1


def test_a_report_names_the_failure() -> None:
    text = page(report(run(1), traceback="Traceback\n  File x\nValueError: <bad>"), NOW)

    assert "ValueError: &lt;bad&gt;" in text


def told_by(text: str) -> str:
    """The page of a run in which every text is the given one."""
    one = Run(
        number=1,
        id="run1",
        name=text,
        experiment=text,
        state=State.ENDED,
        outcome=Outcome.FAILED,
        created_at=NOW,
        reason=text,
        host=text,
        user=text,
        command=(text,),
        commit=text,
        params={"lr": text, text: 1},
        metrics={"loss": MetricSummary(0.5, 0.1, 1.0, 9, 10), text: MetricSummary(0.5, 0.1, 1.0, 9, 10)},
    )
    return page(report(one, run(2, lr=2), traceback=text), NOW)


@pytest.mark.parametrize("foreign", STRINGS.values(), ids=STRINGS)
def test_foreign_text_in_a_report_makes_no_tag_and_no_control(foreign: str) -> None:
    text = told_by(foreign)

    assert Page(text).tags == Page(told_by("tame")).tags
    plotly_cut_out = re.sub(r"<script>/\*\*.*?</script>", "", text, flags=re.S)
    assert raw_controls(plotly_cut_out, allowed="\n\t") == set()


def test_nan_is_a_gap_in_a_curve_and_is_counted() -> None:
    drawn = curve(run(1), 0, history([1.0, math.nan, math.inf, 0.5]))
    figure = json.loads(curves_figure("loss", [drawn]).to_json())

    assert figure["data"][0]["y"] == [1.0, None, None, 0.5]
    assert drawn.gaps == 2


def test_a_curve_can_be_switched_to_a_logarithmic_axis() -> None:
    figure = curves_figure("loss", [curve(run(1), 0, history([1.0, 2.0]))])

    assert [button.label for button in figure.layout.updatemenus[0].buttons] == ["linear", "log"]


def test_a_diverging_curve_does_not_flatten_the_others() -> None:
    curves = [curve(run(1), 0, history([1.0, 0.5])), curve(run(2), 1, history([1.0, 1e30]))]

    assert curves_figure("loss", curves).layout.yaxis.type == "log"
    assert curves_figure("loss", curves[:1]).layout.yaxis.type is None


def test_a_thinned_curve_keeps_every_spike_and_gap() -> None:
    values = [1.0] * 1_000_000
    values[123_456], values[777_777], values[500_000] = 99.0, -99.0, math.nan

    drawn = curve(run(1), 0, history(values))

    assert len(drawn.values) <= 1.6 * POINTS
    assert {99.0, -99.0} <= set(drawn.values)
    assert any(math.isnan(value) for value in drawn.values)
    assert drawn.steps == sorted(drawn.steps) and drawn.count == 1_000_000


def test_every_run_keeps_its_look_in_every_figure() -> None:
    first, second = (curves_figure("k", [curve(run(7), 3, history([1.0]))]).data[0].line for _ in range(2))

    assert (first.color, first.dash) == (second.color, second.dash)


def test_parallel_coordinates_have_an_axis_for_each_param_that_differs_and_one_for_the_metric() -> None:
    runs = [run(1, 0.3, lr=0.001, opt="sgd"), run(2, 0.2, lr=0.1, opt="adam"), run(3, 0.1, lr=1.0, opt="sgd")]

    figure = parallel_figure(runs, ["lr", "opt"], "loss")

    names, lr, opt, loss = figure.data[0].dimensions
    assert list(names.ticktext) == ["name-1", "name-2", "name-3"]
    assert lr.label == "lr (log)" and list(lr.values) == pytest.approx([-3, -1, 0])
    assert list(opt.ticktext) == ["adam", "sgd"] and list(opt.values) == [1, 0, 1]
    assert list(loss.values) == [0.3, 0.2, 0.1]


def test_a_param_that_a_run_lacks_is_a_category_of_its_own() -> None:
    figure = parallel_figure([run(1, lr=0.1), run(2)], ["lr"], "loss")

    assert list(figure.data[0].dimensions[1].ticktext) == ["-", "0.1"]


def test_a_param_that_does_not_differ_among_the_drawn_runs_has_no_axis() -> None:
    figure = parallel_figure([run(1, lr=0.1, seed=1), run(2, lr=0.2, seed=1)], ["lr", "seed"], "loss")

    assert [axis.label for axis in figure.data[0].dimensions] == ["run", "lr", "loss"]


def test_a_diverged_run_is_left_out_of_parallel_coordinates_and_named() -> None:
    text = page(report(run(1, lr=1), run(2, lr=2), run(3, math.nan, lr=3)), NOW)

    assert "not drawn here: name-3" in text


def test_one_run_has_no_parallel_coordinates() -> None:
    assert '"parallel"' not in page(report(run(1, lr=1)), NOW)


def test_differing_params_stand_before_equal_ones() -> None:
    text = page(report(run(1, aaa=1, zzz=1), run(2, aaa=1, zzz=2)), NOW)

    assert text.index("<td>zzz</td>") < text.index("<td>aaa</td>")
