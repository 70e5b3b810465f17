"""One run: its curves, params, environment, code, log, artifacts and timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.actions.run_logs import log_path
from mlconsole.catalog import Catalog
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.domain.gpu_history import PastGpu
from mlconsole.domain.query import Query
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import Run
from mlconsole.errors import NotFound
from mlconsole.render.curves import XAxis
from mlconsole.render.states import mark_of
from mlconsole.tui import gpu_charts, run_pages
from mlconsole.tui.explorer import Explorer, View
from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.sources import points_of
from mlconsole.tui.widgets.chart_sheet import ChartData, Points, Series
from mlconsole.tui.widgets.charts import Charts
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.log import LogView
from mlconsole.tui.widgets.log_messages import CopyWanted
from mlconsole.tui.widgets.page import Page
from mlconsole.tui.widgets.sections import section_spans

SECTIONS = ("charts", "params", "log", "environment", "code", "artifacts", "timeline", "lineage", "gpus")
WIDGETS = ("charts", "log", "gpus")
"""Sections with a widget of their own; the others share a page."""
SHORT = {"environment": "env", "artifacts": "files"}
"""Shorter words for the tabs, where the line is too narrow for all of them in full."""
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


class RunScreen(PlaceScreen):
    """The page of one run; the digits and tab change its section."""

    CSS_PATH = "run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(i), f"section('{name}')", name, show=False) for i, name in enumerate(SECTIONS, 1)),
        Binding("tab", "next_section(1)", "next section", show=False),
        Binding("shift+tab", "next_section(-1)", "section before", show=False),
        Binding("escape", "app.go_back", "back", show=False),
        Binding("v", "view", "open the log, diff or page in $PAGER", show=False),
        Binding("V", "edit", "open the log, or a copy of the page, in $EDITOR", show=False),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})
    wants_gpus: ClassVar[bool] = True
    shown_keys: ClassVar[tuple[str, ...]] = ("run stop", "run relaunch", "run tag", "report")

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._section = location.cursor if location.cursor in SECTIONS else SECTIONS[0]
        self._seen: Seen | None = None

    def content(self) -> Iterable[Widget]:
        """The head, the tabs, and one section."""
        yield Page(id="head")
        yield Line(id="tabs")
        yield Charts(id="charts")
        yield Page(id="page")
        yield LogView(id="log")
        yield Charts(empty="No GPU of this run has a past: it leased none, or nobody was watching.", id="gpus")

    def on_mount(self) -> None:
        """Read the run."""
        self.query_one("#head").can_focus = False
        self.query_one("#gpus", Charts).sheet.axis = XAxis.TIME
        self._show_section()
        self.look_again()

    def cursor_name(self) -> str:
        """The section that is shown."""
        return self._section

    def on_log_copy_wanted(self, event: CopyWanted) -> None:
        """Copy out of the log."""
        self.console.copy(event.text, event.what)

    def action_view(self) -> None:
        """Open what is shown in the user's pager, which has the terminal meanwhile."""
        if self._section == "log" and self._seen is not None and self._seen.log is not None:
            self.console.handoff.view(self._seen.log)
        else:
            self.console.handoff.view_text(self._text())

    def action_edit(self) -> None:
        """Open what is shown in the user's editor: the log itself, of anything else a copy."""
        if self._section == "log" and self._seen is not None and self._seen.log is not None:
            self.console.handoff.edit(self._seen.log)
        else:
            self.console.handoff.edit_text(self._text())

    def _text(self) -> str:
        if self._section == "code" and self._seen is not None:
            return self._seen.diff
        if self._section == "charts" and self._seen is not None:
            lines = run_pages.params(self._seen.details, self.console.ctx.clock())
            return "\n".join("".join(text for text, _ in line) for line in lines)
        return "\n".join(self.query_one("#page", Page).lines)

    def filled(self, cursor: str) -> object:
        """This run."""
        found = self._seen.details.run.id if self._seen else self.location.target
        return (found,) if cursor == "marked" else found

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [(f"1-{len(SECTIONS)} tab", "section"), ("-", "back"), *super().keys()]

    def look_again(self) -> None:
        """Read the run again."""
        if self._section == "gpus":
            self.console.gpus.start()
        self.console.reads.do(self._read, self._show)

    def _read(self) -> Seen:
        catalog = self.console.ctx.catalog
        details = catalog.runs.details(self.location.target)
        run = details.run
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
        if self._section != "gpus" or run.started_at is None:
            return ()
        ctx = self.console.ctx
        start_s, now_s = run.started_at.timestamp(), ctx.clock().timestamp()
        over = gpu_charts.span(start_s, (run.ended_at or ctx.clock()).timestamp(), now_s)
        past = GpuHistory(ctx.settings.home, read_only=True)
        try:
            found = gpu_charts.charts(past, self._its_gpus(past, run), over)
        finally:
            past.close()
        main = run_pages.main_metric(run, [each.key for each in points])
        loss = [ChartData(each.key, (Series(run.name, each, origin=start_s),)) for each in points if each.key == main]
        return (*loss, *found) if found else ()

    def _its_gpus(self, past: GpuHistory, run: Run) -> list[tuple[PastGpu, str]]:
        """The GPUs that it leased, and those that it holds by the last look."""
        uuids = [uuid for uuid, _, _ in self.console.ctx.catalog.leases.of_run(run.number) if uuid]
        report = self.console.gpus.report
        index = {row.reading.uuid: row.reading.index for row in report.rows} if report is not None else {}
        uuids += [row.reading.uuid for row in report.rows if row.run_id == run.id] if report is not None else []
        return [(gpu, f"GPU {index.get(gpu.uuid, gpu.uuid[:12])}") for gpu in past.gpus() if gpu.uuid in uuids]

    def _show(self, seen: Seen) -> None:
        if not self.is_shown:
            return
        self._seen = seen
        run = seen.details.run
        self.console.names[self.location.target] = run.name
        head = run_pages.summary(seen.details, self.console.ctx.clock())
        self.query_one("#head", Page).show(head)
        self.query_one("#head").styles.height = len(head)
        self.query_one("#charts", Charts).show(run.name, seen.metrics)
        self.query_one("#log", LogView).open(seen.log)
        self.query_one("#gpus", Charts).show_charts(seen.gpus)
        self._show_page()
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with the state at its right end."""
        if self._seen is not None:
            mark = mark_of(self._seen.details.run)
            right = [*right, (f"{mark.glyph} {mark.word}", mark.token)]
        super().show_title(right)

    def _show_page(self) -> None:
        if self._seen is None:
            return
        details, now = self._seen.details, self.console.ctx.clock()
        page = self.query_one("#page", Page)
        if self._section == "code":
            page.show(run_pages.code(details, self._seen.diff))
        elif self._section == "lineage":
            page.show(run_pages.lineage(self._seen.lineage, details.run.id))
        elif self._section in ("params", "environment", "artifacts", "timeline"):
            page.show(getattr(run_pages, self._section)(details, now))

    def action_section(self, name: str) -> None:
        """Show another section."""
        self._section = name
        self.location = replace(self.location, cursor=name)
        self._show_section()
        self._show_page()
        if name == "gpus":
            self.look_again()

    def action_next_section(self, step: int) -> None:
        """Show the section after or before."""
        at = (SECTIONS.index(self._section) + step) % len(SECTIONS)
        self.action_section(SECTIONS[at])

    def _show_section(self) -> None:
        self._show_tabs()
        shown = self._section if self._section in WIDGETS else "page"
        for name in (*WIDGETS, "page"):
            self.query_one(f"#{name}").display = name == shown
        self.focus_content()

    def _show_tabs(self) -> None:
        self.query_one("#tabs", Line).show(section_spans(SECTIONS, self._section, self.size.width, SHORT))

    def on_resize(self) -> None:
        """Stand the tabs anew."""
        self._show_tabs()

    def focus_content(self) -> None:
        """The section takes the keys."""
        shown = self._section if self._section in WIDGETS else "page"
        self.set_focus(self.query_one(f"#{shown}"))


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
