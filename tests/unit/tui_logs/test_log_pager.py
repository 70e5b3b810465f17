from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logkit import Desk, append, lines

from mlconsole.tui.logs.frame import Source
from mlconsole.tui.logs.pager import Pager

ANY_FILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


def numbered(first: int, last: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


def test_a_log_opens_at_its_end_and_is_followed(path: Path) -> None:
    append(path, numbered(1, 100))
    desk = Desk(path, rows=3)
    assert desk.texts == ["line 98", "line 99", "line 100"]
    assert desk.numbers == [98, 99, 100]
    append(path, numbered(101, 105))
    desk.look()
    assert desk.texts == ["line 103", "line 104", "line 105"]


def test_a_log_without_a_line_is_empty_until_one_comes(path: Path) -> None:
    desk = Desk(path)
    assert desk.frame.source is Source.EMPTY
    append(path, b"hello")
    assert desk.look().source is Source.LINES
    assert desk.texts == ["hello"]


def test_a_line_without_its_newline_is_shown_and_grows(path: Path) -> None:
    append(path, b"one\ntw")
    desk = Desk(path)
    assert desk.texts == ["one", "tw"]
    append(path, b"o\nthree")
    desk.look()
    assert desk.texts == ["one", "two", "three"]
    assert desk.frame.lines == 3


@ANY_FILE
@given(
    st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\n\n", b"\r\n", b"c" * 30, b"x\ry", b"\xff"]), max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
    st.integers(1, 6),
)
def test_paging_through_a_log_that_grew_shows_every_line_once(
    tmp_path: Path, pieces: list[bytes], cuts: list[int], rows: int
) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    desk = Desk(path, rows=rows, block=16)
    edges = [0, *sorted(cuts), len(pieces)]
    for low, high in pairwise(edges):
        append(path, b"".join(pieces[low:high]))
        desk.look()
    total = len(lines(b"".join(pieces)))
    desk.do("top")
    seen = dict(zip(desk.numbers, desk.texts, strict=True))
    for _ in range(total + 1):
        desk.do("turn", 1.0)
        seen |= dict(zip(desk.numbers, desk.texts, strict=True))
    assert sorted(number for number in seen if number) == list(range(1, total + 1))
    assert desk.frame.is_following
    for number in range(total, 0, -1):
        assert desk.frame.rows[-1].number is not None
        assert seen[number] in desk.texts
        if desk.numbers[0] == 1:
            break
        desk.do("scroll", -1)


def test_scrolling_up_pauses_and_counts_what_comes(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("scroll", -3)
    append(path, numbered(51, 57))
    desk.look()
    assert desk.texts == [f"line {number}" for number in range(43, 48)]
    assert not desk.frame.is_following
    assert desk.frame.unread == 7


def test_scrolling_down_to_the_end_follows_again(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("scroll", -3)
    desk.do("scroll", 2)
    assert not desk.frame.is_following
    desk.do("scroll", 2)
    assert desk.frame.is_following
    assert desk.texts[-1] == "line 50"


def test_the_end_follows_again_from_anywhere(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("top")
    assert desk.texts[0] == "line 1"
    desk.do("end")
    append(path, numbered(51, 60))
    desk.look()
    assert desk.texts[-1] == "line 60"


def test_a_log_that_fits_is_followed_whatever_is_scrolled(path: Path) -> None:
    append(path, numbered(1, 3))
    desk = Desk(path, rows=5)
    desk.do("scroll", -1)
    desk.do("top")
    append(path, numbered(4, 9))
    desk.look()
    assert desk.texts[-1] == "line 9"


def test_many_moves_at_once_add_up(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    for _ in range(10):
        desk.do("scroll", -2)
    assert desk.texts[0] == "line 26"


def test_a_search_goes_on_from_the_top_of_the_screen_and_round_the_end(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("search", "line 2")
    assert desk.current == "line 2"
    assert "from the top" in desk.frame.notice
    desk.do("hit", 1)
    assert desk.current == "line 20"
    assert not desk.frame.notice
    assert not desk.frame.is_following


def test_hits_are_numbered_and_counted(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("search", "line 2")
    desk.do("hit", 1)
    hunt = desk.frame.search
    assert hunt is not None
    assert (hunt.rank, hunt.total) == (2, 11)


def test_the_hit_before_the_first_is_the_last(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("top")
    desk.do("search", "line 4")
    desk.do("hit", -1)
    assert desk.current == "line 49"
    assert "from the end" in desk.frame.notice


def test_a_hit_in_view_does_not_move_the_page(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    before = desk.texts
    desk.do("search", "48")
    assert desk.texts == before
    assert desk.current == "line 48"


def test_a_text_that_is_nowhere_is_told(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    before = desk.texts
    desk.do("search", "nowhere")
    assert desk.frame.notice == 'Found no "nowhere".'
    assert desk.texts == before


def test_the_next_hit_of_nothing_says_how_to_search(path: Path) -> None:
    append(path, numbered(1, 5))
    desk = Desk(path)
    desk.do("hit", 1)
    assert "/ searches" in desk.frame.notice


def test_the_first_error_is_found_and_then_the_next(path: Path) -> None:
    append(path, numbered(1, 50) + b"Traceback (most recent call last):\n" + numbered(51, 60) + b"KeyError: 'x'\n")
    desk = Desk(path, rows=5)
    desk.do("first_error")
    assert desk.current.startswith("Traceback")
    desk.do("next_error")
    assert desk.current == "KeyError: 'x'"


def test_a_filter_shows_only_its_lines_under_their_own_numbers(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("filter", "line 1")
    assert desk.texts == [f"line {number}" for number in range(15, 20)]
    assert desk.numbers == list(range(15, 20))
    assert desk.frame.filtered is not None
    assert desk.frame.filtered.total == 11


def test_a_filter_follows_what_comes(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=3)
    desk.do("filter", "7")
    append(path, numbered(51, 90))
    desk.look()
    assert desk.texts == ["line 78", "line 79", "line 87"]
    assert desk.numbers == [78, 79, 87]


def test_an_inverted_filter_leaves_its_lines_out(path: Path) -> None:
    append(path, numbered(1, 5))
    desk = Desk(path)
    desk.do("filter", "!line 3")
    assert desk.texts == ["line 1", "line 2", "line 4", "line 5"]


def test_a_filter_taken_away_leaves_us_where_we_were(path: Path) -> None:
    append(path, numbered(1, 500))
    desk = Desk(path, rows=5)
    desk.do("top")
    desk.do("filter", "line 25")
    desk.do("top")
    assert desk.texts[0] == "line 25"
    desk.do("filter", "")
    assert desk.texts == [f"line {number}" for number in range(25, 30)]


def test_a_filter_that_no_line_passes_shows_none(path: Path) -> None:
    append(path, numbered(1, 5))
    desk = Desk(path)
    desk.do("filter", "nothing")
    assert desk.texts == []
    append(path, b"nothing yet\n")
    desk.look()
    assert desk.texts == ["nothing yet"]


def test_a_search_among_filtered_lines_finds_only_those(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("filter", "line 3")
    desk.do("search", "9")
    assert desk.current == "line 39"
    desk.do("hit", 1)
    assert desk.current == "line 39"
    assert desk.frame.search is not None
    assert desk.frame.search.total is None
    desk.do("search", "line 4")
    assert desk.frame.notice == 'Found no "line 4" among the filtered lines.'


def test_stop_ends_the_search_and_then_the_filter(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path)
    desk.do("filter", "line 3")
    desk.do("search", "9")
    desk.do("stop")
    assert desk.frame.search is None
    assert desk.frame.filtered is not None
    desk.do("stop")
    assert desk.frame.filtered is None


def test_a_search_gives_way_and_can_be_stopped(path: Path) -> None:
    append(path, numbered(1, 5000))
    desk = Desk(path, rows=5)
    assert desk.texts[-1] == "line 5000"
    desk.pager.search("nowhere")
    assert desk.pager.work(0.0)
    desk.pager.scroll(-1)
    desk.pager.work(0.0)
    desk.pager.work(0.0)
    assert desk.pager.is_busy
    desk.pager.stop()
    assert desk.texts[-1] == "line 4999"
    assert desk.frame.notice == ""


def test_wrapped_lines_go_on_in_the_next_row(path: Path) -> None:
    append(path, b"short\n" + b"0123456789" * 3 + b"\nend\n")
    desk = Desk(path, rows=10, columns=16)
    desk.do("wrap", True)
    assert desk.texts == ["short", "0123456789", "0123456789", "0123456789", "end"]
    assert desk.numbers == [1, 2, None, None, 3]


def test_scrolling_wrapped_lines_goes_row_by_row(path: Path) -> None:
    append(path, b"0123456789" * 3 + b"\nend\n")
    desk = Desk(path, rows=2, columns=16)
    desk.do("wrap", True)
    assert desk.texts == ["0123456789", "end"]
    desk.do("scroll", -1)
    assert desk.texts == ["0123456789", "0123456789"]
    assert desk.numbers == [None, None]
    desk.do("scroll", -1)
    assert desk.numbers == [1, None]
    desk.do("wrap", False)
    assert desk.numbers == [1, 2]


def test_a_page_that_begins_inside_a_wrapped_line_goes_on_with_the_lines_after_it(path: Path) -> None:
    append(path, b"0123456789" * 3 + b"\n" + b"abcdefghij" * 2 + b"\nend\n")
    desk = Desk(path, rows=4, columns=16)
    desk.do("wrap", True)
    desk.do("top")
    desk.do("scroll", 1)
    assert desk.texts == ["0123456789", "0123456789", "abcdefghij", "abcdefghij"]
    desk.do("scroll", 1)
    assert desk.texts == ["0123456789", "abcdefghij", "abcdefghij", "end"]


def test_numbers_of_five_digits_get_the_room_they_need(path: Path) -> None:
    append(path, b"0123456789abcdef\n" * 9999)
    desk = Desk(path, rows=4, columns=16, block=4096)
    desk.do("wrap", True)
    assert (desk.frame.gutter, desk.texts[0]) == (6, "0123456789")
    append(path, b"0123456789abcdef\n")
    desk.look()
    assert (desk.frame.gutter, desk.texts[0]) == (7, "012345678")


def test_another_size_keeps_the_place(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("top")
    desk.do("scroll", 9)
    desk.do("resize", 40, 3)
    assert desk.texts == ["line 10", "line 11", "line 12"]
    desk.do("resize", 40, 6)
    assert desk.texts[0] == "line 10"
    assert len(desk.texts) == 6


def test_a_log_cut_short_starts_over_and_says_so(path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("top")
    os.truncate(path, 0)
    append(path, b"again\n")
    assert "cut short" in desk.look().notice
    assert desk.texts == ["again"]
    assert desk.numbers == [1]
    assert desk.frame.is_following


def test_a_log_cut_short_between_two_looks_starts_over(path: Path) -> None:
    append(path, numbered(1, 5000))
    desk = Desk(path, rows=5)
    os.truncate(path, 100)
    desk.do("top")
    assert "cut short" in desk.frame.notice
    assert desk.texts == []
    desk.look()
    assert desk.numbers[-1] == path.read_bytes().count(b"\n") + 1


def test_a_filter_outlives_the_file_it_was_made_for(path: Path, tmp_path: Path) -> None:
    append(path, numbered(1, 50))
    desk = Desk(path, rows=5)
    desk.do("filter", "line 3")
    (tmp_path / "new").write_bytes(numbered(30, 45))
    os.replace(tmp_path / "new", path)
    assert "replaced" in desk.look().notice
    assert desk.texts[-1] == "line 39"
    assert desk.frame.filtered is not None


def test_a_huge_progress_bar_is_folded_and_searched_in_its_last_state(path: Path) -> None:
    append(path, b"before\n" + b"".join(b"\r%3d%% of it" % (step % 100) for step in range(1_000_000)))
    pager = Pager(path, clock=lambda: 0.0)
    pager.resize(80, 5)
    pager.look()
    while pager.work(0.0):
        pass
    assert [row.shown.text for row in pager.frame().rows] == ["before", " 99% of it"]
    pager.search("50%")
    while pager.work(0.0):
        pass
    assert pager.frame().notice == 'Found no "50%".'
    append(path, b"\r100% of it\nafter\n")
    pager.look()
    while pager.work(0.0):
        pass
    assert [row.shown.text for row in pager.frame().rows] == ["before", "100% of it", "after"]
