"""Before anybody chooses columns, runs are shown with the metrics that tell most."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from consolekit import Stage, opened, stage

from catalogkit import MadeRun, put_runs
from mlconsole.catalog import Catalog
from mlconsole.domain.query import parse
from mlconsole.tui.places import Location
from mlconsole.tui.sources import column_keys, columns, usual_metrics, usual_params
from mlconsole.tui.widgets.columns import lay_out


@pytest.fixture
def reading(tmp_path: Path) -> Stage:
    return stage(tmp_path / "lab")


@pytest.mark.parametrize(
    ("names", "usual"),
    [
        (("train/loss", "val/acc", "val/loss", "lr"), ("metric.val/loss", "metric.val/acc")),
        (("loss", "grad_norm"), ("metric.loss",)),
        (("reward", "entropy"), ("metric.reward",)),
        (("perplexity",), ("metric.perplexity",)),
        (("val loss, <b>", "\x1b[31mloss"), ()),
        ((), ()),
    ],
)
def test_the_usual_columns_are_a_loss_and_what_is_to_rise(
    tmp_path: Path, names: tuple[str, ...], usual: tuple[str, ...]
) -> None:
    with closing(Catalog(tmp_path)) as catalog:
        put_runs(catalog, [MadeRun("aaa", metrics={name: [1.0] for name in names})])
        assert usual_metrics(catalog) == usual


def test_the_usual_params_are_those_that_differ_and_that_people_turn(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path)) as catalog:
        one, other = ({"seed": n, "lr": 0.1 * n, "momentum": 0.9, "a b": n} for n in (1, 2))
        put_runs(catalog, [MadeRun("aaa", params=one), MadeRun("bbb", params=other)])
        assert usual_params(catalog) == ("param.lr", "param.seed")


def test_the_usual_params_are_seen_where_all_else_has_room() -> None:
    keys = column_keys(parse(""), (), ("metric.loss", "param.lr"))
    for width, is_seen in ((120, False), (200, True)):
        shown = [placed.column.key for placed in lay_out(columns(keys), keys, width).placed]
        assert ("param.lr" in shown) is is_seen
        assert {"metric.loss", "user", "created"} <= set(shown)


def test_chosen_columns_and_those_of_a_line_are_shown_as_they_are() -> None:
    usual = ("metric.val/loss",)
    assert "metric.val/loss" in column_keys(parse("state:running"), (), usual)
    assert column_keys(parse(""), ("host",), usual) == ("name", "state", "host")
    assert column_keys(parse("cols:lr"), (), usual) == ("name", "state", "lr")


async def test_runs_open_with_the_usual_metrics(reading: Stage) -> None:
    usual = usual_metrics(reading.console().ctx.catalog)
    app = reading.console(Location("runs"))
    app.usual_columns = usual
    async with opened(app, (120, 30)) as user:
        await user.sees("val/loss", "val/acc")
