"""Runs side by side: what differs first, and their curves over each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from mlconsole.domain.compare import ComparedRow, Comparison, compare
from mlconsole.domain.query import Query
from mlconsole.domain.runs import Run
from mlconsole.render import numbers
from mlconsole.render.numbers import counted
from mlconsole.render.sanitise import cell_width, clean
from mlconsole.render.states import mark_of
from mlconsole.tui.places import Location
from mlconsole.tui.screens.sections import SectionScreen, section_bindings
from mlconsole.tui.sources import points_of
from mlconsole.tui.widgets.chart_sheet import ChartData, Points, Series
from mlconsole.tui.widgets.charts import Charts
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import ListSource, Row
from mlconsole.tui.widgets.scatter import Scatter
from mlconsole.tui.widgets.table import Table

SECTIONS = ("table", "curves", "scatter")
MOST_RUNS = 24
MOST_CHARTS = 40
EPOCH = "epoch"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of the runs at once."""

    comparison: Comparison
    charts: tuple[ChartData, ...]


class CompareScreen(SectionScreen):
    """The marked runs; tab turns from the table to the curves and to a scatter of a param against a metric."""

    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar[list[BindingType]] = section_bindings(SECTIONS)
    has_head = False
    sections = SECTIONS
    own_widgets = SECTIONS

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._seen: Seen | None = None

    @property
    def ids(self) -> list[str]:
        """The runs that are compared."""
        return [word for word in self.location.target.split(",") if word][:MOST_RUNS]

    def section_widgets(self) -> Iterable[Widget]:
        """What differs, the curves, and a param against a metric."""
        yield Table(ListSource([]), (Column("key", "", width=20, priority=0),), empty="Reading ...", id="table")
        yield Charts(id="curves")
        yield Scatter(id="scatter")

    @property
    def has_read(self) -> bool:
        """True when the runs were read once."""
        return self._seen is not None

    def look_again(self) -> None:
        """Read the runs again."""
        self.console.reads.do(self._read, self._show)

    def _read(self) -> Seen:
        catalog = self.console.ctx.catalog
        runs = [catalog.runs.get(word) for word in self.ids]
        keys = list(dict.fromkeys(key for run in runs for key in run.metrics if key != EPOCH))[:MOST_CHARTS]
        charts = (ChartData(key, self._series(runs, key)) for key in keys)
        return Seen(compare(runs), tuple(chart for chart in charts if chart.series))

    def _series(self, runs: Sequence[Run], key: str) -> tuple[Series, ...]:
        return tuple(
            Series(run.name, points, self._points(run, EPOCH) if EPOCH in run.metrics else None)
            for run in runs
            if key in run.metrics and (points := self._points(run, key)).steps
        )

    def _points(self, run: Run, key: str) -> Points:
        return points_of(self.console.ctx.catalog, run, key)

    def _show(self, seen: Seen) -> None:
        if not self.is_shown or seen == self._seen:
            return
        is_first = self._seen is None
        self._seen = seen
        runs = seen.comparison.runs
        self.console.names[self.location.target] = counted(len(runs), "run")
        table = self.query_one(Table)
        table.empty = "Nothing to compare: mark runs with space, then c."
        rows = rows_of(seen.comparison)
        table.set_source(ListSource(rows), columns_of(runs, rows) if is_first else None)
        self.query_one(Charts).show_charts(seen.charts)
        self.query_one(Scatter).show(runs)
        self.show_page()
        self.show_title()


def columns_of(runs: Sequence[Run], rows: Sequence[Row]) -> list[Column]:
    """A column for the names and one for each run, as wide as what is in them, within reason."""
    widest = [max((cell_width(clean(row.cells[at][0])) for row in rows), default=0) for at in range(len(runs) + 1)]
    key = max(14, min(widest[0], 40))
    columns = [Column("key", "DIFFERS / SAME", width=min(key, 24), least=12, most=key, priority=0)]
    for at, run in enumerate(runs, 1):
        wide = max(8, widest[at], cell_width(clean(run.name)))
        columns.append(Column(run.id, run.name, True, min(wide, 14), 8, max(24, min(wide, 60)), priority=at))
    return columns


def rows_of(comparison: Comparison) -> list[Row]:
    """State first, then what differs, then what is the same."""
    marks = [mark_of(run) for run in comparison.runs]
    head = Row("state", (("state", "label"), *((f"{mark.glyph} {mark.word}", mark.token) for mark in marks)))
    return [head, *(_row(row) for row in comparison.rows)]


def _row(row: ComparedRow) -> Row:
    token = "value" if row.differs else "dim"
    sign = "≠" if row.differs else " "
    cells = ((_text(value), token) for value in row.values)
    return Row(f"{row.kind} {row.key}", ((f"{sign} {row.key}", "accent" if row.differs else "dim"), *cells))


def _text(value: object) -> str:
    if value is None:
        return "·"
    return numbers.number(value) if isinstance(value, (int, float)) else str(value) or '""'
