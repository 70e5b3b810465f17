"""The foot of a list: what the row under the cursor tells beyond what is on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mlconsole.tui.widgets.columns import GUTTER, Column
from mlconsole.tui.widgets.folding import fold
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.page import Page
from mlconsole.tui.widgets.rows import Cell

LINES = 2
INDENT = " " * GUTTER


class Foot(Page, can_focus=False):
    """Always as high, so that no row moves; cells that were cut come first, then those of columns that went."""

    FOLDS: ClassVar[int] = LINES
    DEFAULT_CSS = f"Foot {{ height: {LINES}; }}"

    def tell(self, cells: Sequence[tuple[Column, Cell]]) -> None:
        """Tell these cells under their titles, as many as have room; the first of them whatever it takes."""
        line: list[Span] = [(INDENT, "label")]
        for column, (text, token) in cells:
            title = column.title.lower()
            more: list[Span] = [(f"{title} " if title else "", "label"), (f"{text.strip()}  ", token)]
            is_first = len(line) == 1
            if any(map(str.isalnum, text)) and (is_first or len(fold([*line, *more], self.size.width)) <= LINES):
                line += more
        self.show([line] if len(line) > 1 else [])
