"""Who changed what, when, and what came of it."""

from __future__ import annotations

import json
from typing import ClassVar

from mlconsole.domain.audit import AuditRow
from mlconsole.render import numbers
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Row

NEWEST = 1000


class AuditScreen(ListScreen):
    """The newest rows of the audit log."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("action", "ACTION", width=14, least=10, priority=0),
        Column("when", "WHEN", True, 10, 8, priority=1),
        Column("who", "WHO", width=18, least=8, most=30, priority=2),
        Column("phase", "PHASE", width=6, least=5, priority=5),
        Column("target", "TARGET", width=20, least=8, most=40, priority=3),
        Column("result", "RESULT", width=20, least=6, most=80, priority=4),
        Column("params", "PARAMS", width=30, least=10, most=80, priority=6),
        Column("seq", "#", True, 6, 4, priority=7),
    )
    empty: str = "Nothing was changed yet. Every launch, stop, tag and delete will stand here."

    def read(self) -> list[Row]:
        """The newest rows."""
        found = self.console.ctx.catalog.audit.newest(NEWEST)
        self._runs = {str(row.seq): run for row in found if (run := _run_of(row))}
        return [self._row(row) for row in found]

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("enter", "its run"), *super().keys()]

    def open(self, key: str) -> Location | None:
        """The run that was changed, or the first of them."""
        if run := self._runs.get(key):
            return Location("run", run)
        self.say("That was not about a run; its params stand below.", "dim")
        return None

    def _row(self, row: AuditRow) -> Row:
        failed = row.result.startswith("failed")
        return Row(
            str(row.seq),
            (
                (row.action, "name"),
                (numbers.ago(row.at, self.console.ctx.clock()), "dim"),
                (f"{row.actor}@{row.host}", "value"),
                (row.phase, "dim"),
                (row.target, "value"),
                (row.result, "state.bad" if failed else "state.good") if row.result else ("begun", "dim"),
                (json.dumps(row.params) if row.params else "", "dim"),
                (str(row.seq), "dim"),
            ),
            (("when", row.at.timestamp()), ("seq", row.seq)),
        )


def _run_of(row: AuditRow) -> str:
    """The id or the name of the run that a row is about; empty for other things."""
    runs = row.params.get("runs")
    first = runs[0] if isinstance(runs, list) and runs else row.params.get("run")
    return str(first or (row.target if row.action == "launch" else ""))
