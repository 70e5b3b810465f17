"""Sweeps: one row each, which leads to its runs side by side."""

from __future__ import annotations

from typing import ClassVar

from mlconsole.actions.context import Context
from mlconsole.actions.sweeps import find_sweep, one_sweep
from mlconsole.domain.sweeps import TAG, Sweep
from mlconsole.render import numbers
from mlconsole.render.queue_tables import metrics_of, states
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Row


def runs_of(ctx: Context, sweep: str) -> Location:
    """The runs of a sweep, under a column for each name of its grid and for what they are compared by."""
    found = one_sweep(ctx, find_sweep(ctx, sweep))
    wanted = ["state", *(f"param.{name}" for name in found.grid), *(f"metric.{key}" for key in metrics_of(found))]
    return Location("runs", line=f"tag.{TAG}={found.id} cols:{','.join(wanted)},duration")


class SweepsScreen(ListScreen):
    """All sweeps, the newest first; Enter shows the runs of one with a column for each name of its grid."""

    offers: ClassVar[frozenset[str]] = frozenset({"sweep"})
    shown_keys: ClassVar[tuple[str, ...]] = ("launch",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "SWEEP", width=18, least=10, most=40, priority=0),
        Column("runs", "RUNS", width=30, least=16, most=60, priority=1),
        Column("grid", "GRID", width=30, least=12, most=80, priority=2),
        Column("begun", "BEGUN", True, 10, 8, priority=3),
        Column("user", "USER", width=8, least=6, most=16, priority=4),
        Column("id", "ID", width=12, least=12, priority=5),
    )
    empty: str = "No sweeps yet. Start one: mlconsole launch --grid lr=0.1,0.01 -- python train.py --lr {lr}"

    def read(self) -> list[Row]:
        """Every sweep with how its runs stand."""
        ctx = self.console.ctx
        return [self._row(one_sweep(ctx, each)) for each in ctx.catalog.queue.sweeps()]

    def _row(self, sweep: Sweep) -> Row:
        grid = " ".join(f"{name}={','.join(values)}" for name, values in sweep.grid.items())
        cells = (
            (sweep.name, "name"),
            (states(sweep), "value"),
            (grid, "dim"),
            (numbers.ago(sweep.created_at, self.console.ctx.clock()), "dim"),
            (sweep.user, "dim"),
            (sweep.id, "dim"),
        )
        return Row(sweep.id, cells, (("begun", sweep.created_at.timestamp()),))

    def filled(self, cursor: str) -> object:
        """The sweep under the cursor."""
        return self.table.cursor_key or None if cursor == "sweep" else None

    def open(self, key: str) -> Location:
        """Its runs."""
        return runs_of(self.console.ctx, key)
