from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlconsole.tui.widgets.fetch import Ask, Request, answer
from mlconsole.tui.widgets.rows import ListSource, Row
from mlconsole.tui.widgets.window import HELD_LEAST, Window


def rows(start: int, stop: int) -> list[Row]:
    return [Row(f"r{number:05}", ((str(number), ""),)) for number in range(start, stop)]


def filled(count: int = 50, height: int = 10) -> Window:
    window = Window()
    window.resize(height)
    window.replace(rows(0, count), 0, is_start=True, is_end=True)
    return window


def test_the_view_follows_the_cursor_as_little_as_it_must() -> None:
    window = filled()
    window.move_to(9)
    assert window.top == 0
    window.move_to(12)
    assert window.top == 3
    window.move_to(11)
    assert window.top == 3


def test_the_cursor_stops_at_both_ends() -> None:
    window = filled()
    window.move_to(-5)
    assert window.cursor == 0
    window.move_to(99)
    assert (window.cursor, window.top) == (49, 40)


def test_a_page_down_keeps_the_cursor_on_its_line() -> None:
    window = filled()
    window.move_to(4)
    window.turn(1)
    assert (window.top, window.cursor) == (9, 13)


def test_scrolling_drags_the_cursor_only_when_it_would_leave() -> None:
    window = filled()
    window.move_to(5)
    window.scroll(3)
    assert (window.top, window.cursor) == (3, 5)
    window.scroll(10)
    assert (window.top, window.cursor) == (13, 13)


def test_a_reread_keeps_the_cursor_on_its_line() -> None:
    window = filled()
    window.move_to(30)
    line = window.cursor - window.top
    window.replace(rows(20, 50), 10, is_start=False, is_end=True)
    assert window.cursor_key == "r00030"
    assert window.cursor - window.top == line


def test_new_rows_at_the_top_come_into_sight_above_the_cursor() -> None:
    window = filled()
    window.replace([*rows(90, 92), *rows(0, 50)], 2, is_start=True, is_end=True)
    assert (window.top, window.cursor_key) == (0, "r00000")


def test_new_rows_above_a_scrolled_view_do_not_move_it() -> None:
    window = filled()
    window.move_to(25)
    shown = [window.row(index) for index in window.visible]
    window.replace([*rows(90, 92), *rows(0, 50)], 27, is_start=True, is_end=True)
    assert [window.row(index) for index in window.visible] == shown


def test_an_update_changes_rows_in_their_places() -> None:
    window = filled()
    changed = window.update([Row("r00003", (("new", ""),)), Row("r00004", rows(4, 5)[0].cells)])
    assert changed == [3]
    assert window.row(3) == Row("r00003", (("new", ""),))


def test_an_empty_list_has_nothing_in_view() -> None:
    window = Window()
    window.replace([], 0, is_start=True, is_end=True)
    assert list(window.visible) == []
    assert window.cursor_key is None


class Scrolling(RuleBasedStateMachine):
    """A hand moving over a long list while pages come in late: what is held stays small and true."""

    source = ListSource(rows(0, 5000))

    def __init__(self) -> None:
        super().__init__()
        self.window = Window()
        self.window.resize(20)
        self.window.replace(rows(0, 60), 0, is_start=True, is_end=False)

    @rule(delta=st.integers(-70, 70))
    def moves(self, delta: int) -> None:
        self.window.move_to(self.window.cursor + delta)

    @rule(screens=st.sampled_from([-1.0, -0.5, 0.5, 1.0]))
    def turns(self, screens: float) -> None:
        self.window.turn(screens)

    @rule(lines=st.integers(-9, 9))
    def scrolls(self, lines: int) -> None:
        self.window.scroll(lines)

    @rule(height=st.integers(1, 50))
    def resizes(self, height: int) -> None:
        self.window.resize(height)

    @precondition(lambda self: self.window.lacks_after())
    @rule()
    def gets_rows_after(self) -> None:
        key = self.window.cursor_key
        page = answer(self.source, Request(Ask.AFTER, (self.window.rows[-1].key,), self.window.page_size))
        self.window.append(page.rows, is_end=page.is_end)
        assert key is None or self.window.cursor_key == key

    @precondition(lambda self: self.window.lacks_before())
    @rule()
    def gets_rows_before(self) -> None:
        key = self.window.cursor_key
        page = answer(self.source, Request(Ask.BEFORE, (self.window.rows[0].key,), self.window.page_size))
        self.window.prepend(page.rows, is_start=page.is_start)
        assert key is None or self.window.cursor_key == key

    @invariant()
    def the_cursor_is_in_view(self) -> None:
        assert self.window.top <= self.window.cursor < self.window.top + self.window.height

    @invariant()
    def what_is_held_is_a_whole_stretch_of_the_list(self) -> None:
        first = int(self.window.rows[0].key[1:])
        assert [row.key for row in self.window.rows] == [f"r{first + at:05}" for at in range(len(self.window.rows))]
        if self.window.first_rank is not None:
            assert self.window.first_rank == first

    @invariant()
    def what_is_held_is_bounded(self) -> None:
        assert len(self.window.rows) <= max(HELD_LEAST, 8 * 50) + 2 * 100


TestScrolling = Scrolling.TestCase
TestScrolling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
