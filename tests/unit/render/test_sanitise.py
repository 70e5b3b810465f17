from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlconsole.render.sanitise import clean, clean_bytes

HOSTILE = {
    "csi": "\x1b[2Jx",
    "osc": "\x1b]0;title\x07x",
    "clipboard": "\x1b]52;c;cm0gLXJm\x1b\\x",
    "dcs": "\x1bP1$r\x1b\\x",
    "c1 csi": "\x9b31mx",
    "nul": "a\x00b",
    "backspace": "rm\x08\x08ls",
    "del": "a\x7fb",
    "bidi override": "a\u202eexe.txt",
    "bidi isolate": "a\u2066b\u2069",
    "zero width": "a\u200bb\u2060c\ufeff",
    "surrogate": "a\ud800b\udcff",
    "line separators": "a\u2028b\u2029c\x85d",
    "tags": "a\U000e0041b",
    "hangul filler": "a\u3164b",
    "newlines": "\n" * 200_000,
}


def is_safe(text: str, lines: int = 1) -> bool:
    allowed = {"\n"} if lines > 1 else set()
    return all(char in allowed or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_comes_out_without_a_control_character(text: str) -> None:
    assert is_safe(clean(text))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_leaves_a_visible_trace(text: str) -> None:
    visible = {char for char in clean(text) if char.isprintable() and not char.isspace()}
    assert visible - set(text)


@pytest.mark.parametrize("text", ["[/]", "[@click=app.quit]x[/]", "[link=file:///etc]x", "50% {x} \\n", "naïve 模型"])
def test_markup_and_plain_words_stay_verbatim(text: str) -> None:
    assert clean(text) == text


@given(st.text(), st.integers(1, 40), st.integers(1, 4))
def test_output_is_safe_bounded_and_a_fixed_point(text: str, limit: int, lines: int) -> None:
    shown = clean(text, limit, lines)
    assert is_safe(shown, lines)
    assert len(shown) <= limit
    assert shown.count("\n") < lines
    assert clean(shown, limit, lines) == shown


@given(st.binary(), st.integers(1, 40))
def test_bytes_come_out_safe_and_bounded(data: bytes, limit: int) -> None:
    shown = clean_bytes(data, limit)
    assert is_safe(shown)
    assert len(shown) <= limit


def test_bytes_that_are_not_utf8_show_their_value() -> None:
    assert clean_bytes(b"ok \xff\xc3\x28") == "ok \\xff\\xc3("


def test_escape_is_shown_as_its_control_picture() -> None:
    assert clean("\x1b[2J") == "␛[2J"


def test_undecodable_bytes_of_a_file_name_show_as_hex() -> None:
    assert clean(b"a\xffb".decode("utf-8", "surrogateescape")) == "a\\xffb"


def test_newlines_stay_where_lines_are_allowed() -> None:
    assert clean("a\r\nb\tc\nd\n", lines=9) == "a\nb    c\nd\n"


def test_lines_past_the_bound_become_one_ellipsis() -> None:
    assert clean("a\nb\nc\nd", lines=3) == "a\nb\n…"


def test_piled_combining_marks_are_bounded() -> None:
    assert len(clean("e" + "\u0301" * 100)) == 5


def test_two_hundred_thousand_newlines_cost_no_more_than_the_bound() -> None:
    text = "\n" * 200_000
    start = time.process_time()
    for _ in range(100):
        clean(text, lines=50)
    assert time.process_time() - start < 0.5


def test_table_of_characters_forgets_without_losing_newlines() -> None:
    every = "".join(map(chr, range(0x100, 0x3000)))
    clean(every, limit=20_000, lines=5)
    assert clean("a\nb\tc\x1b", lines=5) == "a\nb    c␛"
