"""The lines that a patch changes are found, by file and number."""

from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from mlconsole.domain.run_diff import LineChange, line_changes

LINES = st.lists(st.sampled_from(["a", "b", "-- c", "++ d", "@@ e", "diff f", ""]), max_size=8)


def patch_of(before: list[str], after: list[str]) -> str:
    body = list(difflib.unified_diff(before, after, "a/x.py", "b/x.py", lineterm=""))
    return "\n".join(["diff --git a/x.py b/x.py", *body])


def test_a_replaced_line_has_its_number_and_both_texts() -> None:
    found = line_changes(patch_of(["one", "two", "three"], ["one", "2", "three", "four"]))

    assert found == [LineChange("x.py", 2, "two", "2"), LineChange("x.py", 4, None, "four")]


@given(LINES, LINES)
def test_every_added_line_stands_where_it_is_said_to(before: list[str], after: list[str]) -> None:
    found = line_changes(patch_of(before, after))

    assert all(after[one.line - 1] == one.added for one in found if one.added is not None)
    assert len(before) - len(after) == sum((one.removed is not None) - (one.added is not None) for one in found)
