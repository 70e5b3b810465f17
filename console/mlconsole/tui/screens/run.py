"""One run: its curves, params, environment, code, log, artifacts and timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.actions.gpu_use import GpuUse, use_of
from mlconsole.actions.run_logs import log_path
from mlconsole.actions.run_reads import with_costs
from mlconsole.catalog import Catalog
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.domain.gpu_history import PastGpu
from mlconsole.domain.query import Query
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import Run, State
from mlconsole.errors import NotFound
from mlconsole.records import replace
from mlconsole.render.curves import XAxis
from mlconsole.render.states import mark_of
from mlconsole.tui import gpu_charts, run_pages
from mlconsole.tui.explorer import Explorer, View
from mlconsole.tui.places import Location
from mlconsole.tui.screens.sections import SectionScreen, section_bindings
from mlconsole.tui.sources import points_of
from mlconsole.tui.widgets.chart_sheet import ChartData, Points, Series
from mlconsole.tui.widgets.charts import Charts
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.log import LogView
from mlconsole.tui.widgets.log_messages import CopyWanted
from mlconsole.tui.widgets.page import Page

SECTIONS = ("charts", "params", "log", "environment", "code", "artifacts", "timeline", "lineage", "gpus")
DIFF_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of a run at once."""

    details: RunDetails
    metrics: tuple[Points, ...]
    diff: str
    log: Path | None
    lineage: View | None
    gpus: tuple[ChartData, ...] = ()


class RunScreen(SectionScreen):
    """The page of one run; the digits and tab change its section."""

    CSS_PATH = "run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *section_bindings(SECTIONS),
        Binding("v", "view", "open the log, diff or page in $PAGER", show=False),
        Binding("V", "edit", "open the log, or a copy of the page, in $EDITOR", show=False),
    ]
    sections = SECTIONS
    own_widgets = ("charts", "log", "gpus")
    short_words: ClassVar[Mapping[str, str]] = {"environment": "env", "artifacts": "files"}
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})
    wants_gpus: ClassVar[bool] = True
    shown_keys: ClassVar[tuple[str, ...]] = ("run stop", "run relaunch", "run tag", "report")

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._seen: Seen | None = None

    def section_widgets(self) -> Iterable[Widget]:
        """The charts, the log, and what its GPUs did."""
        yield Charts(id="charts")
        yield LogView(id="log")
        yield Charts(empty="No GPU of this run has a past: it leased none, or nobody was watching.", id="gpus")

    def on_mount(self) -> None:
        """What its GPUs did is drawn over the time of day."""
        self.query_one("#gpus", Charts).sheet.axis = XAxis.TIME

    def on_log_copy_wanted(self, event: CopyWanted) -> None:
        """Copy out of the log."""
        self.console.copy(event.text, event.what)

    def action_view(self) -> None:
        """Open what is shown in the user's pager, which has the terminal meanwhile."""
        if self.section == "log" and self._seen is not None and self._seen.log is not None:
            self.console.handoff.view(self._seen.log)
        else:
            self.console.handoff.view_text(self._text())

    def action_edit(self) -> None:
        """Open what is shown in the user's editor: the log itself, of anything else a copy."""
        if self.section == "log" and self._seen is not None and self._seen.log is not None:
            self.console.handoff.edit(self._seen.log)
        else:
            self.console.handoff.edit_text(self._text())

    def _text(self) -> str:
        if self.section == "code" and self._seen is not None:
            return self._seen.diff
        if self.section == "charts" and self._seen is not None:
            lines = run_pages.params(self._seen.details, self.console.ctx.clock())
            return "\n".join("".join(text for text, _ in line) for line in lines)
        return "\n".join(self.query_one("#page", Page).lines)

    def filled(self, cursor: str) -> object:
        """This run."""
        found = self._seen.details.run.id if self._seen else self.location.target
        return (found,) if cursor == "marked" else found

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here; one that has ended is not stopped."""
        is_over = self._seen is not None and self._seen.details.run.state is State.ENDED
        found = super().keys()
        return [each for each in found if not (is_over and each[1] == "stop")]

    def look_again(self) -> None:
        """Read the run again."""
        if self.section == "gpus":
            self.console.gpus.start()
        self.console.reads.do(self._read, self._show)

    def _read(self) -> Seen:
        catalog = self.console.ctx.catalog
        details = catalog.runs.details(self.location.target)
        (run,) = with_costs(self.console.ctx, [details.run])
        details = replace(details, run=run)
        points = tuple(points for key in run.metrics if (points := points_of(catalog, run, key)).steps)
        return Seen(
            details,
            points,
            _diff(catalog.run_directory(run.id), details),
            log_path(self.console.ctx, run),
            _lineage(catalog, run.id),
            self._gpus(run, points),
        )

    def _gpus(self, run: Run, points: Sequence[Points]) -> tuple[ChartData, ...]:
        """What its GPUs did, over its loss, from its start on."""
        if self.section != "gpus" or run.started_at is None:
            return ()
        ctx = self.console.ctx
        start_s, now_s = run.started_at.timestamp(), ctx.clock().timestamp()
        over = gpu_charts.span(start_s, (run.ended_at or ctx.clock()).timestamp(), now_s)
        past = GpuHistory(ctx.settings.home, read_only=True)
        try:
            kept = None if run.state.is_live else use_of(ctx.settings.runs / run.id)
            if kept is not None:
                over = gpu_charts.Span(over.start_s, over.end_s, kept.width_s)
            found = gpu_charts.charts(kept or past, self._its_gpus(kept or past, run), over)
        finally:
            past.close()
        main = run_pages.main_metric(run, [each.key for each in points])
        loss = [ChartData(each.key, (Series(run.name, each, origin=start_s),)) for each in points if each.key == main]
        return (*loss, *found) if found else ()

    def _its_gpus(self, past: GpuHistory | GpuUse, run: Run) -> list[tuple[PastGpu, str]]:
        """The GPUs that it leased, and those that it holds by the last look."""
        uuids = [uuid for uuid, _, _ in self.console.ctx.catalog.leases.of_run(run.number) if uuid]
        report = self.console.gpus.report
        index = {row.reading.uuid: row.reading.index for row in report.all_rows} if report is not None else {}
        uuids += [row.reading.uuid for row in report.all_rows if row.run_id == run.id] if report is not None else []
        return [(gpu, f"GPU {index.get(gpu.uuid, gpu.uuid[:12])}") for gpu in past.gpus() if gpu.uuid in uuids]

    def _show(self, seen: Seen) -> None:
        if not self.is_shown:
            return
        self._seen = seen
        run = seen.details.run
        self.console.names[self.location.target] = run.name
        self.show_head(run_pages.summary(seen.details, self.console.ctx.clock()))
        charts = self.query_one("#charts", Charts)
        charts.empty = "No metrics yet." if run.state.is_live else "It logged no metrics. 3 shows what it printed."
        charts.show(run.name, seen.metrics)
        log = self.query_one("#log", LogView)
        log.open(seen.log)
        log.show_end(not run.state.is_live)
        self.query_one("#gpus", Charts).show_charts(seen.gpus)
        self.show_page()
        self.show_keys()
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with the state at its right end."""
        if self._seen is not None:
            mark = mark_of(self._seen.details.run)
            right = [*right, (f"{mark.glyph} {mark.word}", mark.token)]
        super().show_title(right)

    def page_lines(self, section: str) -> run_pages.Lines | None:
        """The lines of a section."""
        if self._seen is None:
            return None
        details, now = self._seen.details, self.console.ctx.clock()
        match section:
            case "params":
                return run_pages.params(details, now)
            case "environment":
                return run_pages.environment(details, now)
            case "code":
                return run_pages.code(details, self._seen.diff)
            case "artifacts":
                return run_pages.artifacts(details, now)
            case "timeline":
                return run_pages.timeline(details, now)
        return run_pages.lineage(self._seen.lineage, details.run.id)

    def action_section(self, name: str) -> None:
        """Show another section; what its GPUs did is read when it is looked at."""
        super().action_section(name)
        if name == "gpus":
            self.look_again()


def _lineage(catalog: Catalog, run_id: str) -> View | None:
    """What the run was made from and what came of it, two steps each way; None where nothing was written."""
    try:
        start = catalog.lineage.find(f"run:{run_id}")
    except NotFound:
        return None
    explorer = Explorer(catalog.lineage)
    explorer.begin(start.number, explorer.ways)
    explorer.widen(start)
    return explorer.view(start)


def _diff(directory: Path, details: RunDetails) -> str:
    name = details.code.get("diff_path")
    if not isinstance(name, str):
        return ""
    try:
        with open(directory / "code" / Path(name).name, encoding="utf-8", errors="backslashreplace") as file:
            return file.read(DIFF_LIMIT)
    except OSError:
        return ""
