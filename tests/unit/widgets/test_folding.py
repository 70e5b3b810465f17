"""Long lines of a page: in as many lines as they take, columns kept, nothing lost, and no wider than the page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlconsole.render.sanitise import cell_width
from mlconsole.tui.widgets.folding import fold

WORDS = "a reason that is longer than the screen is wide, and says at its end what matters"


def text_of(folded: list[tuple[tuple[str, str], ...]]) -> list[str]:
    return ["".join(text for text, _ in line) for line in folded]


def test_what_goes_on_stands_beside_the_label() -> None:
    lines = text_of(fold([("state       ", "label"), ("x failed", "bad"), ("  " + WORDS, "value")], 40))

    assert len(lines) > 2 and lines[0].startswith("state       x failed")
    assert all(line.startswith(" " * 12) and line[12] != " " for line in lines[1:])


def test_a_table_of_spans_keeps_its_columns() -> None:
    lines = text_of(fold([("  19:39:17  ", "dim"), ("firing  ", "bad"), (WORDS, "value")], 50))

    assert all(line.index(line.strip()) == 20 for line in lines[1:])


def test_a_line_that_fits_stays_as_it_is_and_a_head_shows_both_ends_of_one_that_is_too_long() -> None:
    assert text_of(fold([("a", "label"), ("b", "value")], 2)) == ["ab"]
    (first, second) = text_of(fold([("why  ", "label"), (WORDS * 5, "value")], 40, most=2))
    assert "a reason" in first and second.endswith("what matters")


def test_a_word_that_no_line_can_hold_is_broken_where_it_begins() -> None:
    lines = text_of(fold([("path  ", "label"), ("at /" + "x" * 100, "value")], 40))

    assert lines[0].startswith("path  at /xxx") and "".join(line.strip() for line in lines).count("x") == 100


@given(
    st.lists(st.text(st.sampled_from("ab  模é\x1b\u202e/"), max_size=60), min_size=1, max_size=5), st.integers(9, 70)
)
def test_no_line_is_wider_than_the_page_and_no_character_is_lost(texts: list[str], width: int) -> None:
    line = [(text, "value") for text in texts]

    folded = text_of(fold(line, width))

    assert all(cell_width(one) <= width for one in folded)
    whole = "".join(text_of(fold(line, 10_000)))
    assert "".join(folded).replace(" ", "") == whole.replace(" ", "")
