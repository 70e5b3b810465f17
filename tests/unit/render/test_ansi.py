from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlconsole.render.ansi import PLAIN, Sgr, folded, plain, sgr_only

ESCAPES = st.lists(
    st.sampled_from(
        ["\x1b", "[", "]", "P", "31", "m", ";", "\x07", "\x9b", "\\", "\r", "\t", "a", "38;5", "é", "\x00"]
    ),
    max_size=30,
).map("".join)


def test_colours_become_styled_spans() -> None:
    assert sgr_only("a \x1b[1;31mred\x1b[0m b") == [
        ("a ", PLAIN),
        ("red", Sgr(fg="1", bold=True)),
        (" b", PLAIN),
    ]


@pytest.mark.parametrize(
    ("params", "style"),
    [
        ("38;5;208", Sgr(fg="208")),
        ("48;2;1;2;255", Sgr(bg="#0102ff")),
        ("38:2::10:20:30", Sgr(fg="#0a141e")),
        ("38:5:9;4:3", Sgr(fg="9", underline=True)),
        ("97;41", Sgr(fg="15", bg="1")),
        ("7;3;2", Sgr(reverse=True, italic=True, dim=True)),
        ("1;22", PLAIN),
        ("31;", PLAIN),
        ("8", PLAIN),
        ("38", PLAIN),
        (">4;2", PLAIN),
        ("31;41", Sgr(fg="1")),
    ],
)
def test_every_form_of_a_style_is_read(params: str, style: Sgr) -> None:
    assert sgr_only(f"\x1b[{params}mx") == [("x", style)]


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2J",
        "\x1b[10;10H",
        "\x1b]0;t\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1bPq\x1b\\",
        "\x9b2K",
        "\x1bc",
        "\x1b(0",
        "\x1b[?1049h",
    ],
)
def test_every_other_sequence_is_dropped(sequence: str) -> None:
    assert sgr_only(f"a{sequence}b") == [("ab", PLAIN)]


def test_a_sequence_that_never_ends_shows_what_follows() -> None:
    assert plain("\x1b]0;all of this is seen") == "␛]0;all of this is seen"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\rb\rc", "c"),
        ("10%\r100%\r\n", "100%"),
        ("100%\r\x1b[K", "100%"),
        ("plain\r\n", "plain"),
        ("\r\r", ""),
    ],
)
def test_a_progress_bar_folds_to_its_last_state(text: str, shown: str) -> None:
    assert plain(folded(text)) == shown


def test_tabs_reach_the_next_stop_of_eight() -> None:
    assert plain("ab\tc") == "ab      c"


def test_a_long_line_is_bounded_and_says_so() -> None:
    shown = plain("x" * 1_000_000, limit=100)
    assert len(shown) == 100
    assert shown.endswith("…")


@given(ESCAPES)
def test_no_control_character_passes(text: str) -> None:
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs") for char in plain(text))


@pytest.mark.parametrize("unit", ["\x1b[", "\x1b]", "\x1b[0;", "\x1b[31m", "\r", "\x1b ", "\x9b0 "])
def test_hostile_repetition_costs_linear_time(unit: str) -> None:
    start = time.process_time()
    sgr_only(unit * 50_000)
    assert time.process_time() - start < 0.5
