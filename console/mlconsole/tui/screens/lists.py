"""Screens that are one short list: experiments, jobs by backend, audit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.widget import Widget

from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import ListSource, Row
from mlconsole.tui.widgets.table import Table
from mlconsole.tui.widgets.table_messages import Selected


class ListScreen(PlaceScreen):
    """A list that is read whole; a subclass says its columns and reads its rows at the reading desk."""

    columns: ClassVar[tuple[Column, ...]] = ()
    empty: str = "Nothing here."

    @abstractmethod
    def read(self) -> list[Row]:
        """All rows; called off the screen's thread."""

    def content(self) -> Iterable[Widget]:
        """The table."""
        yield Table(ListSource([]), self.columns, empty="Reading ...", cursor=self.location.cursor)

    def on_mount(self) -> None:
        """Read for the first time."""
        self._rows: Sequence[Row] | None = None
        self.look_again()

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one(Table)

    def look_again(self) -> None:
        """Read the rows and show them if they differ."""
        self.console.reads.do(self.read, self._show)

    def _show(self, rows: list[Row]) -> None:
        if not self.is_shown:
            return
        self.show_title()
        if rows != self._rows:
            self._rows = rows
            self.table.empty = self.empty
            self.table.set_source(ListSource(rows))

    def focus_content(self) -> None:
        """The table takes the keys."""
        self.set_focus(self.table)

    def cursor_name(self) -> str:
        """The key of the row under the cursor."""
        return self.table.cursor_key or ""

    def on_table_selected(self, event: Selected) -> None:
        """Open what a row stands for."""
        if (location := self.open(event.key)) is not None:
            self.console.go(location)

    def open(self, key: str) -> Location | None:
        """Where Enter on a row leads; None when nowhere."""
        return None
