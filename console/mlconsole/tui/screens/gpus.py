"""The GPUs of this machine and of hosts elsewhere: which run holds each, whose, whether it works, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite, nan
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.actions.gpu_rows import wasted_microusd_per_h
from mlconsole.domain.gpu import NOT_VISIBLE, DriverState, GpuHealth, GpuReading, GpuSnapshot, Source, Value
from mlconsole.domain.gpu_rows import GpuRow
from mlconsole.domain.idle import IdleClass
from mlconsole.domain.query import Query
from mlconsole.render import numbers
from mlconsole.render.money_tables import per_hour
from mlconsole.render.spark import bar, gauge
from mlconsole.render.width import end
from mlconsole.tui.gpu_feed import AT_ONCE
from mlconsole.tui.gpu_pages import TOKENS, whose
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.steady import Steady
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.foot import LINES as FOOT_LINES
from mlconsole.tui.widgets.foot import Foot
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.prompt import Prompt
from mlconsole.tui.widgets.rows import Cell, Row
from mlconsole.tui.widgets.tiles import Tile, Tiles

OLD_S = 5.0
HOST = "host:"
"""What the key of a line begins with that stands for a host alone."""
FRAME_LINES = 4 + FOOT_LINES
"""Lines of the screen that are not the table's rows."""
TILE = Column("gpu", "")
TOLD_OF_A_TILE = ("gpu", "state", "run", "user", "cost", "memory", "why")
"""What the line under the tiles says in words."""
HEAT = "tiles, or lines again: B busy, S stalled, H held, Z zombie, E empty"
BAR_CELLS = 10
FULL = 100.0
TREND_CELLS, LOOKS_A_CELL = 12, AT_ONCE
"""A minute of looks, one a second."""
TILE_CELLS = 15
BAR_WITHIN, WATTS_WITHIN, DEGREES_WITHIN = 3.0, 0.01, 1.0
"""How far a bar (in percent), a power (as a part of it) and a temperature may be from what was just read: a training
wavers by that much each second, and none of it is news."""


class GpusScreen(ListScreen):
    """A line for each GPU, under it the processes that hold its memory."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("gpu", "GPU / PROCESS", width=18, least=14, most=26, priority=0),
        Column("use", "USE", width=BAR_CELLS + 5, least=BAR_CELLS + 5, priority=1),
        Column("trend", "LAST MINUTE", True, TREND_CELLS, TREND_CELLS, priority=9),
        Column("memory", "MEMORY", True, 12, 11, 14, priority=2),
        Column("state", "STATE", width=7, least=6, most=20, priority=3),
        Column("run", "RUN", width=12, least=10, most=24, priority=4),
        Column("user", "USER", width=10, least=6, priority=6),
        Column("power", "POWER", True, 7, 6, priority=7),
        Column("temperature", "TEMP", True, 6, 5, priority=10),
        Column("age", "AGE", True, 4, 4, priority=4),
        Column("cost", "COSTS", True, 9, 8, priority=5),
        Column("why", "WHY", width=24, least=10, most=70, priority=8, is_prose=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("H", "heat", HEAT)]
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked", "gpu"})
    shown_keys: ClassVar[tuple[str, ...]] = ("teardown", "gpu keep", "run stop")
    wants_gpus: ClassVar[bool] = True

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._runs: dict[str, str] = {}
        self._far: set[str] = set()
        self._has_tiles: bool | None = None
        self._steady = Steady()

    def content(self) -> Iterable[Widget]:
        """The lines, and the tiles that stand for them where there are too many."""
        yield from super().content()
        yield Tiles(TILE_CELLS, id="tiles")

    @property
    def column_keys(self) -> tuple[str, ...]:
        """Names of the columns; the age is told where there are other machines, whose figures come now and then."""
        report = self.console.gpus.report
        has_far = report is not None and bool(report.far)
        return tuple(key for key in super().column_keys if key != "age" or has_far)

    @property
    def shows_tiles(self) -> bool:
        """True when tiles are wanted, or when there are more GPUs than lines and nobody has said what is wanted."""
        report = self.console.gpus.report
        gpus = len(report.all_rows) if report is not None else 0
        if self._has_tiles is not None:
            return self._has_tiles and gpus > 0
        return gpus > max(1, self.size.height - FRAME_LINES)

    def action_heat(self) -> None:
        """Turn from lines to tiles, or back."""
        key = self.cursor_name()
        self._has_tiles = not self.shows_tiles
        self._show_form()
        self.query_one(Tiles).put_cursor(key)
        self.show_foot()

    def _show_form(self) -> None:
        tiles, table = self.query_one(Tiles), self.table
        has_moved = tiles.display != self.shows_tiles
        tiles.display, table.display = self.shows_tiles, not self.shows_tiles
        if has_moved and not self.query_one(Prompt).is_open:
            self.focus_content()

    def show_foot(self) -> None:
        """Of a line what it has no room for; of a tile what it stands for, in words."""
        if not self.query_one(Tiles).display:
            super().show_foot()
            return
        row = next((row for row in self._rows if row.key == self._cursor()), None)
        cells = zip(self.columns, row.cells, strict=True) if row is not None else ()
        told = {column.key: (column if column.key != "gpu" else TILE, cell) for column, cell in cells}
        self.query_one(Foot).tell([told[key] for key in TOLD_OF_A_TILE if key in told])

    def on_tiles_cursor_moved(self) -> None:
        """Tell of another tile."""
        self.show_foot()

    def focus_content(self) -> None:
        """The lines or the tiles take the keys."""
        self.set_focus(self.query_one(Tiles) if self.shows_tiles else self.table)

    def _cursor(self) -> str:
        tiles = self.query_one(Tiles)
        return (tiles.cursor_key if tiles.display else self.table.cursor_key) or ""

    def cursor_name(self) -> str:
        """The GPU or the process under the cursor."""
        return self._cursor()

    def on_mount(self) -> None:
        """Begin with lines."""
        self._show_form()

    def on_resize(self) -> None:
        """More GPUs than lines stand as tiles."""
        self._show_form()

    def read(self) -> list[Row]:
        """The last look."""
        feed = self.console.gpus
        feed.start()
        report = feed.report
        if report is None:
            self.empty = feed.error or "Looking for GPUs ..."
            return []
        self._far = {row.reading.key for row in report.all_rows if row.is_far}
        rows = [row for gpu in report.all_rows for row in self._rows_of(gpu)]
        rows += [_host_row(far.snapshot) for far in report.far if not far.rows]
        words = report.snapshot.words
        self.empty = f"{report.snapshot.host}: {words}. Runs need no GPU: l launches one all the same."
        return rows

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
        out = [Row(gpu.key, self._cells(row), values)]
        self._runs[gpu.key] = row.run_id
        for slot in gpu.mig.value or ():
            name, memory = f"  MIG {slot.profile}", slot.memory_used_mib.value
            cells = _below(name, memory, _whole(slot.memory_total_mib), ("", "value"), "", slot.uuid)
            out.append(Row(f"{gpu.key} {slot.uuid}", cells, (("memory", memory),), gpu.key))
        for each in gpu.processes.value or ():
            key, memory, profile = f"{gpu.key} {each.pid}", each.memory_mib.value, gpu.mig_of(each)
            self._runs[key] = each.run_id
            where = [f"in MIG {profile}"] * bool(profile) + [NOT_VISIBLE] * (not each.visible)
            name = f"  {each.pid} {each.command}" if each.visible else f"  {each.pid}"
            cells = _below(name, memory, "", whose(each), each.user, ", ".join(where))
            out.append(Row(key, cells, (("memory", memory),), gpu.key))
        return out

    def _cells(self, row: GpuRow) -> tuple[Cell, ...]:
        gpu = row.reading
        use = gpu.utilization_percent.value
        drawn = "?" if use is None else f"{self._bar(gpu.key, use)} {use:3.0f}%"
        price = "" if row.price_microusd_per_h is None else per_hour(row.price_microusd_per_h)
        wasted = row.is_wasted and row.price_microusd_per_h
        past = peaks(self.console.gpus.past.get(gpu.key, ()))
        trend = gauge(past, TREND_CELLS, is_ascii=self.console.look.is_ascii)
        return (
            (f"{row.label} {short(gpu.name)}", "name"),
            (drawn, "accent"),
            (trend, "accent"),
            (_memory(gpu), "value"),
            _state(row),
            (row.run_name or row.run_id or ("leased" if row.lease else ""), "value"),
            (row.user, "value"),
            (self._figure(gpu.key, "W", gpu.power_w.value, WATTS_WITHIN * (gpu.power_w.value or 0)), "value"),
            (self._figure(gpu.key, "C", gpu.temperature_c.value, DEGREES_WITHIN), "value"),
            (numbers.age(gpu.age_s) if row.is_far else "", "dim"),
            (price, "warn" if wasted else "value"),
            _why(row),
        )

    def _bar(self, uuid: str, use: float) -> str:
        shown = self._steady((uuid, "bar"), use, BAR_WITHIN if 0 < use < FULL else 0.0)
        return bar(shown / FULL, BAR_CELLS, is_ascii=self.console.look.is_ascii)

    def _figure(self, uuid: str, unit: str, value: float | None, within: float) -> str:
        return "?" if value is None else f"{self._steady((uuid, unit), value, within):.0f} {unit}"

    def _show(self, rows: list[Row]) -> None:
        if self.is_shown:
            report = self.console.gpus.report
            is_ascii = self.console.look.is_ascii
            self.query_one(Tiles).show([tile(row, is_ascii) for row in report.all_rows] if report is not None else [])
            self._show_form()
        super()._show(rows)

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
            away = [each.snapshot.host for each in report.far if each.snapshot.state is DriverState.UNREACHABLE]
            if away:
                words.append((f"? {', '.join(away)} unreachable  ", "warn"))
        super().show_title([*words, *right])

    def filled(self, cursor: str) -> object:
        """The GPU, or the run that holds it, or that the process is of; a GPU itself can be torn down."""
        key = self._cursor()
        uuid = key.partition(" ")[0]
        is_here = bool(uuid) and uuid not in self._far and not uuid.startswith(HOST)
        if cursor == "gpu":
            return uuid if is_here else None
        run = self._runs.get(key, "")
        if cursor == "marked":
            return (run,) if run else (uuid,) if is_here else None
        return run or None

    def open(self, key: str) -> Location | None:
        """The page of the GPU, or of the run that a process is of."""
        uuid, _, pid = key.partition(" ")
        if uuid.startswith(HOST):
            return None
        run = self._runs.get(key, "")
        return Location("run", run) if pid and run else Location("gpu", uuid)

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("enter", "open"), *super().keys(), ("H", "tiles")]


def _host_row(snapshot: GpuSnapshot) -> Row:
    """A host elsewhere of whose GPUs nothing is known, or that has none."""
    blank: Cell = ("", "value")
    token = "warn" if snapshot.state is DriverState.UNREACHABLE else "dim"
    cells: tuple[Cell, ...] = ((snapshot.host, "name"), *[blank] * 10, (snapshot.words, token))
    return Row(f"{HOST}{snapshot.host}", cells)


def _below(name: str, memory_mib: float | None, whole: str, run: Cell, user: str, why: str) -> tuple[Cell, ...]:
    """The cells of what stands under a GPU: an instance of it, or a process that holds its memory."""
    memory = "?" if memory_mib is None else f"{memory_mib / 1024:.1f}{whole} GiB"
    blank: Cell = ("", "value")
    return ((name, "dim"), blank, blank, (memory, "dim"), blank, run, (user, "dim"), *[blank] * 4, (why, "dim"))


def _whole(value: Value[float]) -> str:
    return "" if value.value is None else f"/{value.value / 1024:.0f}"


def short(name: str) -> str:
    """A GPU's name without the maker's."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def tile(row: GpuRow, is_ascii: bool) -> Tile:
    """A GPU in a few cells: its number, its load as a bar and a figure, and the first letter of what it does."""
    gpu = row.reading
    use = gpu.utilization_percent.value
    token = "state.bad" if gpu.health is not GpuHealth.OK else "value"
    letter = "!" if gpu.health is not GpuHealth.OK else " "
    if row.idle_class is not None and gpu.health is GpuHealth.OK:
        token, letter = TOKENS.get(row.idle_class, "value"), row.idle_class.value[0].upper()
    drawn = " " * 4 if use is None else bar(use / 100, 4, is_ascii=is_ascii)
    figure = "  ?" if use is None or row.away else f"{use:3.0f}"
    return Tile(
        gpu.key, ((f"{end(row.label, 3):>3} ", "dim"), (drawn, token), (f" {figure}% ", "value"), (letter, token))
    )


def _state(row: GpuRow) -> Cell:
    gpu = row.reading
    if gpu.health is not GpuHealth.OK:
        return gpu.health.word, "state.bad"
    if row.away:
        return f"? {numbers.age(gpu.age_s)}", "state.unknown"
    if row.idle_class is None:
        return ("", "dim")
    if row.is_far:
        return row.idle_class.value.upper(), TOKENS.get(row.idle_class, "value")
    age = f" {gpu.age_s:.0f}s old" if gpu.age_s > OLD_S else ""
    return f"{row.idle_class.value.upper()}{age}", TOKENS.get(row.idle_class, "value")


def _why(row: GpuRow) -> Cell:
    """Why it is what it is, and what is wrong with it.

    Of one at work that is the sign that says so, without its figure, which wavers and stands on its page; a reason why
    there is no figure stands still. Trouble goes before it.
    """
    if row.away:
        return row.away, "warn"
    if row.reading.health is not GpuHealth.OK:
        return "; ".join((row.reading.health.words, *row.reading.troubles)), "state.bad"
    is_well = row.idle_class in (IdleClass.BUSY, IdleClass.EMPTY)
    sign, _, words = row.why.partition(": ")
    wavers = row.idle_class is IdleClass.BUSY and any(letter.isdecimal() for letter in words)
    why = sign if wavers else row.why
    if troubles := row.reading.troubles:
        return "; ".join(troubles if is_well else (why, *troubles)), "state.bad"
    return why, "dim"


def _memory(gpu: GpuReading) -> str:
    used, whole = gpu.memory_used_mib.value, gpu.memory_total_mib.value
    if used is None:
        return "?"
    return f"{used / 1024:.1f} GiB" if whole is None else f"{used / 1024:.1f}/{whole / 1024:.0f} GiB"


def peaks(past: Sequence[float]) -> list[float]:
    """The highest of every few looks, the newest ones last; a gap where none of them could be read."""
    values = list(past)
    parts = [values[start : start + LOOKS_A_CELL] for start in range(0, len(values), LOOKS_A_CELL)]
    return [max((value for value in part if isfinite(value)), default=nan) for part in parts]
