"""Screens that are one short list: experiments, jobs by backend, audit, GPUs, cost."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.widget import Widget

from mlconsole.domain.query import Query
from mlconsole.errors import QueryError
from mlconsole.tui.picking import are_alike, check, picked
from mlconsole.tui.places import Location
from mlconsole.tui.screens.tables import TableScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.foot import Foot
from mlconsole.tui.widgets.rows import ListSource, Row
from mlconsole.tui.widgets.table import Table
from mlconsole.tui.widgets.table_messages import CursorMoved, Selected


class ListScreen(TableScreen):
    """A list that is read whole; a subclass says its columns and reads its rows at the reading desk.

    Where a cell's text does not sort as what it says, the row tells the figure behind it in ``values``.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    marks_runs: ClassVar[bool] = False

    @abstractmethod
    def read(self) -> list[Row]:
        """All rows; called off the screen's thread."""

    def content(self) -> Iterable[Widget]:
        """The table."""
        yield Table(
            ListSource([]),
            self.columns,
            order=self.column_keys,
            marks=self.console.marks if self.marks_runs else None,
            empty="Reading ...",
            cursor=self.location.cursor,
        )

    def below(self) -> Iterable[Widget]:
        """What the row under the cursor tells beyond the columns that there is room for."""
        yield Foot(id="foot")

    @property
    def column_keys(self) -> tuple[str, ...]:
        """Names of the columns: those of the line, or the ones chosen for this place, or all."""
        known = [column.key for column in self.columns]
        wanted = self.query_line.columns or self.console.session.columns.get(self.location.place, ())
        pinned = [column.key for column in self.columns if column.priority == 0]
        chosen = [key for key in wanted if key in known]
        return tuple(dict.fromkeys((*pinned, *chosen))) if chosen else tuple(known)

    def check(self, query: Query) -> None:
        """See that a line names columns of this list.

        Raises:
            QueryError: it names others.
        """
        check(query, self.columns)

    def on_mount(self) -> None:
        """Read for the first time."""
        self._rows: Sequence[Row] = ()
        self._shown: Sequence[Row] | None = None
        try:
            self.check(self.query_line)
        except QueryError as error:
            self.query_line = Query()
            self.say(f"{error.message} {error.hint}", "warn")
        self.show_sort()
        self.look_again()

    def look_again(self) -> None:
        """Read the rows and show them if they differ."""
        self.console.reads.do(self.read, self._show)

    def _show(self, rows: list[Row]) -> None:
        if not self.is_shown:
            return
        self._rows = rows
        self.show_title()
        found = picked(rows, self.query_line, self.columns)
        is_filtered = self.query_line.where is not None and rows
        words = "Nothing here fits the filter. Esc takes it away." if is_filtered else self.empty
        says_other = not found and self.table.empty != words
        if self._shown is None or says_other or not are_alike(found, self._shown):
            self._shown = found
            self.table.empty = words
            self.table.set_source(ListSource(found), order=self.column_keys)
        self.show_foot()

    def show_trouble(self, words: str) -> None:
        """Say it in place of rows, where none were read."""
        if self._shown is None and self.table.empty != words:
            self.table.empty = words
            self.table.set_source(ListSource([]))

    def show_foot(self) -> None:
        """Say in the foot what the row under the cursor has no room for."""
        if (foot := self.query_one_optional("#foot", Foot)) is not None:
            key = self.table.cursor_key
            row = next((row for row in self._shown or () if row.key == key), None)
            foot.tell(self.table.unseen(row) if row is not None else ())

    def on_table_cursor_moved(self, event: CursorMoved) -> None:
        """Tell of another row."""
        self.show_foot()

    def on_resize(self) -> None:
        """More or fewer columns have room."""
        self.call_after_refresh(self.show_foot)

    def show_query(self) -> None:
        """Show the rows of another line, out of those that were read."""
        self._shown = None
        self._show(list(self._rows))

    def ask_rows(self, keys: Sequence[str]) -> Sequence[Row]:
        """The rows of these keys, with the cells that are shown."""
        at = {column.key: index for index, column in enumerate(self.columns)}
        shown = [at[key] for key in self.column_keys]
        return [replace(row, cells=tuple(row.cells[i] for i in shown)) for row in self._rows if row.key in keys]

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [*super().keys(), ("/", "filter"), ("o", "sort")]

    def on_table_selected(self, event: Selected) -> None:
        """Open what a row stands for."""
        if (location := self.open(event.key)) is not None:
            self.console.go(location)

    def open(self, key: str) -> Location | None:
        """Where Enter on a row leads; None when nowhere."""
        return None
