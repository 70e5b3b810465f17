from __future__ import annotations

import pytest

from mlconsole.render.states import MARKS
from mlconsole.tui.palettes import PALETTES
from mlconsole.tui.widgets.look import Look

TOKENS = sorted({token for palette in PALETTES.values() for token in palette} | {mark.token for mark in MARKS.values()})


@pytest.mark.parametrize("palette", PALETTES)
def test_every_palette_knows_every_token(palette: str) -> None:
    assert set(TOKENS) <= set(PALETTES[palette])


def test_the_mono_palette_has_no_colour() -> None:
    assert all(Look("mono").style(token).color is None for token in TOKENS)


@pytest.mark.parametrize("palette", PALETTES)
def test_no_palette_paints_a_background(palette: str) -> None:
    assert all(Look(palette).style(token).bgcolor is None for token in TOKENS)


def test_a_token_falls_back_to_its_beginning_and_an_unknown_one_to_plain_text() -> None:
    assert Look().style("header.sorted.twice") == Look().style("header.sorted")
    assert not Look().style("nobody.knows")


def test_a_faint_token_is_its_token_dimmed() -> None:
    assert Look().style("series.1.faint").color == Look().style("series.1").color
    assert Look().style("series.1.faint").dim


def test_series_of_a_colour_palette_can_be_told_apart() -> None:
    for name in ("terminal", "dark", "light", "contrast", "colour-blind"):
        assert len({str(Look(name).style(f"series.{index}")) for index in range(8)}) == 8
