"""Environments: what is live in each, whether that is what is intended, and what is under way."""

from __future__ import annotations

from typing import Any, ClassVar

from mlconsole.actions.environments import page_of
from mlconsole.domain.contracts import Axis
from mlconsole.domain.environments import EnvironmentPage
from mlconsole.render import numbers
from mlconsole.tui.environment_pages import seen, standing
from mlconsole.tui.places import Location
from mlconsole.tui.screens.environment import MOVES
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Cell, Row


class EnvironmentsScreen(ListScreen):
    """A line for each environment; Enter opens it."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("name", "ENVIRONMENT", width=18, least=10, most=24, priority=0),
        Column("state", "STATE", width=12, least=11, priority=1),
        Column("release", "RELEASE", width=16, least=12, most=32, priority=2),
        Column("generation", "GEN", True, 5, 3, priority=3),
        Column("model", "MODEL", width=16, least=8, most=32, priority=4),
        Column("data", "DATA", width=14, least=8, most=32, priority=5),
        Column("code", "CODE", width=16, least=8, most=32, priority=6),
        Column("moved", "MOVED", True, 9, 8, priority=7),
        Column("seen", "SEEN", width=30, least=12, most=80, priority=8),
    )
    offers: ClassVar[frozenset[str]] = frozenset({"environment"})
    shown_keys: ClassVar[tuple[str, ...]] = ("env rollout", "rollback", "env abort", "env repair")
    empty: str = "No environments yet. Make one: mlconsole env create NAME --target directory:/PATH"

    def read(self) -> list[Row]:
        """Every environment."""
        ctx = self.console.ctx
        return [self._row(page_of(ctx, one)) for one in ctx.catalog.environments.all()]

    def _row(self, page: EnvironmentPage) -> Row:
        found, now = page.environment, self.console.ctx.clock()
        release = found.release
        labels = {axis: member.label for axis, member in release.members.items()} if release else {}
        moved = page.history[0].at if page.history else None
        parts: list[Cell] = [(labels.get(axis, ""), "value") for axis in (Axis.MODEL, Axis.DATA, Axis.CODE)]
        cells: tuple[Cell, ...] = (
            (found.name, "name"),
            standing(page),
            (release.label if release else "", "strong"),
            (str(found.pointer.generation or ""), "value"),
            *parts,
            (numbers.ago(moved, now) if moved else "", "dim"),
            (page.rollout.message if page.rollout else found.drift or seen(found.observed, now), "dim"),
        )
        values = (("generation", found.pointer.generation), ("moved", moved.timestamp() if moved else None))
        return Row(found.name, cells, values)

    def filled(self, cursor: str) -> object:
        """The environment under the cursor."""
        return self.table.cursor_key

    def widened(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """A move is one of the generation that is on the screen: of two who move it at once, one is told."""
        generation = next(
            (dict(row.values)["generation"] for row in self._rows if row.key == self.table.cursor_key), None
        )
        return {**given, "expect": generation} if action in MOVES and generation is not None else given

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("enter", "open"), *super().keys()]

    def open(self, key: str) -> Location:
        """The environment's page."""
        return Location("environment", key)
