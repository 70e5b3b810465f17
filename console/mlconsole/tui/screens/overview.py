"""What is wrong, what runs, what has just ended: two seconds to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import ClassVar

from textual.widget import Widget

from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.query import Query, parse
from mlconsole.domain.runs import Reach, Run
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean, fit
from mlconsole.render.spark import course
from mlconsole.render.states import mark_of
from mlconsole.render.width import cell_width
from mlconsole.tui import headlines
from mlconsole.tui.places import Location
from mlconsole.tui.run_pages import main_metric
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.screens.run_keys import RunKeysScreen
from mlconsole.tui.sources import points_of
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.rows import Row

LIVE_SHOWN = 40
ENDED_SHOWN = 40
SPARK_CELLS, KEY_CELLS, NUMBER_CELLS = 16, 20, 7
HEADLINES = ("alerts", "live", "gpus", "money")
TROUBLE_FOR = timedelta(days=1)


class OverviewScreen(RunKeysScreen, ListScreen):
    """Trouble of the last day first, then what runs, then what has ended."""

    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})
    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "RUN", width=18, least=12, most=40, priority=0),
        Column("state", "STATE", width=13, least=11, priority=1),
        Column("what", "WHAT IT SHOWS", width=46, least=24, most=70, priority=2),
        Column("time", "TIME", True, 7, 6, priority=3),
        Column("when", "WHEN", True, 9, 8, priority=4),
        Column("experiment", "EXPERIMENT", width=12, least=8, priority=5),
        Column("user", "USER", width=8, least=5, priority=6),
    )
    empty: str = "No runs yet. l launches one; in a script: import mlconsole."

    wants_gpus: ClassVar[bool] = True
    marks_runs: ClassVar[bool] = True

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._lines: dict[str, list[Span]] = {}

    def content(self) -> Iterable[Widget]:
        """What fires, what is live, the GPUs and the money, where there are any, over the runs."""
        for name in HEADLINES:
            yield Line(id=name)
        yield from super().content()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, and what stands over the runs."""
        super().show_title(right)
        self._lines["gpus"] = headlines.gpu_spans(self.console.gpus.report)
        for name in HEADLINES:
            if (line := self.query_one_optional(f"#{name}", Line)) is not None:
                line.display = bool(self._lines.get(name))
                line.show(self._lines.get(name, ()))

    def read(self) -> list[Row]:
        """The rows that matter, in the order in which they do."""
        self.console.gpus.start()
        ctx = self.console.ctx
        self._lines["alerts"] = headlines.alert_spans(ctx)
        self._lines["live"] = headlines.live_spans(ctx)
        self._lines["money"] = headlines.money_spans(ctx, is_ascii=self.console.look.is_ascii)
        catalog = self.console.ctx.catalog
        now = self.console.ctx.clock()
        live = catalog.runs.load(catalog.runs.live()[-LIVE_SHOWN:])
        newest = catalog.search.page(parse("not (state:running) sort:-ended"), now, limit=ENDED_SHOWN).numbers
        ended = [run for run in catalog.runs.load(newest) if not run.state.is_live]
        trouble = [run for run in ended if self._is_trouble(run)]
        blind = [run for run in live if run.reach is Reach.UNREACHABLE]
        calm = [run for run in ended if run not in trouble]
        ordered = [*blind, *trouble, *(run for run in reversed(live) if run not in blind), *calm]
        shown = {run.id: self._shows(run) for run in ordered}
        widest = max((cell_width(what[0]) for what in shown.values() if len(what) > 1), default=0)
        return [self._row(run, _what(shown[run.id], min(widest, KEY_CELLS))) for run in ordered]

    def _is_trouble(self, run: Run) -> bool:
        recent = run.ended_at is not None and self.console.ctx.clock() - run.ended_at < TROUBLE_FOR
        return recent and mark_of(run).token in ("state.bad", "state.unknown")

    def _row(self, run: Run, what: str) -> Row:
        mark = mark_of(run)
        now = self.console.ctx.clock()
        ended = run.ended_at or run.started_at or run.created_at
        when = numbers.ago(ended, now)
        return Row(
            run.id,
            (
                (run.name, "name"),
                (f"{mark.glyph} {mark.word}", mark.token),
                (what, "value"),
                (numbers.duration(run.duration_s(now)), "value"),
                (when, "dim"),
                (run.experiment, "dim"),
                (run.user, "dim"),
            ),
            (("time", run.duration_s(now)), ("when", ended.timestamp() if ended else None)),
        )

    def _shows(self, run: Run) -> tuple[str, ...]:
        """Why it failed; or its main metric, the last value of that, and a line of how it went."""
        if mark_of(run).token == "state.bad" and run.reason:
            return (run.error or run.why,)
        key = main_metric(run)
        if key is None:
            return (run.why,)
        points = points_of(self.console.ctx.catalog, run, key)
        values = points.values if isinstance(points, MetricHistory) else points.lasts
        line = course(values, SPARK_CELLS, is_ascii=self.console.look.is_ascii)
        return clean(key), numbers.measured(run.metrics[key].last), line

    def open(self, key: str) -> Location:
        """The run's page."""
        return Location("run", key)

    def filled(self, cursor: str) -> object:
        """The run under the cursor, or the marked runs."""
        key = self.table.cursor_key
        if cursor == "marked":
            return tuple(self.console.marks) or ((key,) if key else None)
        return key or None


def _what(shown: tuple[str, ...], key_cells: int) -> str:
    """A sentence; or a metric so that numbers stand under numbers and curves under curves."""
    if len(shown) == 1:
        return shown[0]
    key, value, line = shown
    return f"{fit(key, key_cells, cut='middle')} {value:>{NUMBER_CELLS}}  {line}"
