"""Policies: what each one did in the last day, why, what it held back, and what waits for a person's yes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.domain.policies import Firing, FiringState, PolicyPage, PolicyRow
from mlconsole.errors import NotFound
from mlconsole.render import numbers
from mlconsole.render.watch_tables import firing_words, limits_words
from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.screens.lists import ListScreen
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.page import Page
from mlconsole.tui.widgets.rows import Cell, Row

POLICY = "policy "
LAST = timedelta(days=1)
MOST = 1000
LABEL = 10
TOKENS = {
    FiringState.HELD: "warn",
    FiringState.WAITING: "state.waiting",
    FiringState.PROPOSED: "accent",
    FiringState.DUE: "state.waiting",
    FiringState.STARTED: "state.running",
    FiringState.DONE: "state.good",
    FiringState.FAILED: "state.bad",
    FiringState.STUCK: "state.bad",
    FiringState.DECLINED: "state.idle",
    FiringState.EXPIRED: "state.idle",
}


class PoliciesScreen(ListScreen):
    """A line for each policy, and under it what it did and held back in the last day, the newest first."""

    offers: ClassVar[frozenset[str]] = frozenset({"firing", "policy"})
    shown_keys: ClassVar[tuple[str, ...]] = ("policy accept", "policy decline")
    columns: ClassVar[tuple[Column, ...]] = (
        Column("policy", "POLICY / FIRING", width=18, least=14, priority=0),
        Column("state", "STATE", width=11, least=10, priority=1),
        Column("why", "WHY", width=36, least=16, most=110, priority=2),
        Column("action", "ACTION", width=13, least=8, most=20, priority=4),
        Column("because", "BECAUSE OF", width=27, least=12, most=44, priority=5),
        Column("at", "AT", True, 9, 8, priority=3),
        Column("cost", "COST", True, 9, 6, priority=7),
        Column("number", "#", True, 5, 3, priority=6),
    )
    empty: str = "No policies yet. Write policies.toml, then: mlconsole policy plan, and policy apply."

    def read(self) -> list[Row]:
        """Every policy with its firings of the last day, and those that still wait."""
        catalog, now = self.console.ctx.catalog, self.console.ctx.clock()
        found = {each.number: each for each in catalog.firings.since(now - LAST, MOST)}
        for state in (FiringState.PROPOSED, FiringState.WAITING, FiringState.STARTED):
            found |= {each.number: each for each in catalog.firings.in_state(state)}
        newest = sorted(found.values(), key=lambda each: (not _waits(each), -each.number))
        rows: list[Row] = []
        policies = catalog.policies.rows(now)
        for policy in sorted(policies, key=lambda each: not each.waiting):
            rows.append(self._policy(policy, now))
            rows += [self._firing(each, now) for each in newest if each.policy == policy.policy.name]
        for name in sorted({each.policy for each in newest} - {each.policy.name for each in policies}):
            cells = ((name, "strong"), ("taken away", "dim"), *[("", "dim")] * 6)
            rows.append(Row(POLICY + name, cells))
            rows += [self._firing(each, now) for each in newest if each.policy == name]
        return rows

    def _policy(self, row: PolicyRow, now: datetime) -> Row:
        policy = row.policy
        state: Cell = ("acts", "strong") if policy.allow else ("proposes", "value")
        told = [f"{row.fired} fired", f"{row.held} held back", *([f"{row.waiting} to decide"] if row.waiting else [])]
        cells: tuple[Cell, ...] = (
            (policy.name, "strong"),
            state,
            (", ".join(told), "accent" if row.waiting else "dim"),
            (policy.do, "value"),
            (policy.trigger, "value"),
            (numbers.ago(row.last_at, now) if row.last_at else "never", "dim"),
            ("", "dim"),
            ("", "dim"),
        )
        values = (("at", row.last_at.timestamp() if row.last_at else None), ("number", row.fired))
        return Row(POLICY + policy.name, cells, values)

    def _firing(self, firing: Firing, now: datetime) -> Row:
        cells: tuple[Cell, ...] = (
            (f"  {firing.at:%H:%M:%S}", "name"),
            (firing_words(firing), TOKENS[firing.state]),
            (firing.why, "value"),
            (firing.do, "dim"),
            (firing.because, "dim"),
            (numbers.ago(firing.at, now), "dim"),
            ("" if firing.cost_microusd is None else numbers.money(firing.cost_microusd), "dim"),
            (str(firing.number), "dim"),
        )
        values = (("at", firing.at.timestamp()), ("cost", firing.cost_microusd), ("number", firing.number))
        return Row(str(firing.number), cells, values, POLICY + firing.policy)

    def filled(self, cursor: str) -> object:
        """The proposal or the policy under the cursor."""
        key = self.table.cursor_key or ""
        if key.startswith(POLICY):
            return key.removeprefix(POLICY) if cursor == "policy" else None
        return (key or None) if cursor == "firing" else None

    def open(self, key: str) -> Location | None:
        """The policy's page, or that of the run that a firing launched, or of the alert that set it off."""
        if key.startswith(POLICY):
            return Location("policy", key.removeprefix(POLICY))
        catalog = self.console.ctx.catalog
        firing = catalog.firings.get(int(key))
        if firing.run_id:
            return Location("run", firing.run_id)
        event = catalog.events.get(firing.event) if firing.event else None
        alert = event.data.get("alert") if event else None
        return Location("alert", str(alert)) if alert else Location("policy", firing.policy)


def _waits(firing: Firing) -> bool:
    return firing.state in (FiringState.PROPOSED, FiringState.STARTED)


class PolicyScreen(PlaceScreen):
    """One policy: when it does what, its limits, where it is written, and all that came of it."""

    CSS_PATH = "policies.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.go_back", "back", show=False)]
    offers: ClassVar[frozenset[str]] = frozenset({"policy"})

    def content(self) -> Iterable[Widget]:
        """The page."""
        yield Page(id="page")

    def on_mount(self) -> None:
        """Read it."""
        self.focus_content()
        self.look_again()

    def filled(self, cursor: str) -> object:
        """This policy."""
        return self.location.target or None if cursor == "policy" else None

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("-", "back"), *super().keys()]

    def look_again(self) -> None:
        """Read it again."""
        self.console.reads.do(self._read, self._show)

    def _read(self) -> PolicyPage | str:
        catalog, name = self.console.ctx.catalog, self.location.target
        try:
            row = catalog.policies.row(name, self.console.ctx.clock())
        except NotFound as error:
            return str(error)
        return PolicyPage(row, tuple(catalog.firings.of_policy(name, MOST)))

    def _show(self, found: PolicyPage | str) -> None:
        if self.is_shown:
            lines = [[(found, "warn")]] if isinstance(found, str) else page_lines(found, self.console.ctx.clock())
            self.query_one("#page", Page).show(lines)

    def focus_content(self) -> None:
        """The page takes the keys."""
        self.set_focus(self.query_one("#page"))


def page_lines(found: PolicyPage, now: datetime) -> list[list[Span]]:
    """What it is, then what it did."""
    row, policy = found.row, found.row.policy
    given = "  ".join(f"{key}={value}" for key, value in policy.given.items())
    rows: list[tuple[str, list[Span]]] = [
        ("when", [(policy.trigger, "value")]),
        ("does", [(policy.do, "strong"), (f"  {given}", "value")]),
        ("mode", [("acts by itself" if policy.allow else "proposes: a person says yes", "value")]),
        ("limits", [(limits_words(row), "value")]),
        ("last day", [(f"{row.fired} fired, {row.held} held back, {row.waiting} to decide", "value")]),
        ("written", [(f"{policy.file}:{policy.line}", "value"),
                     (f"  applied {numbers.ago(row.applied_at, now)} by {row.applied_by}", "dim")]),
    ]  # fmt: skip
    out = [[(f"{label:{LABEL}}", "label"), *spans] for label, spans in rows]
    out += [[]]
    if not found.firings:
        return [*out, [("It has not fired.", "dim"), ("  Try it on the past: mlconsole policy test ", "dim"),
                       (policy.name, "accent")]]  # fmt: skip
    for firing in found.firings:
        out.append(
            [
                (f"  {firing.at:%Y-%m-%d %H:%M:%S}  ", "dim"),
                (f"{firing_words(firing):12}", TOKENS[firing.state]),
                (f"{firing.because}  ", "name"),
                (firing.why, "value"),
                (f"  {firing.who}" if firing.who else "", "accent"),
            ]
        )
    return out
