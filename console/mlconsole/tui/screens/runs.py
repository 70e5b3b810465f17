"""The runs of the catalog, by filter: a virtual table over SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.domain.query import Query
from mlconsole.render.numbers import counted
from mlconsole.tui.places import Location
from mlconsole.tui.screens.run_keys import RunKeysScreen
from mlconsole.tui.sources import RunsSource, column_keys, columns
from mlconsole.tui.typed import STATES, command_of
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.prompt import Prompt
from mlconsole.tui.widgets.rows import Row
from mlconsole.tui.widgets.table import Table
from mlconsole.tui.widgets.table_messages import Selected, Tallied


class RunsScreen(RunKeysScreen):
    """All runs, newest first unless the line says otherwise."""

    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "again", "read again"),
        Binding("K", "copy_command", "copy the command that lists the same"),
    ]
    filter_help: ClassVar[str] = "part of a name; state:failed  val/loss<0.3  lr=0.1  tag:x  user:me  sort:-val/acc"
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._total: int | None = None

    def content(self) -> Iterable[Widget]:
        """The table."""
        self._rows = self._source()
        yield Table(
            self._rows,
            columns(self.column_keys),
            marks=self.console.marks,
            cursor=self.location.cursor,
            rows=self.console.take_first_rows(),
            empty=self._empty(),
            id="runs",
        )

    def _empty(self) -> str:
        """What to say where there are no runs: a word that is a state was meant as one."""
        for word in self.location.line.lower().split():
            if word in STATES:
                return f'No run has "{word}" in its name. For those in that state: state:{word}. Esc takes it away.'
        if self.query_line.where is not None:
            return "No runs here: none fits the filter. Esc takes it away; ? tells what may stand in it."
        return "No runs here yet. l launches one; in a script: import mlconsole."

    def _source(self) -> RunsSource:
        console = self.console
        return RunsSource(console.ctx.catalog, self.query_line, console.ctx.clock, self.column_keys)

    @property
    def column_keys(self) -> tuple[str, ...]:
        """Names of the columns: those of the line, or the ones chosen for runs, or else the usual ones."""
        chosen = self.console.session.columns.get("runs", ())
        return column_keys(self.query_line, chosen, self.console.usual_columns)

    def on_mount(self) -> None:
        """Say what the rows are sorted by."""
        self.show_sort()

    def show_sort(self) -> None:
        """Mark the column that the runs are sorted by: when they were created, unless the line says otherwise."""
        sort = self.query_line.sort
        first = sort[0] if sort else None
        self.table.show_sort(first.field.name if first else "created", first.descending if first else True)

    def widened(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """What is exported or reported without marks: all that the filter shows."""
        if action in ("run export", "report") and not self.console.marks:
            return {**given, "runs": (), "where": self.location.line}
        return given

    @property
    def is_ready(self) -> bool:
        """True when the first rows are there, or the words why there are none."""
        return super().is_ready and (self.table.is_answered or self.table.error is not None)

    def filled(self, cursor: str) -> Any:
        """The run under the cursor, or the marked runs."""
        key = self.table.cursor_key
        if cursor == "marked":
            return tuple(self.console.marks) or ((key,) if key else None)
        return key

    def look_again(self) -> None:
        """Read the visible rows again."""
        self.table.look_again()

    def tick(self) -> None:
        """How long runs have run is read again, in the rows that are in view."""
        self.table.look_at_rows()

    def action_again(self) -> None:
        """Read everything again."""
        self._rows = self._source()
        self.table.set_source(self._rows)

    def action_copy_command(self) -> None:
        """Copy the command that lists the same runs in a shell."""
        self.console.copy(command_of(self.location), "the command")

    def show_query(self) -> None:
        """Show the runs of another line."""
        self.table.empty = self._empty()
        self._rows = self._source()
        self.table.set_source(self._rows, columns(self.column_keys))

    def ask_rows(self, keys: Sequence[str]) -> Sequence[Row]:
        """The runs of these ids."""
        return self._source().rows(keys)

    def entered(self) -> None:
        """Say what the filter names that no run has."""
        self.say(" ".join(self._rows.notes), "warn")

    def on_table_selected(self, event: Selected) -> None:
        """Open a run."""
        self.console.go(Location("run", event.key))

    def on_table_tallied(self, event: Tallied) -> None:
        """Say how many there are."""
        self._total = event.total
        self.show_title()
        if self._rows.notes and not self.query_one(Prompt).is_open:
            self.say(" ".join(self._rows.notes), "warn")

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with how many runs there are."""
        total = "" if self._total is None else counted(self._total, "run")
        super().show_title([(total, "dim"), *right])
