"""Which columns of a table are shown at a width, and how wide each is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mlconsole.records import record

GUTTER = 2  # One cell for the cursor's bar, one for the mark.
_GAP = 1


@record
class Column:
    """One column as it is declared.

    Attributes:
        key: its name in sorting and choosing. title: the heading, with the unit where there is one. right:
        numbers stand right-aligned, and are cut at their end. width: cells wished for. least: the least
        that makes sense; the column goes when there is not even that. most: what it may grow to where there
        is room; 0 means ``width``. priority: the lower, the longer it stays on a narrow screen; columns of
        priority 0 never go and never scroll
            away, and the first of them carries the cursor. is_prose: a sentence, cut at its end; names are cut in
            the middle, so that both ends can be told.
    """

    key: str
    title: str
    right: bool = False
    width: int = 12
    least: int = 6
    most: int = 0
    priority: int = 50
    is_prose: bool = False


@record
class Placed:
    """A column on the screen: which cell of a row it shows, from which column of the widget, how wide."""

    column: Column
    cell: int
    x: int
    width: int


@record
class Layout:
    """The columns on the screen from left to right, and how many are hidden on either side."""

    placed: tuple[Placed, ...]
    hidden_before: int
    hidden_after: int


def lay_out(columns: Sequence[Column], order: Sequence[str], width: int, skip: int = 0) -> Layout:
    """Choose and size the columns for a width.

    Args:
        columns: all columns, in the order of a row's cells.
        order: keys of those to show, in the order to show them; unknown ones are left out.
        width: cells of the widget.
        skip: how many columns are scrolled away at the left. Without any, the important ones stay; with some, all
            that fit stand in their order.
    """
    cells = {column.key: index for index, column in enumerate(columns)}
    chosen = [columns[cells[key]] for key in dict.fromkeys(order) if key in cells]
    pinned = [column for column in chosen if column.priority == 0]
    others = [column for column in chosen if column.priority != 0]
    skip = min(skip, max(0, len(others) - 1))
    ranked = others[skip:] if skip else sorted(others, key=lambda column: column.priority)
    sizes, spare = _fitting(pinned, ranked, width - GUTTER, strict=bool(skip))
    shown = [column for column in chosen if column.key in sizes]
    wide = _widened(shown, spare)
    spare -= len(wide)
    for column in [*pinned, *ranked]:
        if column.key in sizes:
            more = max(0, min(spare, column.most - sizes[column.key]))
            sizes[column.key] += more
            spare -= more
    placed = []
    x = GUTTER
    for column in shown:
        placed.append(Placed(column, cells[column.key], x, sizes[column.key]))
        x += sizes[column.key] + _GAP + (column.key in wide)
    return Layout(tuple(placed), skip, len(chosen) - len(placed) - skip)


def _widened(shown: Sequence[Column], spare: int) -> set[str]:
    """The columns with two blanks behind them: all, or else numbers that a text would touch, while there is room."""
    if spare >= len(shown) - 1:
        return {column.key for column in shown[:-1]}
    touching = [column.key for column, other in pairwise(shown) if column.right and not other.right]
    return set(touching[:spare])


def _fitting(
    pinned: Sequence[Column], ranked: Sequence[Column], room: int, *, strict: bool
) -> tuple[dict[str, int], int]:
    """Widths of the columns that fit, in order of rank, and the cells that are left over.

    Each gets what it wishes for; the first for which that is too much gets what is left, if that is not less than
    its least. ``strict`` stops there.
    """
    sizes: dict[str, int] = {}
    for column in [*pinned, *ranked]:
        free = room - (_GAP if sizes else 0)
        size = min(column.width, free)
        if column.priority == 0:
            size = max(1, size)
        elif size < column.least:
            if strict:
                break
            continue
        sizes[column.key] = size
        room = free - size
    return sizes, max(0, room)
