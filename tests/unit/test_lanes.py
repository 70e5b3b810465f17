"""Lanes: every edge leads down, no lane breaks, and a circle that was logged ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlconsole.domain.lanes import in_order, lanes

EDGES = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda e: e[0] != e[1]), max_size=30)


def above_of(edges: list[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for below, over in edges:
        found.setdefault(below, []).append(over)
    return found


@given(EDGES)
def test_without_circles_every_node_stands_before_what_it_was_made_from(edges: list[tuple[int, int]]) -> None:
    downwards = [(max(edge), min(edge)) for edge in edges]
    order = in_order(range(15), above_of(downwards))

    at = {node: index for index, node in enumerate(order)}
    assert sorted(order) == list(range(15))
    assert all(at[below] < at[over] for below, over in downwards)


@given(EDGES)
def test_every_lane_passes_each_line_between_its_ends(edges: list[tuple[int, int]]) -> None:
    above = above_of(edges)
    order = in_order(range(15), above)
    rows = lanes(order, above)

    at = {row.node: index for index, row in enumerate(rows)}
    assert [row.node for row in rows] == order
    for row in rows:
        columns = (row.lane, *row.passing)
        assert len(set(columns)) == len(columns)
        assert not set(row.opens) & set(columns) and set(row.joins) <= set(row.passing)
    for below, over in edges:
        if at[below] < at[over]:
            column = rows[at[over]].lane
            assert all(column in row.passing for row in rows[at[below] + 1 : at[over]])
            begun = rows[at[below]]
            assert column in (begun.lane, *begun.opens, *begun.joins)


def test_a_diamond_is_drawn_as_one() -> None:
    above = {4: [3, 2], 3: [1], 2: [1]}

    drawn = [row.text() for row in lanes(in_order([1, 2, 3, 4], above), above)]

    assert drawn == ["○─╮", "○ │", "├─○", "○"]


def test_a_node_with_many_sources_says_that_lanes_are_left_out() -> None:
    above = {100: list(range(40))}
    drawn = [row.text() for row in lanes(in_order([*range(40), 100], above), above)]

    assert max(len(text) for text in drawn) < 40
    assert sum("…" in text for text in drawn) == 24
