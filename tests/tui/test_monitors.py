"""The screens of monitors: how each stands, and one's columns by effect with their histograms."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from consolekit import Stage, opened, stage

from mlconsole.actions.baseline import REBASELINE, RebaselineParams
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.monitor import ADD, AddParams
from mlconsole.actions.monitor_check import CHECK, MonitorParams
from mlconsole.actions.monitor_report import MonitorReportParams, report
from mlconsole.config import Settings
from mlconsole.tui.places import Location

SEED = 5


def table(count: int, shift: float, r: random.Random) -> str:
    lines = ["age,plan"] + [f"{r.gauss(40 + shift * 10, 10):.3f},{r.choice('abc')}" for _ in range(count)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A catalog with one monitor that is quiet, one that fires, one without a window, and one of a hostile name."""
    work = tmp_path_factory.mktemp("monitors")
    r = random.Random(SEED)
    made = stage(work / "home")
    (work / "train.csv").write_text(table(600, 0, r))
    (work / "same.csv").write_text(table(600, 0, r))
    (work / "moved.csv").write_text(table(300, 0, r) + table(300, 1, r).partition("\n")[2])
    ctx = Context(Settings(home=made.home, user="ada", host="gpu-07"))
    try:
        for name, live in (
            ("calm", "same.csv"),
            ("loud", "moved.csv"),
            ("new", "none-*.csv"),
            ("[/]\x1b[2J", "same.csv"),
        ):
            params = AddParams(name, str(work / "train.csv"), str(work / live), "rows:100")
            execute(ctx, ADD, params)
            execute(ctx, CHECK, MonitorParams(name))
        report(ctx, MonitorReportParams("loud", str(work / "loud.html")))
    finally:
        ctx.close()
    return made


async def test_monitors_stand_with_their_course_and_what_moved_most(watched: Stage) -> None:
    async with opened(watched.console(Location("monitors")), (120, 30)) as user:
        await user.sees("MONITOR", "calm", "✔ ok", "loud", "▲ firing", "age", "no window yet")
        line = user.line_with("loud")
        assert "▁" in line and "█" in line
        await user.sees("[/]")


async def test_a_monitor_shows_its_columns_by_effect_with_both_histograms(
    watched: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(watched.console(Location("monitors")), (160, 30)) as user:
        await user.presses("j", "j", "enter")
        await user.sees("Monitors › Monitor loud", "COLUMN", "BASELINE", "NOW", "rows 501 to 600")
        rows = [line for line in user.lines if "age" in line or "plan" in line]
        assert "drift" in rows[0] and "age" in rows[0] and "ok" in rows[1]
        assert sum(character in "▁▂▃▄▅▆▇█" for character in rows[0]) >= 12
        await user.presses("P")
        await user.sees("written to monitor.html")
        assert "Monitor loud" in (tmp_path / "monitor.html").read_text(encoding="utf-8")


async def test_a_new_baseline_and_what_cannot_be_read_stand_before_the_columns(tmp_path: Path) -> None:
    made, r = stage(tmp_path / "home"), random.Random(SEED)
    (tmp_path / "train.csv").write_text(table(600, 0, r))
    (tmp_path / "1.csv").write_text(table(200, 1, r))
    (tmp_path / "2.jsonl").write_text("{}\nnonsense\n")
    ctx = Context(Settings(home=made.home, user="ada", host="gpu-07"))
    try:
        execute(ctx, ADD, AddParams("loud", str(tmp_path / "train.csv"), str(tmp_path / "[12].*"), "rows:100"))
        execute(ctx, CHECK, MonitorParams("loud"))
        execute(ctx, REBASELINE, RebaselineParams("loud", "window:loud"))
    finally:
        ctx.close()
    made = stage(tmp_path / "home", read_only=False)
    async with opened(made.console(Location("monitor", "loud")), (200, 30)) as user:
        await user.sees("against", "? trouble", "2.jsonl, line 2: it is not JSON", "age", "B rebaseline")
        await user.sees("new baseline", "no window", "loud: rows 101 to 200, says ada")


async def test_a_monitor_of_performance_shows_its_metrics_before_and_now(tmp_path: Path) -> None:
    made, r = stage(tmp_path / "home"), random.Random(SEED)

    def predictions(wrong: float) -> str:
        pairs = ((paid, paid if r.random() > wrong else 1 - paid) for paid in (r.randrange(2) for _ in range(300)))
        return "paid,said\n" + "".join(f"{paid},{said}\n" for paid, said in pairs)

    for name, wrong in (("train", 0.05), ("live", 0.3)):
        (tmp_path / f"{name}.csv").write_text(predictions(wrong))
    ctx = Context(Settings(home=made.home, user="ada", host="gpu-07"))
    watched = {"label": "paid", "prediction": "said", "opens": "1/1"}
    try:
        execute(ctx, ADD, AddParams("paid", str(tmp_path / "train.csv"), str(tmp_path / "live.csv"), **watched))
        os.utime(tmp_path / "live.csv", (1e9, 1e9))
        execute(ctx, CHECK, MonitorParams("paid"))
        report(ctx, MonitorReportParams("paid", str(tmp_path / "paid.html")))
    finally:
        ctx.close()
    async with opened(made.console(Location("monitors")), (200, 30)) as user:
        await user.sees("paid", "▲ firing")
        await user.presses("enter")
        await user.sees("Monitor paid", "accuracy", "precision", "recall", "▲ drift")
        assert " -> 0." in user.line_with("accuracy")
    assert "accuracy" in (tmp_path / "paid.html").read_text(encoding="utf-8")


async def test_a_monitor_that_is_not_there_or_has_no_window_says_so(watched: Stage) -> None:
    async with opened(watched.console(Location("monitor", "nothing"))) as user:
        await user.sees('No monitor "nothing"')
    async with opened(watched.console(Location("monitor", "new"))) as user:
        await user.sees("No window was judged yet")


async def test_no_monitor_at_all_says_how_to_make_one(tmp_path: Path) -> None:
    async with opened(stage(tmp_path / "home").console(Location("monitors"))) as user:
        await user.sees("No monitors yet", "mlconsole monitor add")


def test_the_report_of_a_monitor_loads_nothing_and_draws_its_columns(watched: Stage) -> None:
    text = (watched.home.parent / "loud.html").read_text(encoding="utf-8")

    assert "default-src 'none'" in text and 'src="http' not in text
    assert "Monitor loud" in text and "rows 501 to 600" in text and text.count("plotly-graph-div") >= 3
