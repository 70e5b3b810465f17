from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mlconsole.render.sanitise import clean
from mlconsole.render.width import cell_width, end, fit, middle

CLEANED = st.text().map(clean)
RANGES = (
    range(0x3000),
    range(0x4D00, 0x4E10),
    range(0xA000, 0xFFFF, 7),
    range(0x1D300, 0x1D380),
    range(0x1F000, 0x1FB00),
)


def test_widths_agree_with_the_screen_library_for_every_cleaned_character() -> None:
    shown = [clean(chr(code)) for codes in RANGES for code in codes]
    assert [text for text in shown if cell_width(text) != cell_len(text)] == []


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("churn-v7-seed42", 15, "churn-v7-seed42"),
        ("churn-v7-seed42", 9, "chur…ed42"),
        ("churn-v7-seed42", 2, "c…"),
        ("churn-v7-seed42", 1, "…"),
        ("churn-v7-seed42", 0, ""),
        ("模型训练实验", 7, "模…实验"),
    ],
)
def test_a_long_name_is_cut_in_the_middle(text: str, width: int, shown: str) -> None:
    assert middle(text, width) == shown


def test_a_cut_end_keeps_a_character_with_its_marks() -> None:
    assert middle("abcdefge\u0301", 4) == "ab…e\u0301"


def test_numbers_are_cut_at_their_end() -> None:
    assert end("1234.5678", 5) == "1234…"


@given(CLEANED, st.integers(0, 30), st.sampled_from(["left", "right"]), st.sampled_from(["middle", "end"]))
def test_fitted_text_takes_exactly_its_width(text: str, width: int, align: str, cut: str) -> None:
    assert cell_width(fit(text, width, align, cut)) == width
