from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostile import STRINGS, raw_controls
from mlconsole.render.ansi import Sgr
from mlconsole.render.width import cell_width
from mlconsole.tui.logs.lines import KEPT_BYTES, Line
from mlconsole.tui.logs.shown import LONGEST, Shown, show


def shown(data: bytes) -> Shown:
    return show(Line(0, len(data)), data)


@pytest.mark.parametrize("name", STRINGS)
def test_a_hostile_line_has_no_control_characters_on_the_screen(name: str) -> None:
    line = shown(STRINGS[name].encode("utf-8", "surrogatepass") + b"\n")
    assert not raw_controls(line.text)
    assert "".join(text for text, _ in line.spans) == line.text


@given(st.binary(max_size=300))
def test_no_bytes_at_all_bring_a_control_character_to_the_screen(data: bytes) -> None:
    assert not raw_controls(shown(data).text)


def test_the_colours_of_the_program_are_kept() -> None:
    assert shown(b"\x1b[1;31mred\x1b[0m plain\n").spans == (("red", Sgr(fg="1", bold=True)), (" plain", Sgr()))


def test_bytes_that_are_no_text_are_shown_as_what_they_are() -> None:
    assert shown(b"a\xffb\n").text == "a\\xffb"


def test_a_cut_inside_a_character_does_not_show() -> None:
    data = "模".encode() * KEPT_BYTES
    assert "\\x" not in show(Line(0, len(data)), data[:KEPT_BYTES]).text


def test_a_line_of_a_million_characters_is_cut_and_says_so() -> None:
    text = show(Line(0, 1_000_001), b"x" * KEPT_BYTES).text
    assert len(text) == LONGEST
    assert text.endswith("…")


def test_a_progress_bar_shows_its_last_state_only() -> None:
    assert shown(b"".join(b"%d%%\r" % step for step in range(101)) + b"\n").text == "100%"


def test_ten_megabytes_of_carriage_returns_do_not_freeze() -> None:
    start = time.perf_counter()
    assert show(Line(0, 10_000_000), b"10%\r" * (KEPT_BYTES // 4)).text == "10%"
    assert time.perf_counter() - start < 0.5


@settings(max_examples=200)
@given(st.text(alphabet="ab 模型é\u0301", max_size=60), st.integers(2, 12))
def test_wrapped_rows_are_the_line_and_fit(text: str, width: int) -> None:
    line = shown(text.encode())
    rows = [line.text[start:stop] for start, stop in line.rows(width)]
    assert "".join(rows) == line.text
    assert all(cell_width(row) <= width for row in rows)


def test_an_empty_line_is_one_row() -> None:
    assert shown(b"\n").rows(10) == [(0, 0)]
