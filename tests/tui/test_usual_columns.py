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
from mlconsole.tui.sources import column_keys, usual_metrics


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
