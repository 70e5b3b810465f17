"""Experiments, the one with the newest run first."""

from __future__ import annotations

import json
from typing import ClassVar

from mlconsole.domain.experiments import Experiment
from mlconsole.render import numbers
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Row


class ExperimentsScreen(ListScreen):
    """Experiments with counts; Enter shows the runs of one."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "EXPERIMENT", width=30, least=12, most=60, priority=0),
        Column("runs", "RUNS", True, 8, 5, priority=1),
        Column("running", "RUNNING", True, 8, 7, priority=2),
        Column("failed", "FAILED", True, 8, 6, priority=3),
        Column("last", "LAST RUN", True, 11, 9, priority=4),
    )
    empty: str = "No experiments yet. A run's experiment makes one: l launches a run."

    def read(self) -> list[Row]:
        """Every experiment."""
        return [self._row(found) for found in self.console.ctx.catalog.runs.experiments()]

    def _row(self, e: Experiment) -> Row:
        ago = numbers.ago(e.last_run_at, self.console.ctx.clock())
        running = (str(e.running) if e.running else "", "state.running")
        failed = (str(e.failed) if e.failed else "", "state.bad")
        last = e.last_run_at.timestamp() if e.last_run_at else None
        return Row(
            e.name,
            ((e.name, "name"), (f"{e.runs:,}", "value"), running, failed, (ago, "dim")),
            (("runs", e.runs), ("running", e.running), ("failed", e.failed), ("last", last)),
        )

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("enter", "its runs"), *super().keys()]

    def open(self, key: str) -> Location:
        """The runs of the experiment."""
        return Location("runs", line=f"experiment:{json.dumps(key)}")
