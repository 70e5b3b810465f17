"""A small app with nothing but a virtual table, over as many made-up runs as asked for.

python tests/benchmarks/table_app.py 1000000
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from mlconsole.tui.painted_app import PaintedApp
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Direction, Row
from mlconsole.tui.widgets.table import Table

COLUMNS = (
    Column("name", "NAME", width=28, least=12, most=60, priority=0),
    Column("state", "STATE", width=13, least=11, priority=1),
    Column("loss", "LOSS", right=True, width=9, priority=15),
    Column("accuracy", "ACCURACY", right=True, width=9, priority=16),
    Column("lr", "LR", right=True, width=9, priority=17),
    Column("duration", "TIME", right=True, width=7, priority=10),
    Column("created", "CREATED", right=True, width=10, least=8, priority=20),
    Column("cost", "COST", right=True, width=10, priority=25),
    Column("user", "USER", width=10, priority=40),
    Column("host", "HOST", width=14, priority=45),
    Column("experiment", "EXPERIMENT", width=16, least=8, priority=30),
    Column("id", "ID", width=12, priority=35),
)
_STATES = (("✔ succeeded", "state.good"), ("✖ failed", "state.bad"), ("● running", "state.running"))


def made_up(number: int) -> Row:
    """The run of that number, always the same."""
    mixed = number * 2654435761 % (1 << 32)
    return Row(
        f"{number:012}",
        (
            (f"{('churn', 'ranker', 'vision')[mixed % 3]}-v{number}-seed{mixed % 97}", "name"),
            _STATES[(mixed >> 8) % 3],
            (f"{mixed / (1 << 32):.4f}", "value"),
            (f"{1 - mixed / (1 << 33):.4f}", "value"),
            (f"{10 ** -(1 + mixed % 4):.4g}", "value"),
            (f"{mixed % 9}h{mixed % 60:02}m", "value"),
            (f"{mixed % 29}d ago", "dim"),
            (f"${mixed % 10000 / 100:,.2f}", "value"),
            (("ada", "grace", "edsger", "barbara")[mixed % 4], "value"),
            (f"gpu-{mixed % 32:02}", "value"),
            (("churn", "search", "vision/pretrain")[mixed % 3], "value"),
            (f"{number:012}", "dim"),
        ),
    )


class MadeUpSource:
    """Runs that are made when they are asked for, so that a million cost no memory."""

    def __init__(self, total: int) -> None:
        self.total = total

    def page(self, anchor: str | None, direction: Direction, limit: int) -> Sequence[Row]:
        if direction is Direction.FORWARD:
            start = 0 if anchor is None else int(anchor)
            return [made_up(number) for number in range(start, min(self.total, start + limit))]
        stop = self.total if anchor is None else int(anchor)
        return [made_up(number) for number in range(max(0, stop - limit), stop)]

    def rows(self, keys: Sequence[str]) -> Sequence[Row]:
        return [made_up(int(key)) for key in keys]

    def count(self) -> int | None:
        return self.total

    def locate(self, key: str) -> int | None:
        return int(key)


class TableApp(PaintedApp[None]):
    """Fills the screen with a table; ``r`` reads it again, ``q`` ends."""

    CSS = "Screen { background: ansi_default; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("r", "look_again", "read again"),
    ]

    def __init__(self, total: int) -> None:
        super().__init__(ansi_color=True)
        self.total = total

    def compose(self) -> ComposeResult:
        yield Table(MadeUpSource(self.total), COLUMNS)

    def on_mount(self) -> None:
        self.theme = "ansi-dark"
        self.query_one(Table).focus()

    def action_look_again(self) -> None:
        self.query_one(Table).look_again()


if __name__ == "__main__":
    TableApp(int(sys.argv[1])).run()
