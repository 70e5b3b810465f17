"""Everything that is under way, on every backend: runs and what they hold, the queue in its order, the machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from mlconsole import backends
from mlconsole.actions.context import Context
from mlconsole.actions.queue_reads import folded, hosts_elsewhere, job_lines, this_machine
from mlconsole.domain.gpu import GpuSnapshot
from mlconsole.domain.jobs import HostStatus
from mlconsole.domain.query import Query
from mlconsole.domain.queue_rows import JobLine
from mlconsole.domain.runs import Run
from mlconsole.plugin_api import Probe
from mlconsole.render import numbers
from mlconsole.render.numbers import counted
from mlconsole.render.queue_tables import share, silence
from mlconsole.render.states import MARKS, mark_of
from mlconsole.tui.places import Location
from mlconsole.tui.questions import Asked
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.screens.sweeps import runs_of
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Cell, Row
from mlconsole.tui.work import words_of

BACKEND, HOST, SWEEP = "backend ", "host ", "sweep "
TAKE_SWEEPS = ("run stop", "run hold", "run release")
NOT_SET_UP = "not set up"
BLANK: Cell = ("", "value")
LATE_S = 3.0
"""A backend that owes an answer for so long is said to give none."""


class JobsScreen(ListScreen):
    """A line for each backend, under it its runs, those that wait in their order with the reason; then the machines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "unfold", "unfold or fold the sweep", show=False),
        Binding("w", "sweeps", "all sweeps", show=False),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked", "sweep"})
    shown_keys: ClassVar[tuple[str, ...]] = ("launch", "run stop")
    wants_gpus: ClassVar[bool] = True
    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "BACKEND / RUN", width=22, least=14, most=40, priority=0),
        Column("state", "STATE", width=13, least=11, most=30, priority=1),
        Column("time", "TIME", True, 8, 6, priority=3),
        Column("holds", "HOLDS", width=12, least=8, most=24, priority=4),
        Column("user", "USER", width=8, least=6, most=16, priority=5),
        Column("why", "WHAT IS KNOWN", width=40, least=12, most=100, priority=2),
    )
    empty: str = "No backend is installed. The local one comes with mlconsole: see mlconsole doctor."

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._unfolded: set[str] = set()
        self._owes = self._waits = False

    def read(self) -> list[Row]:
        """Backends as they answer with their live runs, the queue, the machines."""
        ctx = self.console.ctx
        feed = self.console.gpus
        feed.start()
        report = feed.report
        snapshot = report.snapshot if report is not None else None
        live = {run.id: run for run in ctx.catalog.runs.load(ctx.catalog.runs.live(), metrics=())}
        self._leased = self._leases(snapshot)
        self._sweeps: dict[str, list[JobLine]] = {}
        lines = job_lines(ctx, snapshot)
        for line in lines:
            if line.sweep:
                self._sweeps.setdefault(line.sweep, []).append(line)
        rows: list[Row] = []
        asked = self._ask()
        heads = {name: self._backend(name, asked[name]) for name in backends.names()}
        for name in sorted(heads, key=lambda name: (heads[name].cells[1][0] == NOT_SET_UP, name != "local", name)):
            rows.append(heads[name])
            mine = [line for line in lines if line.backend == name]
            for line in folded(mine):
                rows += self._rows_of(line, live, BACKEND + name)
        rows += [self._stray(run) for run in live.values() if run.backend is None]
        return [*rows, *self._machines(snapshot, asked[HOST].value or [])]

    def _ask(self) -> dict[str, Asked]:
        """What the backends answer, and what is free on their machines; none of them is waited for."""
        ctx = self.console.ctx
        probes = {name: partial(_probe, ctx, name) for name in backends.names()}
        asked = self.console.questions.ask({**probes, HOST: partial(hosts_elsewhere, ctx)})
        self._owes = any(each.is_owed for each in asked.values())
        return asked

    def _show(self, rows: list[Row]) -> None:
        super()._show(rows)
        if self._owes and not self._waits and self.is_shown:
            self._waits = True
            self.set_timer(LATE_S, self._look_for_answers)

    def _look_for_answers(self) -> None:
        self._waits = False
        self.look_again()

    def _leases(self, snapshot: GpuSnapshot | None) -> dict[str, list[str]]:
        index = {gpu.uuid: str(gpu.index) for gpu in snapshot.gpus} if snapshot else {}
        held: dict[str, list[str]] = {}
        for lease in self.console.ctx.catalog.leases.open():
            if lease.gpu_uuid:
                held.setdefault(lease.run_id, []).append(index.get(lease.gpu_uuid, lease.gpu_uuid[:8]))
        return held

    def _rows_of(self, line: JobLine, live: dict[str, Run], under: str) -> list[Row]:
        if not line.runs:
            return [self._run(line, live.get(line.id), under)]
        is_open = line.sweep in self._unfolded
        fold = ("- " if is_open else "+ ") + line.name
        mine = [each for each in self._sweeps[line.sweep] if each.backend == line.backend]
        counts = Counter(each.state.partition(",")[0] for each in mine)
        waits = next((f"{each.turn}. {each.why}" for each in mine if each.turn is not None), "")
        cells: tuple[Cell, ...] = (
            (f"  {fold}", "name"),
            ("  ".join(f"{count} {MARKS[state].glyph}" for state, count in counts.items()), "value"),
            (self._time(line), "value"),
            BLANK,
            (line.user, "dim"),
            (waits or "all of its runs have started", "dim"),
        )
        rows = [Row(SWEEP + line.sweep, cells, (), under)]
        if is_open:
            rows += [self._run(each, live.get(each.id), under, "    ") for each in mine]
        return rows

    def _time(self, line: JobLine) -> str:
        return numbers.duration(max(0.0, (self.console.ctx.clock() - line.since).total_seconds()))

    def _run(self, line: JobLine, run: Run | None, under: str, indent: str = "  ") -> Row:
        mark = mark_of(run) if run is not None else MARKS[line.state.partition(",")[0]]
        gpus = self._leased.get(line.id, [])
        holds = [f"GPU {','.join(gpus)}"] if gpus else []
        holds += [f"{line.cpus} CPU"] if line.cpus and line.turn is None else []
        wants = [f"{line.gpus} GPU"] if line.gpus else []
        wants += [f"{line.cpus} CPU"] if line.cpus else []
        words = [f"{line.turn}. {line.why}"] if line.turn is not None else [line.why]
        words += [f"attempt {line.attempt}"] if line.attempt > 1 else []
        words += [f"priority {line.priority}"] if line.priority else []
        if run is not None and run.reach.value != "ok":
            words.append(f"seen {numbers.ago(run.seen_at, self.console.ctx.clock())}")
        words += [silence(line)] if line.is_stalled else []
        why = "; ".join(word for word in words if word) or (f"on {line.host}" if line.turn is None else "")
        wish = "" if line.turn is None else f"wants {', '.join(wants) or 'no slot'}"
        return Row(
            line.id,
            (
                (f"{indent}{line.name}", "name"),
                (f"{mark.glyph} {mark.word}", mark.token),
                (self._time(line), "value"),
                (", ".join(holds) or wish, "value" if holds else "dim"),
                (line.user, "dim"),
                (why, "warn" if line.is_stalled else "dim"),
            ),
            (("time", (self.console.ctx.clock() - line.since).total_seconds()),),
            under,
        )

    def _stray(self, run: Run) -> Row:
        """A run that nobody launched from here: its training says that it lives."""
        mark, now = mark_of(run), self.console.ctx.clock()
        time_ = numbers.duration(run.duration_s(now))
        where = run.why or f"{run.user}@{run.host}  not launched here"
        state = (f"{mark.glyph} {mark.word}", mark.token)
        cells: tuple[Cell, ...] = ((f"  {run.name}", "name"), state, (time_, "value"), BLANK, (run.user, "dim"))
        return Row(run.id, (*cells, (where, "dim")), (("time", run.duration_s(now)),))

    def _backend(self, name: str, asked: Asked) -> Row:
        probe, state, detail = asked.value, ("? unreachable", "state.unknown"), ""
        if isinstance(probe, Probe):
            state = ("answers", "good") if probe.reachable else state
            state = state if probe.is_set_up else (NOT_SET_UP, "dim")
            detail = f"{probe.version}  {probe.detail}"
        elif asked.error is not None:
            detail = words_of(asked.error)
        if asked.owed_s > LATE_S:
            state = ("? no answer", "state.unknown")
            seen = f"; last answered {numbers.duration(asked.age_s)} ago" if asked.answered_s is not None else ""
            detail = f"asked {numbers.duration(asked.owed_s)} ago, it has not answered{seen}"
        elif asked.answered_s is None:
            state, detail = ("◌ asked", "state.waiting"), "it has not answered yet"
        return Row(BACKEND + name, ((name, "strong"), state, BLANK, BLANK, BLANK, (detail, "dim")))

    def _machines(self, snapshot: GpuSnapshot | None, elsewhere: Sequence[HostStatus]) -> list[Row]:
        found = [this_machine(self.console.ctx, snapshot)] if snapshot is not None else []
        found += elsewhere
        if not found:
            return []
        head = Row(HOST, (("hosts", "strong"), BLANK, BLANK, BLANK, BLANK, ("what is free on each machine", "dim")))
        return [head, *(self._machine(each) for each in found)]

    def _machine(self, host: HostStatus) -> Row:
        token = "good" if host.takes_jobs else "state.waiting"
        if host.state == "unreachable":
            token = "state.unknown"
        words = [f"{share(host.cpus_free, host.cpus)} CPUs free" if host.cpus is not None else ""]
        words += [f"{share(host.gpus_free, host.gpus)} GPUs free" if host.gpus else ""]
        words += [f"seen {numbers.duration(host.age_s)} ago" if host.age_s >= 2 else "", host.reason]
        jobs = "" if host.jobs is None else counted(host.jobs, "job")
        known = "; ".join(word for word in words if word) or "no limit on CPU slots, no GPU"
        cells: tuple[Cell, ...] = ((f"  {host.name}", "name"), (host.state, token), BLANK, (jobs, "value"))
        return Row(f"{HOST}{host.backend} {host.name}", (*cells, (host.backend, "dim"), (known, "dim")), (), HOST)

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("enter", "open"), ("u", "unfold a sweep"), ("w", "sweeps"), *super().keys()]

    def filled(self, cursor: str) -> object:
        """The run under the cursor, or the sweep."""
        key = self.table.cursor_key
        if not key or key.startswith((BACKEND, HOST)):
            return None
        if key.startswith(SWEEP):
            sweep = key.removeprefix(SWEEP)
            return {"sweep": sweep, "marked": (sweep,)}.get(cursor)
        return (key,) if cursor == "marked" else key if cursor == "run" else None

    @property
    def subject(self) -> str:
        """The name in the row under the cursor, without the mark of a sweep that unfolds."""
        is_sweep = (self.table.cursor_key or "").startswith(SWEEP)
        return super().subject[2:] if is_sweep else super().subject

    def widened(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """A sweep stands for its runs, where an action knows runs alone."""
        if action in TAKE_SWEEPS:
            return given
        lines = {(sweep,): tuple(line.id for line in found) for sweep, found in self._sweeps.items()}
        return {name: lines.get(value, value) if isinstance(value, tuple) else value for name, value in given.items()}

    def open(self, key: str) -> Location | None:
        """The run's page, or the runs of a sweep side by side."""
        if key.startswith(SWEEP):
            return runs_of(self.console.ctx, key.removeprefix(SWEEP))
        return None if key.startswith((BACKEND, HOST)) else Location("run", key)

    def action_unfold(self) -> None:
        """Show the runs of the sweep under the cursor in lines of their own, or in one again."""
        key = self.table.cursor_key or ""
        if not key.startswith(SWEEP):
            self.say("Stand on a sweep: its line begins with + or -.", "warn")
            return
        self._unfolded ^= {key.removeprefix(SWEEP)}
        self.look_again()

    def action_sweeps(self) -> None:
        """Go to all sweeps."""
        self.console.go(Location("sweeps"))


def _probe(ctx: Context, name: str) -> Probe:
    return ctx.backend(name).probe()
