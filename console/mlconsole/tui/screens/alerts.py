"""Alerts: what fires, the worst first, and what was over in the last week."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from mlconsole.catalog.alerts import WATCHER
from mlconsole.domain.alerts import Alert, AlertState, as_of
from mlconsole.render import numbers
from mlconsole.render.watch_tables import state_words
from mlconsole.tui.alert_pages import SEVERITIES, token_of
from mlconsole.tui.places import Location
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Cell, Row

MOST = 500
OVER_FOR = timedelta(days=7)
LISTED = tuple(state for state in AlertState if state not in (AlertState.OK, AlertState.INSUFFICIENT))


class AlertsScreen(ListScreen):
    """A line for each alert: what fires, what somebody is at, what may become one, what was over in the last week."""

    offers: ClassVar[frozenset[str]] = frozenset({"alert"})
    shown_keys: ClassVar[tuple[str, ...]] = ("alert ack", "alert snooze")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("alert", "WHAT", width=37, least=20, most=90, priority=0),
        Column("state", "STATE", width=12, least=11, most=22, priority=1),
        Column("severity", "SEVERITY", width=8, least=8, priority=3),
        Column("since", "SINCE", True, 9, 8, priority=2),
        Column("source", "SOURCE", width=11, least=7, priority=4),
        Column("parts", "PARTS", True, 5, 5, priority=6),
        Column("who", "WHO", width=10, least=6, most=20, priority=5),
        Column("why", "WHY", width=30, least=14, most=80, priority=7),
        Column("id", "ID", width=8, least=8, priority=8),
    )
    empty: str = (
        "Nothing fires and nothing did in the last week. :monitors, budgets, runs, GPUs and endpoints tell here."
    )

    def read(self) -> list[Row]:
        """The alerts, the worst first."""
        now = self.console.ctx.clock()
        found = [as_of(one, now) for one in self.console.ctx.catalog.alerts.listed(LISTED, MOST)]
        shown = [one for one in found if one.resolved_at is None or now - one.resolved_at < OVER_FOR]
        return [self._row(one, now) for one in sorted(shown, key=_weight)]

    def _row(self, alert: Alert, now: datetime) -> Row:
        since = alert.resolved_at or alert.opened_at or alert.changed_at
        cells: tuple[Cell, ...] = (
            (alert.title, "dim" if alert.state is AlertState.RESOLVED else "name"),
            (state_words(alert), token_of(alert)),
            (alert.severity.value, "dim" if alert.state is AlertState.RESOLVED else SEVERITIES[alert.severity]),
            (numbers.ago(since, now), "dim"),
            (alert.source, "value"),
            (str(len(alert.parts) or ""), "value"),
            (alert.people or ("" if alert.who == WATCHER else alert.who), "accent"),
            (alert.said.removesuffix(alert.title).rstrip(": "), "dim"),
            (alert.id, "dim"),
        )
        values = (("since", since.timestamp()), ("severity", alert.severity.rank), ("parts", len(alert.parts)))
        return Row(alert.id, cells, values)

    def filled(self, cursor: str) -> object:
        """The alert under the cursor."""
        return self.table.cursor_key or None if cursor == "alert" else None

    def open(self, key: str) -> Location | None:
        """The incident with its timeline."""
        return Location("alert", key)


def _weight(alert: Alert) -> tuple[int, int, int]:
    order = (AlertState.FIRING, AlertState.ACKED, AlertState.PENDING, AlertState.SNOOZED, AlertState.RESOLVED)
    return order.index(alert.state), -alert.severity.rank, -alert.number
