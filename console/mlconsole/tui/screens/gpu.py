"""One GPU: what it did, who holds it, and why it is taken for what it is taken for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.domain.gpu import GpuHealth, Source
from mlconsole.domain.gpu_rows import GpuRow
from mlconsole.domain.query import Query
from mlconsole.render.curves import XAxis
from mlconsole.tui import gpu_charts
from mlconsole.tui.gpu_pages import TOKENS, Lines, evidence, figures, head_lines, holders
from mlconsole.tui.places import Location
from mlconsole.tui.screens.sections import SectionScreen, section_bindings
from mlconsole.tui.widgets.chart_sheet import ChartData
from mlconsole.tui.widgets.charts import Charts
from mlconsole.tui.widgets.line import Span

SECTIONS = ("history", "holders", "evidence", "figures")
SPANS_S = {"the last hour": 3600, "the last day": 86_400, "the last 30 days": 30 * 86_400}


class GpuScreen(SectionScreen):
    """The page of one GPU; the digits and tab change its section, ``w`` the time that is drawn."""

    CSS_PATH = "gpu.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *section_bindings(SECTIONS),
        Binding("w", "span", "an hour, a day or a month of its past", show=False),
        Binding("u", "run", "the run that holds it", show=False),
    ]
    sections = SECTIONS
    own_widgets = ("history",)
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked", "gpu"})
    shown_keys: ClassVar[tuple[str, ...]] = ("teardown", "gpu keep", "run stop")
    wants_gpus: ClassVar[bool] = True

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._span = next(iter(SPANS_S))
        self._row: GpuRow | None = None

    def section_widgets(self) -> Iterable[Widget]:
        """The charts of its past."""
        yield Charts(empty="Its past is kept while a console or mlconsole watch is open: nothing yet.", id="history")

    def on_mount(self) -> None:
        """Its past is drawn over the time of day."""
        self.query_one("#history", Charts).sheet.axis = XAxis.TIME

    def filled(self, cursor: str) -> object:
        """This GPU, or the run that holds it."""
        row = self._row
        if row is None:
            return None
        if cursor == "gpu":
            return None if row.is_far else row.reading.key
        if cursor == "marked":
            return (row.run_id,) if row.run_id else None if row.is_far else (row.reading.key,)
        return row.run_id or None

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        section, *others = super().keys()
        return [section, ("w", "hour / day / month"), ("u", "its run"), *others]

    def look_again(self) -> None:
        """Read its past again, and take the last look."""
        self.console.gpus.start()
        self.console.reads.do(self._read, self._show)

    def _read(self) -> tuple[ChartData, ...]:
        row = self.console.gpus.row(self.location.target)
        if row is None:
            return ()
        ctx = self.console.ctx
        now_s = ctx.clock().timestamp()
        past = GpuHistory(ctx.settings.home, read_only=True)
        try:
            mine = [(gpu, gpu.name) for gpu in past.gpus() if _is_of(gpu.uuid, gpu.source, row)]
            over = gpu_charts.span(now_s - SPANS_S[self._span], now_s, now_s)
            return gpu_charts.charts(past, mine, over, is_back=True)
        finally:
            past.close()

    def _show(self, charts: tuple[ChartData, ...]) -> None:
        if not self.is_shown:
            return
        self._row = row = self.console.gpus.row(self.location.target)
        if row is not None:
            self.console.names[self.location.target] = row.label
        self.show_head(self._head(row))
        self.query_one("#history", Charts).show_charts(charts)
        self.show_page()
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title; at its right end what it does, and whether it is a live GPU."""
        row = self._row
        if row is not None:
            if row.reading.source is not Source.NVML:
                right = [*right, (f"{row.reading.source.value}: no live GPU  ", "warn")]
            if row.reading.health is not GpuHealth.OK:
                right = [*right, (row.reading.health.word, "state.bad")]
            elif row.idle_class is not None:
                right = [*right, (row.idle_class.value.upper(), TOKENS.get(row.idle_class, "value"))]
        super().show_title(right)

    def _head(self, row: GpuRow | None) -> Lines:
        if row is None:
            report, feed = self.console.gpus.report, self.console.gpus
            words = feed.error or ("Looking for GPUs ..." if report is None else report.snapshot.words)
            if report is not None and report.all_rows:
                words = f'No GPU "{self.location.target}" on {report.snapshot.host}. :gpus lists them.'
            return [[(words, "dim")]]
        is_ascii = self.console.look.is_ascii
        past = tuple(self.console.gpus.past.get(row.reading.key, ()))
        return head_lines(row, past, is_ascii=is_ascii, idle=self.console.ctx.settings.idle)

    def page_lines(self, section: str) -> Lines | None:
        """The lines of a section."""
        if self._row is None:
            return None
        return {"holders": holders, "evidence": evidence, "figures": figures}[section](self._row)

    def tabs_note(self) -> str:
        """The time that is drawn."""
        return self._span if self.section == "history" else ""

    def action_span(self) -> None:
        """Draw more of its past, or the last hour again."""
        spans = list(SPANS_S)
        self._span = spans[(spans.index(self._span) + 1) % len(spans)]
        self.show_tabs()
        self.look_again()

    def action_run(self) -> None:
        """Open the run that holds it."""
        if self._row is not None and self._row.run_id:
            self.console.go(Location("run", self._row.run_id))
        else:
            self.say("No run holds it.", "dim")


def _is_of(uuid: str, source: Source, row: GpuRow) -> bool:
    return uuid == row.reading.uuid and source is row.reading.source
