"""What was spent, by any axis, and what burns now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.actions.cost import report
from mlconsole.actions.gpu_rows import wasted_microusd_per_h
from mlconsole.domain.costs import Axis, CostItem, CostReport
from mlconsole.domain.gpu import Source
from mlconsole.domain.query import Query
from mlconsole.render.money_tables import exact, per_hour, price_words, usd
from mlconsole.render.spark import bar
from mlconsole.tui.headlines import budget_spans, burn_spans, month_spans
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.rows import Row

IDLE, TOTAL = "\0idle", "\0total"
BAR_CELLS = 20
MOST_BUDGETS = 3
AXES = tuple(Axis)


class CostScreen(ListScreen):
    """Costs, the dearest first, with the idle rest and the total; tab turns to the next axis."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "turn(1)", "sum by the next axis"),
        Binding("shift+tab", "turn(-1)", "sum by the axis before"),
    ]
    columns: ClassVar[tuple[Column, ...]] = (
        Column("key", "WHAT", width=26, least=14, most=44, priority=0),
        Column("usd", "COST", True, 13, 9, priority=1),
        Column("share", "SHARE", width=BAR_CELLS + 5, least=14, priority=3),
        Column("gpu_hours", "GPU h", True, 9, 7, priority=2),
        Column("kwh", "kWh", True, 9, 6, priority=4),
        Column("id", "", width=14, least=8, priority=5),
    )
    wants_gpus: ClassVar[bool] = True
    empty: str = "No cost is known: say what this machine costs under [machine] in the settings file."

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._axis = AXES[0] if location.cursor not in [str(axis) for axis in AXES] else Axis(location.cursor)
        self._report: CostReport | None = None
        self._budgets: list[Span] = []

    def content(self) -> Iterable[Widget]:
        """The budgets, where there are any, over the lines."""
        yield Line(id="burn")
        yield Line(id="balance")
        yield Line(id="prices")
        yield Line(id="budgets")
        yield from super().content()

    def read(self) -> list[Row]:
        """The lines of the axis, then idle and total."""
        found = report(self.console.ctx, self._axis)
        self._report = found
        self._budgets = self._budget_line()
        if found.total_microusd is None:
            return []
        self.console.gpus.start()
        rows = [self._row(item, found.total_microusd) for item in found.items]
        rows.append(self._sum(IDLE, "IDLE, leased by nobody", found.idle_microusd, "warn", found.total_microusd))
        return [*rows, self._sum(TOTAL, "total", found.total_microusd, "strong", found.total_microusd)]

    def _budget_line(self) -> list[Span]:
        spans = budget_spans(self.console.ctx, MOST_BUDGETS, is_ascii=self.console.look.is_ascii, is_long=True)
        return [(spans[0][0].lstrip(), spans[0][1]), *spans[1:]] if spans else []

    def _row(self, item: CostItem, total: int) -> Row:
        kwh = "" if item.kwh is None else f"{item.kwh:.2f}"
        hours = f"{item.gpu_hours:.2f}" if item.gpu_hours else ""
        name, identity = (item.label, item.key) if item.label and item.label != item.key else (item.key, "")
        cells = ((name, "name"), (usd(item.microusd), "value"), self._share(item.microusd, total))
        values = (
            ("usd", item.microusd),
            ("share", item.microusd),
            ("gpu_hours", item.gpu_hours or None),
            ("kwh", item.kwh),
        )
        return Row(item.key, (*cells, (hours, "value"), (kwh, "value"), (identity, "dim")), values)

    def _sum(self, key: str, words: str, microusd: int | None, token: str, total: int) -> Row:
        cells = ((words, token), (usd(microusd), token), self._share(microusd, total, token))
        return Row(key, (*cells, ("", "value"), ("", "value"), ("", "value")), is_last=True)

    def _share(self, microusd: int | None, total: int, token: str = "accent") -> tuple[str, str]:
        if not microusd or not total:
            return ("", "dim")
        part = microusd / total
        drawn = bar(part, BAR_CELLS, is_ascii=self.console.look.is_ascii)
        return (f"{drawn} {part:4.0%}" if round(part, 2) else f"{drawn}  <1%", token)

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The axis, and under the title what burns, was spent and is budgeted."""
        super().show_title([(f"by {self._axis.value}", "accent"), *right])
        balance, prices = self._balance(), self._prices()
        shown = (("burn", self._burn()), ("balance", balance), ("prices", prices), ("budgets", self._budgets))
        for name, spans in shown:
            line = self.query_one(f"#{name}", Line)
            line.display = bool(spans)
            line.show(spans)

    def _burn(self) -> list[Span]:
        burn = self._report.burn if self._report else None
        return [*burn_spans(burn), *month_spans(burn)] if burn is not None else []

    def gpus_seen(self) -> None:
        """What they waste may have changed; the sums are not read again for that."""
        if self.is_shown:
            self.show_title()

    def _wasted(self) -> list[Span]:
        """What GPUs cost of which nothing comes: held for nothing, or by nobody."""
        seen = self.console.gpus.report
        wasted = wasted_microusd_per_h(seen) if seen is not None else 0
        if seen is None or not wasted:
            return []
        rows = [row for row in seen.rows if row.is_wasted]
        sources = sorted({row.reading.source.value for row in rows} - {Source.NVML.value})
        gpus = f" by {len(rows)} GPU{'s' if len(rows) > 1 else ''}"
        return [
            ("   wasted ", "label"),
            (per_hour(wasted), "warn"),
            (" ".join((gpus, *(f"({source})" for source in sources))), "dim"),
        ]

    def _balance(self) -> list[Span]:
        found = self._report
        if found is None or found.machines_microusd is None:
            return []
        spans: list[Span] = [("runs ", "label"), (exact(found.runs_microusd), "value"), (" + IDLE ", "label")]
        spans += [(exact(found.idle_microusd), "warn"), (" = ", "label"), (exact(found.machines_microusd), "strong")]
        if found.machines_microusd == found.total_microusd:
            return [*spans, (" of machine time", "label"), *self._wasted()]
        return [*spans, (" of machine time DOES NOT HOLD: see mlconsole doctor", "state.bad")]

    def _prices(self) -> list[Span]:
        return [("   ".join(price_words(self._report)), "dim")] if self._report and self._report.prices else []

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("tab", "sum by ..."), ("enter", "its runs"), *super().keys()]

    def cursor_name(self) -> str:
        """The axis, to come back to it."""
        return str(self._axis)

    def action_turn(self, step: int) -> None:
        """Sum by another axis."""
        self._axis = AXES[(AXES.index(self._axis) + step) % len(AXES)]
        self.show_title()
        self.look_again()

    def open(self, key: str) -> Location | None:
        """The run, or the runs of the line."""
        if key in (IDLE, TOTAL):
            return None
        if self._axis is Axis.RUN:
            return Location("run", key)
        if self._axis in (Axis.EXPERIMENT, Axis.USER, Axis.HOST):
            return Location("runs", line=f'{self._axis.value}:"{key}"')
        return Location("runs", line=f"tag:{key}") if self._axis is Axis.TAG else None
