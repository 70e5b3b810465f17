"""Screens that are one table: filtered as you type, sorted by any column, with columns that are chosen and kept."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from mlconsole.domain.query import Query, parse
from mlconsole.errors import QueryError
from mlconsole.render.numbers import counted
from mlconsole.render.sanitise import clean
from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.prompt import Prompt
from mlconsole.tui.widgets.rows import Row
from mlconsole.tui.widgets.table import Table
from mlconsole.tui.widgets.table_messages import SortWanted


class TableScreen(PlaceScreen):
    """A table and its line. A subclass says which columns there are and shows the rows of a query."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("escape", "unfilter", "take the filter away", show=False),
        Binding("o", "order", "sort by ..."),
        Binding("O", "columns", "choose columns and their order"),
        Binding("Y", "copy('rows')", "copy the row, or the marked rows"),
        Binding("y", "copy('id')", "copy the id, or those of the marked runs"),
    ]
    empty: str = "Nothing here."
    filter_help: ClassVar[str] = "part of any text, or COLUMN:text; sort:COLUMN, sort:-COLUMN; Enter keeps it"

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._before = location.line

    @property
    def table(self) -> Table:
        """The table."""
        return self.query_one(Table)

    @property
    @abstractmethod
    def column_keys(self) -> tuple[str, ...]:
        """Names of the columns that are shown, in their order."""

    @abstractmethod
    def show_query(self) -> None:
        """Show the rows of ``self.query_line`` under the columns of it."""

    @abstractmethod
    def ask_rows(self, keys: Sequence[str]) -> Sequence[Row]:
        """The rows of these keys; called off the screen's thread."""

    def check(self, query: Query) -> None:
        """See that a line makes sense here.

        Raises:
            QueryError: it does not.
        """

    def entered(self) -> None:
        """The filter was typed to its end."""

    @property
    def marked(self) -> list[str]:
        """Keys of the marked rows."""
        return sorted(self.table.marks)

    def focus_content(self) -> None:
        """The table takes the keys."""
        self.set_focus(self.table)

    @property
    def subject(self) -> str:
        """The name in the row under the cursor."""
        row = self.table.cursor_row
        return row.cells[0][0].strip() if row is not None else ""

    def cursor_name(self) -> str:
        """The key of the row under the cursor."""
        return self.table.cursor_key or ""

    def parsed(self, line: str) -> Query:
        """The query of a line.

        Raises:
            QueryError: it does not parse, or makes no sense here.
        """
        query = parse(line)
        self.check(query)
        return query

    def set_query(self, line: str, query: Query) -> None:
        """Show other rows, or the same in another order."""
        self.location = replace(self.location, line=line)
        self.console.trail.visit(self.location)
        self.query_line = query
        self.show_query()
        self.show_sort()
        self.show_title()

    def show_sort(self) -> None:
        """Mark the column that the rows are sorted by."""
        sort = self.query_line.sort
        self.table.show_sort(sort[0].field.name if sort else "", bool(sort) and sort[0].descending)

    def action_filter(self) -> None:
        """Filter as you type."""
        self._before = self.location.line
        # A blank at the end: what is typed next is another term.
        self.action_prompt("/", f"{self._before} " if self._before else "")
        if not self._before:
            self.show_line("title", [(self.filter_help, "dim")])

    def action_order(self) -> None:
        """Open the line with a sort to complete."""
        self._before = self.location.line
        self.action_prompt("/", f"{_unsorted(self.location.line)} sort:".lstrip())

    def action_columns(self) -> None:
        """Open the line with the present columns, to be changed."""
        self.action_prompt(":", f"cols {','.join(self.column_keys)}")

    def action_unfilter(self) -> None:
        """Show all rows again."""
        if self.location.line:
            self.set_query("", Query())

    def action_copy(self, what: str) -> None:
        """Copy the id under the cursor, or rows with their titles, separated by tabs."""
        keys = self.marked or [key for key in (self.table.cursor_key,) if key]
        if what == "id":
            self.console.copy("\n".join(keys if self.marked else keys[:1]), "the id")
            return
        names = self.column_keys

        def copy(rows: Sequence[Row]) -> None:
            lines = ["\t".join(names), *("\t".join(clean(text) for text, _ in row.cells) for row in rows)]
            self.console.copy("\n".join(lines), counted(len(rows), "row"))

        self.console.reads.do(lambda: self.ask_rows(keys), copy)

    def on_table_sort_wanted(self, event: SortWanted) -> None:
        """A click on a title sorts by it; another one turns the order round."""
        sort = self.query_line.sort
        is_same = bool(sort) and sort[0].field.name == event.column and not sort[0].descending
        line = f"{_unsorted(self.location.line)} sort:{'-' if is_same else ''}{event.column}".lstrip()
        try:
            self.set_query(line, self.parsed(line))
        except QueryError as error:
            self.say(f"{error.message} {error.hint}", "warn")

    def on_prompt_edited(self, event: Prompt.Edited) -> None:
        """Filter while it is typed, as soon as it parses."""
        if event.mode != "/":
            return
        prompt = self.query_one(Prompt)
        try:
            query = self.parsed(event.text)
        except QueryError as error:
            if error.start >= len(event.text.rstrip()) and (offered := self._offers(event.text)):
                # The line is not wrong, it is not whole yet.
                self.show_line("title", offered)
                return
            prompt.point_at(error)
            self.show_line("title", [(f"{error.message} {error.hint}", "warn")])
            return
        self.set_query(event.text.strip(), query)

    def _offers(self, text: str) -> list[Span]:
        """The words that may go on from the last one, where it wants another."""
        lead = text.rpartition(" ")[2]
        names = [word.removeprefix(lead) for word in self.console.complete(text) if word.startswith(lead)]
        if not lead.endswith((":", ",", ":-")) or not names:
            return []
        words: list[Span] = [(f"{lead} ", "dim"), (" ".join(dict.fromkeys(names)), "accent")]
        if lead.startswith("sort:"):
            words.insert(1, ("- from high to low, ", "dim"))
        return words

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Enter keeps the filter."""
        if event.mode == "/":
            self.query_one(Prompt).remember(event.text)
            self.close_prompt()
            self.entered()

    def on_prompt_closed(self, event: Prompt.Closed) -> None:
        """Escape while typing brings back what was shown before."""
        if event.mode == "/":
            self.set_query(self._before, parse(self._before))


def _unsorted(line: str) -> str:
    return re.sub(r"(^|\s)sort:\S*", "", line).strip()
