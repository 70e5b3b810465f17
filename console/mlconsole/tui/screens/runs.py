"""The runs of the catalog, by filter: a virtual table over SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.domain.query import Query, parse
from mlconsole.errors import QueryError
from mlconsole.render.sanitise import clean
from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.sources import RunsSource, column_keys, columns
from mlconsole.tui.typed import command_of
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.prompt import Prompt
from mlconsole.tui.widgets.rows import Row
from mlconsole.tui.widgets.table import Table
from mlconsole.tui.widgets.table_messages import MarksChanged, Selected, SortWanted, Tallied


class RunsScreen(PlaceScreen):
    """All runs, newest first unless the line says otherwise."""

    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("escape", "unfilter", "take the filter away", show=False),
        Binding("f5", "again", "read again"),
        Binding("y", "copy('id')", "copy the id, or those of the marked runs"),
        Binding("Y", "copy('rows')", "copy the row, or the marked rows"),
        Binding("o", "order", "sort by ..."),
        Binding("O", "columns", "choose columns and their order"),
        Binding("K", "copy_command", "copy the command that lists the same"),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})
    shown_keys: ClassVar[tuple[str, ...]] = ("launch", "run stop", "run compare", "run relaunch", "run tag")

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._total: int | None = None
        self._before = location.line

    def content(self) -> Iterable[Widget]:
        """The table."""
        self._rows = self._source()
        yield Table(
            self._rows,
            columns(self.column_keys),
            marks=self.console.marks,
            cursor=self.location.cursor,
            rows=self.console.take_first_rows(),
            empty="No runs here. l launches one; in a script: import mlconsole. Esc takes a filter away.",
            id="runs",
        )

    def _source(self) -> RunsSource:
        console = self.console
        return RunsSource(console.ctx.catalog, self.query_line, console.ctx.clock, self.column_keys)

    @property
    def column_keys(self) -> tuple[str, ...]:
        """Names of the columns: those of the line, or the ones chosen for runs."""
        return column_keys(self.query_line, self.console.session.columns)

    def on_mount(self) -> None:
        """Say what the rows are sorted by."""
        self._show_sort()

    def _show_sort(self) -> None:
        sort = self.query_line.sort
        first = sort[0] if sort else None
        self.table.show_sort(first.field.name if first else "created", first.descending if first else True)

    def widened(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """What is exported or reported without marks: all that the filter shows."""
        if action in ("run export", "report") and not self.console.marks:
            return {**given, "runs": (), "where": self.location.line}
        return given

    @property
    def table(self) -> Table:
        """The table of runs."""
        return self.query_one(Table)

    @property
    def is_ready(self) -> bool:
        """True when the first rows are there, or the words why there are none."""
        return super().is_ready and (self.table.is_answered or self.table.error is not None)

    def focus_content(self) -> None:
        """The table takes the keys."""
        self.set_focus(self.table)

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("enter", "open"), ("space", "mark"), ("/", "filter"), *super().keys()]

    def cursor_name(self) -> str:
        """The id of the run under the cursor."""
        return self.table.cursor_key or ""

    def filled(self, cursor: str) -> Any:
        """The run under the cursor, or the marked runs."""
        key = self.table.cursor_key
        if cursor == "marked":
            return tuple(self.console.marks) or ((key,) if key else None)
        return key

    def look_again(self) -> None:
        """Read the visible rows again."""
        self.table.look_again()

    def action_again(self) -> None:
        """Read everything again."""
        self._rows = self._source()
        self.table.set_source(self._rows)

    def action_order(self) -> None:
        """Open the line with a sort to complete."""
        self._before = self.location.line
        self.action_prompt("/", f"{_unsorted(self.location.line)} sort:".lstrip())

    def action_copy(self, what: str) -> None:
        """Copy the id under the cursor, or rows with their titles, separated by tabs."""
        keys = sorted(self.console.marks) or [key for key in (self.table.cursor_key,) if key]
        if what == "id":
            self.console.copy("\n".join(keys[:1] if not self.console.marks else keys), "the id")
            return
        source, names = self._source(), self.column_keys

        def copy(rows: Sequence[Row]) -> None:
            lines = ["\t".join(names), *("\t".join(clean(text) for text, _ in row.cells) for row in rows)]
            self.console.copy("\n".join(lines), f"{len(rows)} row{'s' * (len(rows) != 1)}")

        self.console.reads.do(lambda: source.rows(keys), copy)

    def action_copy_command(self) -> None:
        """Copy the command that lists the same runs in a shell."""
        self.console.copy(command_of(self.location), "the command")

    def action_columns(self) -> None:
        """Open the line with the present columns, to be changed."""
        self.action_prompt(":", f"cols {','.join(self.column_keys[2:])}")

    def on_table_sort_wanted(self, event: SortWanted) -> None:
        """A click on a title sorts by it; another one turns the order round."""
        sort = self.query_line.sort
        is_same = bool(sort) and sort[0].field.name == event.column and not sort[0].descending
        line = f"{_unsorted(self.location.line)} sort:{'-' if is_same else ''}{event.column}".lstrip()
        try:
            self.set_query(line, parse(line))
        except QueryError as error:
            self.say(f"{error.message} {error.hint}", "warn")

    def action_filter(self) -> None:
        """Filter as you type."""
        self._before = self.location.line
        # A blank at the end: what is typed next is another term.
        self.action_prompt("/", f"{self._before} " if self._before else "")

    def on_prompt_edited(self, event: Prompt.Edited) -> None:
        """Filter while it is typed, as soon as it parses."""
        if event.mode != "/":
            return
        prompt = self.query_one(Prompt)
        try:
            query = parse(event.text)
        except QueryError as error:
            prompt.point_at(error)
            self.query_one("#title", Line).show([(f"{error.message} {error.hint}", "warn")])
            return
        self.set_query(event.text.strip(), query)

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Enter keeps the filter."""
        if event.mode == "/":
            self.query_one(Prompt).remember(event.text)
            self.close_prompt()
            self.say(" ".join(self._rows.notes), "warn")

    def on_prompt_closed(self, event: Prompt.Closed) -> None:
        """Escape while typing brings back what was shown before."""
        if event.mode == "/":
            self.set_query(self._before, parse(self._before))

    def action_unfilter(self) -> None:
        """Show all runs again."""
        if self.location.line:
            self.set_query("", Query())

    def set_query(self, line: str, query: Query) -> None:
        """Show other runs, or the same in another order."""
        self.location = replace(self.location, line=line)
        self.console.trail.visit(self.location)
        self.query_line = query
        self._rows = self._source()
        self.table.set_source(self._rows, columns(self.column_keys))
        self._show_sort()
        self.show_title()

    def on_table_selected(self, event: Selected) -> None:
        """Open a run."""
        self.console.go(Location("run", event.key))

    def on_table_tallied(self, event: Tallied) -> None:
        """Say how many there are."""
        self._total = event.total
        self.show_title()
        if self._rows.notes and not self.query_one(Prompt).is_open:
            self.say(" ".join(self._rows.notes), "warn")

    def on_table_marks_changed(self, event: MarksChanged) -> None:
        """Say how many are marked."""
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with how many runs there are and how many are marked."""
        marked = len(self.console.marks)
        marks: list[Span] = [(f"{marked} marked  ", "mark")] if marked else []
        total = "" if self._total is None else f"{self._total:,} run{'s' * (self._total != 1)}"
        super().show_title([*marks, (total, "dim"), *right])


def _unsorted(line: str) -> str:
    return re.sub(r"(^|\s)sort:\S*", "", line).strip()
