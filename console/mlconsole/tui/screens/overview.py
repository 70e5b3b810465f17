"""What is wrong, what runs, what has just ended: two seconds to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import ClassVar

from textual.widget import Widget

from mlconsole.actions.context import Context
from mlconsole.actions.cost import burn_now
from mlconsole.actions.gpu_rows import wasted_microusd_per_h
from mlconsole.actions.uptime import uptime
from mlconsole.domain.gpu import Source
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.idle import IdleClass
from mlconsole.domain.query import Query, parse
from mlconsole.domain.runs import Reach, Run
from mlconsole.render import numbers
from mlconsole.render.money_tables import per_hour
from mlconsole.render.sanitise import clean
from mlconsole.render.spark import bar, sparkline
from mlconsole.render.states import mark_of
from mlconsole.render.width import middle
from mlconsole.tui.gpu_pages import TOKENS as CLASS_TOKENS
from mlconsole.tui.places import Location
from mlconsole.tui.run_pages import main_metric
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.sources import points_of
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.rows import Row

LIVE_SHOWN = 40
ENDED_SHOWN = 40
SPARK_CELLS = 12
BUDGET_CELLS = 8
ALERTS_READ = 500
FULL = 100
EACH_GPU = 8
"""With more GPUs they are counted instead."""
WORD_CELLS = 12
TROUBLE_FOR = timedelta(days=1)


class OverviewScreen(ListScreen):
    """Trouble of the last day first, then what runs, then what has ended."""

    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})
    shown_keys: ClassVar[tuple[str, ...]] = ("launch", "run stop", "run logs")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "RUN", width=22, least=12, most=40, priority=0),
        Column("state", "STATE", width=13, least=11, priority=1),
        Column("what", "WHAT IT SHOWS", width=38, least=24, most=70, priority=2),
        Column("time", "TIME", True, 8, 6, priority=3),
        Column("when", "WHEN", True, 9, 8, priority=4),
        Column("experiment", "EXPERIMENT", width=16, least=8, priority=5),
        Column("user", "USER", width=10, least=5, priority=6),
    )
    empty: str = "No runs yet. l launches one; in a script: import mlconsole."

    wants_gpus: ClassVar[bool] = True
    marks_runs: ClassVar[bool] = True

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._money: list[Span] = []
        self._alerts: list[Span] = []

    def content(self) -> Iterable[Widget]:
        """What fires, the GPUs and the money, where there are any, over the runs."""
        yield Line(id="alerts")
        yield Line(id="gpus")
        yield Line(id="money")
        yield from super().content()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, and what stands over the runs."""
        super().show_title(right)
        gpus = gpu_spans(self.console.gpus.report)
        for name, spans in (("alerts", self._alerts), ("gpus", gpus), ("money", self._money)):
            line = self.query_one(f"#{name}", Line)
            line.display = bool(spans)
            line.show(spans)

    def read(self) -> list[Row]:
        """The rows that matter, in the order in which they do."""
        self.console.gpus.start()
        self._money = money_spans(self.console.ctx)
        self._alerts = alert_spans(self.console.ctx)
        catalog = self.console.ctx.catalog
        now = self.console.ctx.clock()
        live = catalog.runs.load(catalog.runs.live()[-LIVE_SHOWN:])
        newest = catalog.search.page(parse("not (state:running) sort:-ended"), now, limit=ENDED_SHOWN).numbers
        ended = [run for run in catalog.runs.load(newest) if not run.state.is_live]
        trouble = [run for run in ended if self._is_trouble(run)]
        blind = [run for run in live if run.reach is Reach.UNREACHABLE]
        calm = [run for run in ended if run not in trouble]
        ordered = [*blind, *trouble, *(run for run in reversed(live) if run not in blind), *calm]
        return [self._row(run) for run in ordered]

    def _is_trouble(self, run: Run) -> bool:
        recent = run.ended_at is not None and self.console.ctx.clock() - run.ended_at < TROUBLE_FOR
        return recent and mark_of(run).token in ("state.bad", "state.unknown")

    def _row(self, run: Run) -> Row:
        mark = mark_of(run)
        now = self.console.ctx.clock()
        ended = run.ended_at or run.started_at or run.created_at
        when = numbers.ago(ended, now)
        return Row(
            run.id,
            (
                (run.name, "name"),
                (f"{mark.glyph} {mark.word}", mark.token),
                (self._what(run), "value"),
                (numbers.duration(run.duration_s(now)), "value"),
                (when, "dim"),
                (run.experiment, "dim"),
                (run.user, "dim"),
            ),
            (("time", run.duration_s(now)), ("when", ended.timestamp() if ended else None)),
        )

    def _what(self, run: Run) -> str:
        """Why it failed, or its main metric with a line of how it went."""
        if mark_of(run).token == "state.bad" and run.reason:
            return run.why
        key = main_metric(run)
        if key is None:
            return run.why
        points = points_of(self.console.ctx.catalog, run, key)
        values = points.values if isinstance(points, MetricHistory) else points.lasts
        line = sparkline(values, SPARK_CELLS, is_ascii=self.console.look.is_ascii)
        return f"{key} {numbers.number(run.metrics[key].last)} {line}"

    def open(self, key: str) -> Location:
        """The run's page."""
        return Location("run", key)

    def filled(self, cursor: str) -> object:
        """The run under the cursor, or the marked runs."""
        key = self.table.cursor_key
        if cursor == "marked":
            return tuple(self.console.marks) or ((key,) if key else None)
        return key or None


def alert_spans(ctx: Context) -> list[Span]:
    """The worst of what fires, how much more does, and what waits for a person; nothing while nothing does."""
    from mlconsole.domain.alerts import AlertState  # 5 ms, in the reading thread

    found = ctx.catalog.alerts.listed((AlertState.FIRING,), ALERTS_READ)
    spans: list[Span] = []
    if found:
        worst = max(found, key=lambda alert: (alert.severity.rank, alert.number))
        token = "state.bad" if worst.severity.value == "critical" else "warn"
        spans = [(f"▲ {worst.title}", token), (f"  {numbers.ago(worst.opened_at, ctx.clock())}", "dim")]
        spans += [(f"  and {len(found) - 1} more", "warn")] if len(found) > 1 else []
        spans += [("  :alerts", "accent")]
    if proposed := ctx.catalog.firings.proposed():
        spans += [(f"{'   ' if spans else ''}? {proposed} to decide", "warn"), ("  :policies", "accent")]
    return spans


def gpu_spans(report: GpuReport | None) -> list[Span]:
    """What GPUs waste an hour, then each of them in a few cells, or how many do what; nothing where there is none."""
    if report is None or not report.rows:
        return []
    spans: list[Span] = [("GPUs ", "label")]
    sources = {row.reading.source for row in report.rows} - {Source.NVML}
    spans += [(f" {source.value}", "warn") for source in sorted(sources)]
    if wasted := wasted_microusd_per_h(report):
        spans.append((f" {per_hour(wasted)} wasted ", "warn"))
    each = [span for row in report.rows for span in _gpu(row)]
    return spans + (_tally(report) if len(report.rows) > EACH_GPU else each)


def _gpu(row: GpuRow) -> list[Span]:
    """Its number, its load or that it is held for nothing, and who holds it."""
    use = row.reading.utilization_percent.value
    token = CLASS_TOKENS.get(row.idle_class, "value") if row.idle_class else "value"
    figure = "?" if use is None else f"{use:.0f}%"
    if row.is_wasted and row.idle_class is not None:
        figure = row.idle_class.value.upper()
    word = f" {middle(clean(row.run_name or row.user), WORD_CELLS)}".rstrip()
    return [(f" {row.reading.index} ", "dim"), (figure, token), (f"{word} ", "value")]


def _tally(report: GpuReport) -> list[Span]:
    """How many GPUs do what, those that are held for nothing first."""
    spans: list[Span] = [(f" {len(report.rows)}:", "value")]
    for idle_class in (IdleClass.ZOMBIE, IdleClass.HELD, IdleClass.STALLED, IdleClass.EMPTY, IdleClass.BUSY):
        if count := sum(row.idle_class is idle_class for row in report.rows):
            spans.append((f"  {count} {idle_class.value.upper()}", CLASS_TOKENS[idle_class]))
    return spans


def money_spans(ctx: Context) -> list[Span]:
    """What burns, was spent, and what the month comes to, then the fullest budget; nothing without a price."""
    burn = burn_now(ctx)
    if burn is None:
        return []
    spans: list[Span] = [
        ("burn ", "label"),
        (per_hour(burn.microusd_per_h), "strong"),
        ("   today ", "label"),
        (numbers.money(burn.today_microusd), "value"),
        ("   month ", "label"),
        (numbers.money(burn.month_microusd), "value"),
        (f" → {numbers.money(burn.forecast_microusd)}", "dim"),
    ]
    if burn.idle_microusd_per_h:
        spans.append((f"   {per_hour(burn.idle_microusd_per_h)} of it idle", "warn"))
    return spans + budget_spans(ctx, 1)


def budget_spans(ctx: Context, most: int, *, is_ascii: bool = False) -> list[Span]:
    """The fullest budgets, each with a bar of what is spent and committed of it."""
    states = ctx.catalog.ledger.budgets(ctx.clock(), ctx.settings.host, uptime())
    spans: list[Span] = []
    for state in sorted(states, key=lambda each: -each.percent)[:most]:
        drawn = bar(min(1.0, state.percent / 100), BUDGET_CELLS, is_ascii=is_ascii)
        token = "state.bad" if state.level == FULL else "warn" if state.level else "value"
        spans += [(f"   budget {state.budget.name} ", "label"), (f"{drawn} {state.percent:.0f}%", token)]
        spans += [(" hard", "dim")] if state.budget.is_hard else []
    return spans
