"""Registered models: every version, where the aliases point, and how two versions differ."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from mlconsole.domain.models import ModelDiff, ModelVersion, compare_models
from mlconsole.render import numbers
from mlconsole.render.tables import lines
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.dialog import TextDialog
from mlconsole.tui.widgets.rows import Row

MOST_METRICS = 2
JUDGED, COUNTERS = ("val", "eval", "test", "dev"), ("epoch", "step")
"""Metrics that stand first, and those that stand last."""


class ModelsScreen(ListScreen):
    """All versions, the newest of each model first; Enter shows one, space marks two for d."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "diff", "differences of the two marked versions, or to the one before", show=False),
        Binding("p", "past", "its lineage", show=False),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"model_name", "model_version"})
    shown_keys: ClassVar[tuple[str, ...]] = ("model alias",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("model", "MODEL", width=20, least=14, most=50, priority=0),
        Column("aliases", "ALIASES", width=12, least=8, most=30, priority=1),
        Column("metrics", "METRICS", width=32, least=12, most=70, priority=2),
        Column("size", "SIZE", True, 9, 7, priority=4),
        Column("when", "REGISTERED", True, 10, 8, priority=3),
        Column("owner", "OWNER", width=10, least=6, most=20, priority=5),
        Column("run", "RUN", width=12, least=12, priority=6),
        Column("digest", "DIGEST", width=20, least=12, most=71, priority=7),
    )
    empty: str = "No models yet. Register what a run kept: mlconsole model register RUN --name NAME"

    def read(self) -> list[Row]:
        """Every version."""
        self._versions = {one.label: one for one in self.console.ctx.catalog.models.all()}
        return [self._row(one) for one in self._versions.values()]

    def _row(self, one: ModelVersion) -> Row:
        keys = sorted(one.metrics, key=lambda key: (not key.startswith(JUDGED), key in COUNTERS))[:MOST_METRICS]
        shown = [f"{key} {numbers.number(one.metrics[key])}" for key in keys]
        return Row(
            one.label,
            (
                (one.label, "name"),
                (", ".join(one.aliases), "accent"),
                ("  ".join(shown), "value"),
                (numbers.size(one.size_bytes), "dim"),
                (numbers.ago(one.registered_at, self.console.ctx.clock()), "dim"),
                (one.owner, "dim"),
                (one.run_id, "dim"),
                (one.digest, "dim"),
            ),
            (("size", one.size_bytes), ("when", one.registered_at.timestamp())),
        )

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("enter", "open"), ("d", "diff"), ("p", "lineage"), *super().keys()]

    def filled(self, cursor: str) -> object:
        """The version under the cursor."""
        name, _, version = self.cursor_name().rpartition("@")
        return {"model_name": name, "model_version": version}.get(cursor)

    def open(self, key: str) -> Location:
        """The version's page."""
        return Location("model", key)

    def action_past(self) -> None:
        """Go to the lineage of the version under the cursor."""
        if key := self.cursor_name():
            node = f"version:{key}"
            self.console.go(Location("lineage", node, cursor=node))

    def action_diff(self) -> None:
        """Say how two versions differ."""
        pair = self._pair()
        if pair is None:
            self.say("Mark two versions with space, or stand on one that has another before it.", "warn")
            return
        models = self.console.ctx.catalog.models
        self.console.reads.do(lambda: compare_models(*(models.page(label) for label in pair)), self._tell)

    def _pair(self) -> tuple[str, str] | None:
        if len(self.marked) == 2:
            one, other = sorted(self.marked, key=lambda label: self._versions[label].number)
            return one, other
        name, _, version = self.cursor_name().rpartition("@")
        earlier = [one for one in self._versions.values() if one.name == name and one.version < int(version or 0)]
        return (max(earlier, key=lambda one: one.version).label, self.cursor_name()) if earlier else None

    def _tell(self, found: ModelDiff) -> None:
        if self.is_shown:
            self.console.push_screen(TextDialog("model diff", lines(found, self.console.ctx.clock())))
