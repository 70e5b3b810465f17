"""This machine's GPUs: which run holds each, whose, whether it works, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mlconsole.actions.gpu_rows import wasted_microusd_per_h
from mlconsole.domain.gpu import GpuHealth, GpuReading, Source
from mlconsole.domain.gpu_rows import GpuRow
from mlconsole.domain.idle import IdleClass
from mlconsole.render.money_tables import per_hour
from mlconsole.render.spark import bar
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.rows import Cell, Row

OLD_S = 5.0
BAR_CELLS = 10
TOKENS = {
    IdleClass.BUSY: "state.good",
    IdleClass.STALLED: "state.waiting",
    IdleClass.HELD: "warn",
    IdleClass.ZOMBIE: "state.bad",
    IdleClass.EMPTY: "state.idle",
}


class GpusScreen(ListScreen):
    """A line for each GPU, under it the processes that hold its memory."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("gpu", "GPU / PROCESS", width=22, least=14, most=40, priority=0),
        Column("use", "USE", width=BAR_CELLS + 5, least=BAR_CELLS + 5, priority=1),
        Column("memory", "MEMORY", True, 15, 11, priority=2),
        Column("state", "STATE", width=10, least=8, most=24, priority=3),
        Column("run", "RUN", width=18, least=10, most=32, priority=4),
        Column("user", "USER", width=10, least=6, priority=6),
        Column("power", "POWER", True, 7, 6, priority=7),
        Column("temperature", "TEMP", True, 6, 5, priority=9),
        Column("cost", "COSTS", True, 10, 8, priority=5),
        Column("why", "WHY", width=24, least=10, most=70, priority=8),
    )
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})
    shown_keys: ClassVar[tuple[str, ...]] = ("run stop",)
    wants_gpus: ClassVar[bool] = True

    def read(self) -> list[Row]:
        """The last look."""
        feed = self.console.gpus
        feed.start()
        report = feed.report
        self._runs: dict[str, str] = {}
        if report is None:
            self.empty = feed.error or "Looking for GPUs ..."
            return []
        if not report.rows:
            words = report.snapshot.words
            self.empty = f"{report.snapshot.host}: {words}. Runs need no GPU: l launches one all the same."
            return []
        return [row for gpu in report.rows for row in self._rows_of(gpu)]

    def _rows_of(self, row: GpuRow) -> list[Row]:
        gpu = row.reading
        values = (
            ("gpu", gpu.index),
            ("use", gpu.utilization_percent.value),
            ("memory", gpu.memory_used_mib.value),
            ("power", gpu.power_w.value),
            ("temperature", gpu.temperature_c.value),
            ("cost", row.price_microusd_per_h),
        )
        out = [Row(gpu.uuid, self._cells(row), values)]
        self._runs[gpu.uuid] = row.run_id
        for each in gpu.processes.value or ():
            key = f"{gpu.uuid} {each.pid}"
            self._runs[key] = each.run_id
            name = f"  {each.pid} {each.command}" if each.visible else f"  {each.pid} host pid, not visible"
            memory = "?" if each.memory_mib.value is None else f"{each.memory_mib.value / 1024:.1f} GiB"
            whose = (each.run_id or "of no run", "value" if each.run_id else "warn")
            blank: Cell = ("", "value")
            cells = ((name, "dim"), blank, (memory, "dim"), blank, whose, (each.user, "dim"))
            out.append(Row(key, (*cells, blank, blank, blank, blank), (("memory", each.memory_mib.value),), gpu.uuid))
        return out

    def _cells(self, row: GpuRow) -> tuple[Cell, ...]:
        gpu = row.reading
        use = gpu.utilization_percent.value
        drawn = "?" if use is None else f"{bar(use / 100, BAR_CELLS, is_ascii=self.console.look.is_ascii)} {use:3.0f}%"
        price = "" if row.price_microusd_per_h is None else per_hour(row.price_microusd_per_h)
        wasted = row.is_wasted and row.price_microusd_per_h
        return (
            (f"{gpu.index} {gpu.name}", "name"),
            (drawn, "accent"),
            (_memory(gpu), "value"),
            _state(row),
            (row.run_name or row.run_id or ("leased" if row.lease else ""), "value"),
            (row.user, "value"),
            (_figure(gpu.power_w.value, "W"), "value"),
            (_figure(gpu.temperature_c.value, "C"), "value"),
            (price, "warn" if wasted else "value"),
            (row.why, "dim"),
        )

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """What is wasted, and whether these figures are of a live GPU."""
        words: list[Span] = []
        report = self.console.gpus.report
        if report is not None:
            sources = {row.reading.source for row in report.rows} - {Source.NVML}
            words += [(f"{source.value}: no live GPU  ", "warn") for source in sorted(sources)]
            if wasted := wasted_microusd_per_h(report):
                words.append((f"wasted {per_hour(wasted)}  ", "warn"))
            if not report.snapshot.state.has_readings and report.rows:
                words.append((f"{report.snapshot.words}  ", "error"))
        super().show_title([*words, *right])

    def filled(self, cursor: str) -> object:
        """The run that holds the GPU, or that the process is of."""
        run = self._runs.get(self.table.cursor_key or "", "")
        return ((run,) if cursor == "marked" else run) if run else None

    def open(self, key: str) -> Location | None:
        """The page of the run."""
        run = self._runs.get(key, "")
        return Location("run", run) if run else None


def _state(row: GpuRow) -> Cell:
    gpu = row.reading
    if gpu.health is not GpuHealth.OK:
        return gpu.health.words, "state.bad"
    if row.idle_class is None:
        return ("", "dim")
    age = f" {gpu.age_s:.0f}s old" if gpu.age_s > OLD_S else ""
    return f"{row.idle_class.value.upper()}{age}", TOKENS.get(row.idle_class, "value")


def _memory(gpu: GpuReading) -> str:
    used, whole = gpu.memory_used_mib.value, gpu.memory_total_mib.value
    if used is None:
        return "?"
    return f"{used / 1024:.1f} GiB" if whole is None else f"{used / 1024:.1f}/{whole / 1024:.0f} GiB"


def _figure(value: float | None, unit: str) -> str:
    return "?" if value is None else f"{value:.0f} {unit}"
