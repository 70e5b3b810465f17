"""Backends, and what each one is running."""

from __future__ import annotations

from typing import ClassVar

from mlconsole import backends
from mlconsole.domain.runs import Run
from mlconsole.errors import MlconsoleError
from mlconsole.render import numbers
from mlconsole.render.states import mark_of
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Row

BACKEND = "backend "


class JobsScreen(ListScreen):
    """A line for each backend, and under it the runs it has in hand."""

    offers: ClassVar[frozenset[str]] = frozenset({"run", "marked"})
    shown_keys: ClassVar[tuple[str, ...]] = ("launch", "run stop")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "BACKEND / RUN", width=22, least=14, most=40, priority=0),
        Column("state", "STATE", width=13, least=11, priority=1),
        Column("time", "TIME", True, 8, 6, priority=2),
        Column("why", "WHAT IS KNOWN", width=40, least=12, most=100, priority=3),
    )
    empty: str = "No backend is installed. The local one comes with mlconsole: see mlconsole doctor."

    def read(self) -> list[Row]:
        """Backends as they answer, with their live runs."""
        catalog = self.console.ctx.catalog
        live = catalog.runs.load(catalog.runs.live(), metrics=())
        rows: list[Row] = []
        for name in backends.names():
            rows.append(self._backend(name))
            rows += [self._run(run, BACKEND + name) for run in live if run.backend == name]
        return rows + [self._run(run) for run in live if run.backend is None]

    def _backend(self, name: str) -> Row:
        try:
            probe = self.console.ctx.backend(name).probe()
            state = ("answers", "good") if probe.reachable else ("? unreachable", "state.unknown")
            state = state if probe.is_set_up else ("not set up", "dim")
            detail = f"{probe.version}  {probe.detail}"
        except MlconsoleError as error:
            state, detail = ("? unreachable", "state.unknown"), str(error)
        return Row(BACKEND + name, ((name, "strong"), state, ("", ""), (detail, "dim")))

    def _run(self, run: Run, under: str = "") -> Row:
        mark = mark_of(run)
        now = self.console.ctx.clock()
        where = f"{run.user}@{run.host}" + ("" if run.backend else "  not launched here")
        seen = f"  seen {numbers.ago(run.seen_at, now)}" if run.reach.value != "ok" else ""
        time = numbers.duration(run.duration_s(now))
        why = run.why or where + seen
        return Row(
            run.id,
            ((f"  {run.name}", "name"), (f"{mark.glyph} {mark.word}", mark.token), (time, "value"), (why, "dim")),
            (("time", run.duration_s(now)),),
            under,
        )

    def filled(self, cursor: str) -> object:
        """The run under the cursor."""
        key = self.table.cursor_key
        if not key or key.startswith(BACKEND):
            return None
        return (key,) if cursor == "marked" else key

    def open(self, key: str) -> Location | None:
        """The run's page."""
        return None if key.startswith(BACKEND) else Location("run", key)
