"""Which keys of a list of runs matter: those for the run under the cursor, or for what is marked."""

from __future__ import annotations

from collections.abc import Sequence

from mlconsole.domain.runs import Outcome
from mlconsole.render.states import MARKS
from mlconsole.tui.screens.tables import TableScreen
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.rows import Row
from mlconsole.tui.widgets.table_messages import CursorMoved, MarksChanged

ENDS = frozenset(f"{MARKS[outcome.value].glyph} {MARKS[outcome.value].word}" for outcome in Outcome)
MARKED = ("run compare", "run stop", "launch", "run tag")
OVER = ("run relaunch", "launch", "run logs", "run tag")
LIVE = ("run stop", "launch", "run logs", "run relaunch", "run tag")


class RunKeysScreen(TableScreen):
    """A list of runs: one that has ended is launched again, one that has not is stopped, several are compared."""

    _named: tuple[str, ...] = ()

    def wanted_keys(self) -> Sequence[str]:
        """The actions that matter, the first of them first."""
        key, row = self.table.cursor_key, self.table.cursor_row
        if len(self.console.marks | ({key} if key else set())) > 1:
            return MARKED
        return OVER if row is not None and is_over(row) else LIVE

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        first, found = [("space", "mark"), ("/", "filter")], super().keys()
        return [*first, *(each for each in found if each not in first), ("enter", "open")]

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with how many runs are marked."""
        marked = len(self.console.marks)
        super().show_title([*([(f"{marked} marked  ", "mark")] if marked else []), *right])

    def tick(self) -> None:
        """A run may have ended meanwhile."""
        super().tick()
        self._show_other_keys()

    def on_table_cursor_moved(self, event: CursorMoved) -> None:
        """Another run may want other keys."""
        self._show_other_keys()

    def on_table_marks_changed(self, event: MarksChanged) -> None:
        """Say how many are marked."""
        self.show_title()
        self._show_other_keys()

    def _show_other_keys(self) -> None:
        if (named := tuple(self.wanted_keys())) != self._named:
            self._named = named
            self.show_keys()


def is_over(row: Row) -> bool:
    """True when one of its cells is the state of a run that has ended."""
    return any(text in ENDS for text, _ in row.cells)
