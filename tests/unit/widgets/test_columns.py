from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlconsole.tui.widgets.columns import GUTTER, Column, Layout, lay_out

NAME = Column("name", "NAME", width=28, least=12, most=60, priority=0)
STATE = Column("state", "STATE", width=13, least=11, priority=1)
LOSS = Column("loss", "LOSS", right=True, width=9, least=6, priority=15)
USER = Column("user", "USER", width=10, least=6, priority=40)
ALL = (NAME, USER, STATE, LOSS)


def keys(layout: Layout) -> list[str]:
    return [placed.column.key for placed in layout.placed]


def order(columns: tuple[Column, ...] = ALL) -> list[str]:
    return [column.key for column in columns]


def test_with_room_every_column_stands_in_the_order_asked_for() -> None:
    assert keys(lay_out(ALL, ["loss", "name", "user"], 160)) == ["loss", "name", "user"]


def test_a_number_does_not_touch_the_text_behind_it_while_there_is_room() -> None:
    x = {placed.column.key: placed.x for placed in lay_out((NAME, LOSS, USER), ["loss", "user", "name"], 52).placed}
    assert x == {"loss": GUTTER, "user": GUTTER + 9 + 2, "name": GUTTER + 9 + 2 + 10 + 1}


def test_on_a_narrow_screen_the_least_important_column_goes_first() -> None:
    assert keys(lay_out(ALL, order(), 60)) == ["name", "state", "loss"]
    assert keys(lay_out(ALL, order(), 45)) == ["name", "state"]


def test_a_column_is_narrowed_before_it_goes() -> None:
    assert [placed.width for placed in lay_out(ALL, order(), 43).placed] == [28, 12]


def test_a_pinned_column_never_goes() -> None:
    assert keys(lay_out(ALL, order(), 8)) == ["name"]


def test_room_is_used_and_not_stretched() -> None:
    layout = lay_out(ALL, order(), 200)
    assert {placed.column.key: placed.width for placed in layout.placed} == {
        "name": 60,
        "user": 10,
        "state": 13,
        "loss": 9,
    }


def test_hidden_columns_are_counted() -> None:
    assert lay_out(ALL, order(), 45).hidden_after == 2


def test_scrolling_sideways_keeps_the_pinned_column_and_shows_the_rest_in_order() -> None:
    layout = lay_out(ALL, order(), 60, skip=1)
    assert keys(layout) == ["name", "state", "loss"]
    assert layout.hidden_before == 1
    assert keys(lay_out(ALL, order(), 60, skip=9)) == ["name", "loss"]


def test_unknown_and_repeated_keys_are_left_out() -> None:
    assert keys(lay_out(ALL, ["name", "nothing", "name"], 80)) == ["name"]


def test_a_cell_is_found_by_its_column_whatever_the_order() -> None:
    assert [placed.cell for placed in lay_out(ALL, ["loss", "name"], 80).placed] == [3, 0]


COLUMN = st.builds(
    lambda key, least, extra, priority: Column(key, key, width=least + extra, least=least, priority=priority),
    st.uuids().map(str),
    st.integers(1, 12),
    st.integers(0, 20),
    st.integers(0, 3),
)


@given(st.lists(COLUMN, max_size=9), st.integers(3, 240), st.integers(0, 9))
def test_columns_never_overlap_and_unpinned_ones_never_leave_the_screen(
    columns: list[Column], width: int, skip: int
) -> None:
    layout = lay_out(columns, [column.key for column in columns], width, skip)
    at = GUTTER
    for placed in layout.placed:
        assert placed.x >= at
        at = placed.x + placed.width
    if all(placed.column.priority for placed in layout.placed):
        assert not layout.placed or at <= width
