from __future__ import annotations

import math
from typing import Any

from robot import robot
from textual.app import App, ComposeResult

from mlconsole.domain.histories import MetricHistory
from mlconsole.tui.widgets.chart_sheet import places
from mlconsole.tui.widgets.charts import Charts
from mlconsole.tui.widgets.look import Look


def metric(key: str, count: int = 101, start: float = 1.0) -> MetricHistory:
    steps = list(range(count))
    return MetricHistory("run1", key, steps, [10.0 * step for step in steps], [start + step / 100 for step in steps])


class ChartApp(App[None]):
    def __init__(self, metrics: list[MetricHistory], look: Look | None = None) -> None:
        super().__init__(ansi_color=True)
        self.metrics = metrics
        self.look = look or Look()
        self.moves: list[Charts.CursorMoved] = []

    def compose(self) -> ComposeResult:
        yield Charts(empty="No metrics yet.")

    def on_mount(self) -> None:
        self.query_one(Charts).show("churn-v7", self.metrics)
        self.query_one(Charts).focus()

    def on_charts_cursor_moved(self, event: Charts.CursorMoved) -> None:
        self.moves.append(event)


def charts(app: App[Any]) -> Charts:
    return app.query_one(Charts)


async def test_every_metric_of_a_run_gets_a_chart() -> None:
    async with robot(ChartApp([metric("loss"), metric("acc")]), size=(100, 30)) as user:
        await user.sees("loss", "acc")


async def test_a_run_without_metrics_says_what_would_be_here() -> None:
    async with robot(ChartApp([])) as user:
        await user.sees("No metrics yet.")


async def test_the_read_out_is_one_over_all_charts() -> None:
    app = ChartApp([metric("a-loss", 11), metric("b-loss", 11, start=5.0)])
    async with robot(app, size=(100, 30)) as user:
        await user.presses("left", "left")
        await user.sees("1.09  @ 9", "5.09  @ 9")
        assert app.moves[-1].x == 9


async def test_zoom_shows_part_of_x_and_zero_shows_all_again() -> None:
    app = ChartApp([metric("loss")])
    async with robot(app, size=(60, 20)) as user:
        await user.presses("plus", "plus")
        await user.sees("40", "60")
        assert charts(app).sheet.view.x0 == 37.5
        await user.presses("less_than_sign")
        assert charts(app).sheet.view.x0 == 31.25
        await user.presses("0")
        assert charts(app).sheet.view.x0 is None


async def test_pan_stops_where_the_points_stop() -> None:
    app = ChartApp([metric("loss")])
    async with robot(app, size=(60, 20)) as user:
        await user.presses("plus", *["greater_than_sign"] * 9)
        assert charts(app).sheet.view.x1 == 100


async def test_x_can_be_steps_time_or_epochs() -> None:
    epochs = MetricHistory("run1", "epoch", [0, 50, 100], [0.0, 500.0, 1000.0], [0.0, 1.0, 2.0])
    async with robot(ChartApp([metric("loss"), epochs]), size=(60, 20)) as user:
        await user.sees("step")
        await user.presses("a")
        await user.sees("time", "15m")
        await user.presses("a")
        await user.sees("epoch")
        await user.presses("a")
        await user.sees("step")


async def test_smoothing_and_logarithmic_axes_say_that_they_are_on() -> None:
    async with robot(ChartApp([metric("loss")]), size=(60, 20)) as user:
        await user.presses("S", "Y", "X")
        await user.sees("smooth 0.6", "loss log", "step log")


async def test_the_chosen_chart_fills_the_page_and_gives_it_back() -> None:
    async with robot(ChartApp([metric(f"metric-{index}") for index in range(4)]), size=(110, 30)) as user:
        await user.sees("metric-0", "metric-3")
        await user.presses("down", "enter")
        await user.sees("metric-2")
        await user.sees_no("metric-0")
        await user.presses("enter")
        await user.sees("metric-0")


async def test_fifty_charts_scroll_under_the_choice() -> None:
    async with robot(ChartApp([metric(f"metric-{index:02}") for index in range(50)]), size=(110, 30)) as user:
        await user.presses("G")
        await user.sees("metric-49")
        await user.presses("g")
        await user.sees("metric-00")


async def test_new_points_keep_choice_and_zoom() -> None:
    app = ChartApp([metric("a"), metric("b")])
    async with robot(app, size=(110, 30)) as user:
        await user.presses("down", "plus")
        charts(app).show("churn-v7", [metric("a"), metric("aa"), metric("b", 120)])
        await user.sees("aa")
        assert charts(app).chosen_title == "b"
        assert charts(app).sheet.view.x0 == 25


async def test_a_click_reads_out_where_it_was() -> None:
    app = ChartApp([metric("loss")])
    async with robot(app, size=(60, 20)) as user:
        await user.clicks(30, 8)
        await user.waits(lambda: app.moves, "a read-out")
        x = app.moves[-1].x
        assert x is not None and 30 < x < 70


async def test_an_ascii_look_draws_with_ascii() -> None:
    metrics = [metric("loss"), MetricHistory("run1", "bad", [0, 1, 2], [0.0, 1.0, 2.0], [1.0, math.nan, math.inf])]
    async with robot(ChartApp(metrics, Look("mono", is_ascii=True)), size=(110, 24)) as user:
        await user.sees("loss")
        assert user.text.isascii()


def test_charts_share_the_page_without_overlap() -> None:
    for count in range(1, 12):
        for width, height in ((40, 12), (80, 24), (160, 48), (240, 70)):
            found = places(count, 0, width, height)
            cells = [(x, y) for p in found for x in range(p.x, p.x + p.width) for y in range(p.y, p.y + p.height)]
            assert len(cells) == len(set(cells))
            assert all(x < width and y < height for x, y in cells)
