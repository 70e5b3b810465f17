"""The line of a short list: what it keeps, in which order, and what it refuses."""

from __future__ import annotations

import pytest

from mlconsole.domain.query import parse
from mlconsole.errors import QueryError
from mlconsole.tui.picking import check, picked
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Row

COLUMNS = (Column("name", "NAME", priority=0), Column("use", "USE", True), Column("user", "USER"))


def row(name: str, use: float | None, user: str = "ada", under: str = "", is_last: bool = False) -> Row:
    shown = "" if use is None else f"{use:.0f} %"
    return Row(name, ((name, ""), (shown, ""), (user, "")), (("use", use),), under, is_last)


ROWS = [
    row("a", 9),
    row("a1", 1, "bob", under="a"),
    row("a2", 8, under="a"),
    row("b", 100),
    row("c", None, "bob"),
    row("total", 500, is_last=True),
]


def keys(line: str) -> str:
    return " ".join(each.key for each in picked(ROWS, parse(line), COLUMNS))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("", "a a1 a2 b c total"),
        ("sort:use", "a a1 a2 b c total"),
        ("sort:-use", "b a a2 a1 c total"),
        ("sort:user,-use", "b a a2 a1 c total"),
        ("sort:-user", "c a a1 a2 b total"),
        ("use>8", "a a1 a2 b total"),
        ("use<2", "a a1 total"),
        ("user:bob", "a a1 c total"),
        ("BOB", "a a1 c total"),
        ("not bob use>=100", "b total"),
        ("not has:use", "c total"),
        ("(b or c) sort:-name", "c b a a1 total"),
    ],
)
def test_a_line_keeps_and_orders_rows(line: str, shown: str) -> None:
    assert keys(line) == shown


@pytest.mark.parametrize("line", ["sort:loss", "loss<3", "not has:loss", "cols:name,loss", "a or loss=2"])
def test_a_column_that_the_list_has_not_is_refused_by_name(line: str) -> None:
    with pytest.raises(QueryError, match='No column "loss"') as found:
        check(parse(line), COLUMNS)
    assert "name, use, user" in found.value.hint


def test_words_and_columns_of_the_list_are_taken() -> None:
    check(parse("bob use>3 name~x sort:-use cols:user,use"), COLUMNS)
