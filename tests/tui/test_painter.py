from __future__ import annotations

import re

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from mlconsole.tui.painter import Line, Painter

SIZE = (24, 9)
STYLES = [Style.parse(text) for text in ("none", "red", "bold red", "on blue", "reverse", "dim underline green on red")]
WORDS = ["", "a", "run-7", "      ", "模型", "e\u0301x", "█▌", "long words that reach the edge"]
Row = list[tuple[str, int]]


def as_line(y: int, row: Row) -> Line:
    return y, [(0, [Segment(text, STYLES[style]) for text, style in (*row, (" " * 40, 0))], SIZE[0])]


def screen_of(rows: list[Row]) -> pyte.Screen:
    """What a terminal shows that was cleared and given the rows from scratch."""
    screen = pyte.Screen(*SIZE)
    pyte.Stream(screen).feed(
        Painter().paint([as_line(y, row) for y, row in enumerate(rows)], SIZE, ColorSystem.EIGHT_BIT)
    )
    return screen


def looks(screen: pyte.Screen) -> list[list[object]]:
    """Every cell as it looks; the colour of a blank's letters does not show."""
    return [[look(screen.buffer[y][x]) for x in range(SIZE[0])] for y in range(SIZE[1])]


def look(cell: pyte.screens.Char) -> object:
    if cell.data == " " and not cell.reverse and not cell.underscore:
        return " ", cell.bg
    return cell.data, cell.fg, cell.bg, cell.bold, cell.reverse, cell.underscore


row = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, len(STYLES) - 1)), max_size=5)
frame = st.lists(row, min_size=SIZE[1], max_size=SIZE[1])


@settings(max_examples=60, deadline=None)
@given(st.lists(frame, min_size=2, max_size=4))
def test_a_painted_change_leaves_the_same_screen_as_painting_from_scratch(frames: list[list[Row]]) -> None:
    painter, screen = Painter(), pyte.Screen(*SIZE)
    stream = pyte.Stream(screen)
    for rows in frames:
        stream.feed(painter.paint([as_line(y, row) for y, row in enumerate(rows)], SIZE, ColorSystem.EIGHT_BIT))
        assert looks(screen) == looks(screen_of(rows))


@settings(max_examples=60, deadline=None)
@given(st.integers(-4, 4), st.lists(row, min_size=20, max_size=20), st.integers(0, SIZE[1] - 1))
def test_rows_that_moved_leave_the_same_screen_as_painting_from_scratch(shift: int, rows: list[Row], lit: int) -> None:
    painter, screen = Painter(), pyte.Screen(*SIZE)
    stream = pyte.Stream(screen)
    for start in (5, 5 + shift):
        window = [
            [(f"{index} ", 4 if y == lit else 0), *rows[index]] for y, index in enumerate(range(start, start + SIZE[1]))
        ]
        stream.feed(painter.paint([as_line(y, row) for y, row in enumerate(window)], SIZE, ColorSystem.EIGHT_BIT))
        assert looks(screen) == looks(screen_of(window))


def paint(painter: Painter, texts: list[str], size: tuple[int, int] = (80, 40)) -> str:
    lines: list[Line] = [(y, [(0, [Segment(text.ljust(size[0]))], size[0])]) for y, text in enumerate(texts)]
    return painter.paint(lines, size, ColorSystem.TRUECOLOR)


def test_a_frame_that_changes_nothing_is_no_bytes() -> None:
    painter = Painter()
    paint(painter, ["one", "two"])
    assert paint(painter, ["one", "two"]) == ""


def test_one_changed_cell_costs_a_movement_and_the_cell() -> None:
    painter = Painter()
    paint(painter, ["loss 0.21", "two"])
    assert paint(painter, ["loss 0.22", "two"]) == "\x1b[1;9H2"


def test_scrolling_by_a_line_costs_one_new_line() -> None:
    painter = Painter()
    rows = [f"run-{index} {index * 7919 % 1000:03}" * 6 for index in range(60)]
    paint(painter, rows[:40])
    assert len(paint(painter, rows[1:41])) < 120


def test_a_forgotten_terminal_is_painted_whole() -> None:
    painter = Painter()
    first = paint(painter, ["one", "two"])
    painter.forget()
    assert paint(painter, ["one", "two"]) == first


def test_a_new_size_is_painted_whole() -> None:
    painter = Painter()
    paint(painter, ["one"])
    assert "one" in paint(painter, ["one"], (60, 20))


def test_a_piece_under_a_closed_dialog_is_painted_again() -> None:
    painter = Painter()
    below, dialog = [Segment("behind the dialog")], [Segment("DIALOG")]
    painter.paint([(0, [(0, below, 17)])], (20, 1), None)
    painter.paint([(0, [(4, dialog, 6)])], (20, 1), None)
    assert "nd the" in painter.paint([(0, [(0, below, 17)])], (20, 1), None)


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\x00b", "a\x9b31mb", "a\u202eb", "a\ud800b", "a\x07b"])
def test_no_control_character_passes_whoever_let_it_in(text: str) -> None:
    painted = Painter().paint([(0, [(0, [Segment(text)], 9)])], (9, 1), None)
    assert not re.search("[\x00-\x1a\x1c-\x1f\x7f-\x9f\u202e\ud800]", painted)
    assert set(re.findall("\x1b.[^A-Za-z]*[A-Za-z]", painted)) <= {"\x1b[1H", "\x1b[K"}


def test_without_colours_the_other_attributes_stay() -> None:
    painted = Painter().paint([(0, [(0, [Segment("x", Style.parse("bold red on blue"))], 1)])], (1, 1), None)
    assert "\x1b[1m" in painted
    assert not re.search(r"[34][0-9]", painted)


def test_a_hyperlink_is_never_sent() -> None:
    painted = Painter().paint([(0, [(0, [Segment("x", Style(link="file:///etc"))], 1)])], (1, 1), ColorSystem.TRUECOLOR)
    assert "file" not in painted
