"""Monitors: how each one stands, and of one its columns by effect, baseline and now beside each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from mlconsole.actions.monitor import SHOWN_WINDOWS, histograms, page
from mlconsole.domain.drift import ColumnResult, Histogram, Verdict
from mlconsole.domain.monitors import MonitorPage, MonitorState
from mlconsole.errors import NotFound
from mlconsole.render import numbers
from mlconsole.render.drift_tables import ORDER, WORDS, course, moved, state_words
from mlconsole.render.spark import columns as bars
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column, lay_out
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.rows import Cell, Row

TOKENS = {
    Verdict.OK: "state.good",
    Verdict.DRIFT: "state.bad",
    Verdict.SCHEMA: "state.bad",
    Verdict.INSUFFICIENT: "state.unknown",
}
BINS, WIDE_BINS = 10, 16
COURSE = 14
WIDE = 100
"""From so many cells on the course stands in the title of a monitor."""


def _rows(count: int) -> str:
    """Rows in at most seven cells."""
    return f"{count:,}" if count < 1_000_000 else f"{count / 1e6:.4g}M"


def _cells(columns: Sequence[Column], key: str, width: int) -> int:
    """How many cells a column has on a screen of this width: a drawing in it has as many."""
    placed = lay_out(columns, [column.key for column in columns], width).placed
    return next((one.width for one in placed if one.column.key == key), BINS)


class MonitorsScreen(ListScreen):
    """A line for each monitor."""

    offers: ClassVar[frozenset[str]] = frozenset({"monitor"})
    shown_keys: ClassVar[tuple[str, ...]] = ("monitor check", "report monitor")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "MONITOR", width=14, least=10, most=40, priority=0),
        Column("state", "STATE", width=15, least=12, priority=1),
        Column("course", "LAST WINDOWS", width=COURSE, least=COURSE, most=SHOWN_WINDOWS, priority=2),
        Column("worst", "WORST COLUMN", width=14, least=8, most=40, priority=3),
        Column("effect", "EFFECT", True, 8, 6, priority=4),
        Column("rows", "ROWS", True, 7, 7, 11, priority=5),
        Column("window", "WINDOW", width=10, least=6, priority=7),
        Column("fed", "NEW ROWS", True, 8, 8, priority=6),
        Column("checked", "CHECKED", True, 10, 8, priority=8),
        Column("live", "LIVE DATA", width=24, least=10, most=80, priority=9),
        Column("baseline", "BASELINE", width=20, least=10, most=60, priority=10),
    )
    empty: str = "No monitors yet. mlconsole monitor add NAME --baseline DATA --live GLOB makes one."

    def read(self) -> list[Row]:
        """Every monitor with its newest windows."""
        self._cells = _cells(self.columns, "course", self.size.width)
        monitors = self.console.ctx.catalog.monitors
        return [self._row(monitors.state(monitor, SHOWN_WINDOWS)) for monitor in monitors.all()]

    def _row(self, state: MonitorState) -> Row:
        monitor, newest = state.monitor, state.newest
        token = "state.bad" if state.alert in ("firing", "acked") else TOKENS[newest.verdict] if newest else "dim"
        effect, now = newest.worst_effect if newest else None, self.console.ctx.clock()
        cells: tuple[Cell, ...] = (
            (monitor.name, "name"),
            (state_words(state), "warn" if monitor.trouble or state.silence == "firing" else token),
            (course(state, self._cells, is_ascii=self.console.look.is_ascii), "accent"),
            (newest.worst if newest else "", "value"),
            (numbers.number(effect), "value"),
            (_rows(newest.rows) if newest else "", "value"),
            (monitor.window.text, "dim"),
            (numbers.ago(monitor.fed_at, now), "warn" if state.silence == "firing" else "dim"),
            (numbers.ago(monitor.checked_at, now), "dim"),
            (monitor.trouble or monitor.live, "warn" if monitor.trouble else "dim"),
            (monitor.baseline.source, "dim"),
        )
        fed, checked = (one.timestamp() if one else None for one in (monitor.fed_at, monitor.checked_at))
        values = (("effect", effect), ("rows", newest.rows if newest else None), ("fed", fed), ("checked", checked))
        return Row(monitor.name, cells, values)

    def filled(self, cursor: str) -> object:
        """The monitor under the cursor."""
        return self.table.cursor_key or None if cursor == "monitor" else None

    def open(self, key: str) -> Location | None:
        """The monitor's own columns."""
        return Location("monitor", key)


class MonitorScreen(ListScreen):
    """The columns of a monitor's newest window, what moved most first."""

    offers: ClassVar[frozenset[str]] = frozenset({"monitor"})
    shown_keys: ClassVar[tuple[str, ...]] = ("monitor check", "monitor rebaseline", "report monitor")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("column", "COLUMN", width=18, least=10, most=40, priority=0),
        Column("verdict", "VERDICT", width=14, least=12, priority=1),
        Column("effect", "EFFECT", True, 8, 6, priority=2),
        Column("before", "BASELINE", width=BINS, least=BINS, most=WIDE_BINS, priority=3),
        Column("now", "NOW", width=BINS, least=BINS, most=WIDE_BINS, priority=4),
        Column("test", "TEST", width=14, least=8, priority=7),
        Column("floor", "FLOOR", True, 6, 5, priority=9),
        Column("chance", "P ADJUSTED", True, 10, 8, priority=6),
        Column("rows", "ROWS", True, 9, 6, priority=8),
        Column("moved", "MOVED MOST", width=30, least=14, most=60, priority=5),
        Column("slice", "SLICE", width=12, least=6, most=30, priority=10),
    )
    empty: str = "No window was judged yet. C looks at the live data; the watcher does so by itself."

    def read(self) -> list[Row]:
        """The results of the newest window."""
        self._page: MonitorPage | None = None
        try:
            self._page = page(self.console.ctx, self.location.target)
        except NotFound as error:
            self.empty = str(error)
            return []
        report = self._page.report
        if report is None:
            return []
        drawn = histograms(self._page, _cells(self.columns, "now", self.size.width))
        found = sorted(report.columns, key=lambda one: (ORDER.index(one.verdict), -one.weight))
        rows = [self._row(one, drawn.get(one.column) if not one.slice else None) for one in found]
        return [*self._told(self._page), *rows]

    def _told(self, found: MonitorPage) -> list[Row]:
        """What is to be known before the columns: what cannot be read, and that new windows have another baseline."""
        monitor, out = found.state.monitor, []
        if monitor.trouble:
            folder = os.path.dirname(monitor.live).partition("*")[0]
            short = monitor.trouble.replace(f"{folder}/", "").replace("Cannot read ", "").replace('"', "")
            out.append(("live data", "? trouble", short))
        newest = found.state.newest
        if newest is not None and newest.baseline != monitor.baseline.number:
            out.append(("new baseline", "· no window", f"{monitor.baseline.source}, says {monitor.baseline.set_by}"))
        return [self._line(*words) for words in out]

    def _line(self, what: str, state: str, words: str) -> Row:
        filled: dict[str, Cell] = {"column": (what, "dim"), "verdict": (state, "warn"), "moved": (words, "warn")}
        return Row(f"\0{what}", tuple(filled.get(column.key, ("", "dim")) for column in self.columns))

    def _row(self, one: ColumnResult, drawn: Histogram | None) -> Row:
        is_ascii = self.console.look.is_ascii
        before = bars(drawn.reference, drawn.top, is_ascii=is_ascii) if drawn else ""
        now = bars(drawn.current, drawn.top, is_ascii=is_ascii) if drawn else ""
        is_bad = one.verdict in (Verdict.DRIFT, Verdict.SCHEMA)
        cells: tuple[Cell, ...] = (
            (one.column, "name"),
            (WORDS[one.verdict], TOKENS[one.verdict]),
            (numbers.number(one.effect), "value"),
            (before, "dim"),
            (now, "state.bad" if is_bad else "accent"),
            (one.test, "dim"),
            (numbers.number(one.floor) if one.floor else "", "dim"),
            ("" if one.q_value is None else f"{one.q_value:.2g}", "value"),
            (f"{one.n_current:,}", "value"),
            (moved(one) or one.note, "value" if is_bad else "dim"),
            (one.slice, "dim"),
        )
        values = (("effect", one.effect), ("chance", one.q_value), ("rows", one.n_current), ("floor", one.floor))
        return Row(f"{one.slice} {one.column} {one.test}", cells, values)

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """Which window this is, and the course of the last ones."""
        found = getattr(self, "_page", None)
        words: list[Span] = []
        if found is not None and found.report is not None:
            state = found.state
            drawn = course(state, SHOWN_WINDOWS, is_ascii=self.console.look.is_ascii)
            token = TOKENS[found.report.verdict]
            words = [(state_words(state), token), (f"  {found.report.window}", "value")]
            if self.size.width >= WIDE:
                words += [(f"  {drawn}", "accent"), (f"  against {found.against}", "dim")]
        super().show_title([*words, *right])

    def filled(self, cursor: str) -> object:
        """This monitor."""
        return self.location.target or None if cursor == "monitor" else None
