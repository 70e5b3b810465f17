"""The palette: every action and every place, found by typing part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.field import Field
from mlconsole.tui.widgets.rows import ListSource, Row
from mlconsole.tui.widgets.table import Table
from mlconsole.tui.widgets.table_messages import Selected


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what is chosen (``go runs``, ``act run stop``), its name, its summary, its key, and why it is off."""

    choice: str
    name: str
    summary: str
    key: str
    disabled: str = ""


class Palette(ModalScreen[str | None]):
    """Gives the choice of the chosen entry."""

    CSS_PATH = "palette.tcss"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "DO / GO TO", width=20, least=12, priority=0),
        Column("key", "KEY", width=6, least=5, priority=1),
        Column("summary", "", width=40, least=12, most=70, priority=2),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+p", "close", "close"),
        Binding("down", "move(1)", "down", show=False, priority=True),
        Binding("up", "move(-1)", "up", show=False, priority=True),
    ]

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self._entries = {entry.choice: entry for entry in entries}

    def compose(self) -> ComposeResult:
        """A line to type in, and what fits."""
        with Vertical(id="dialog"):
            yield Field(placeholder="type part of an action or a place", id="wanted")
            yield Table(self._source(""), self.COLUMNS, empty="Nothing is called so.")

    def on_mount(self) -> None:
        """Keys go into the line."""
        self.query_one(Table).can_focus = False
        self.set_focus(self.query_one(Input))

    def _source(self, wanted: str) -> ListSource:
        words = wanted.lower().split()
        fitting = [
            entry
            for entry in self._entries.values()
            if all(word in f"{entry.name} {entry.summary}".lower() for word in words)
        ]
        return ListSource([self._row(entry) for entry in fitting])

    def _row(self, entry: Entry) -> Row:
        summary = (entry.disabled, "warn") if entry.disabled else (entry.summary, "dim")
        return Row(entry.choice, ((entry.name, "dim" if entry.disabled else "name"), (entry.key, "accent"), summary))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what fits."""
        self.query_one(Table).set_source(self._source(event.value))

    def on_input_submitted(self) -> None:
        """Choose the entry under the cursor."""
        self._choose(self.query_one(Table).cursor_key)

    def on_table_selected(self, event: Selected) -> None:
        """Choose the clicked entry."""
        self._choose(event.key)

    def _choose(self, choice: str | None) -> None:
        if choice is not None and not self._entries[choice].disabled:
            self.dismiss(choice)

    def action_move(self, rows: int) -> None:
        """Move in the list while typing."""
        self.query_one(Table).action_move(rows)

    def action_close(self) -> None:
        """Choose nothing."""
        self.dismiss(None)
