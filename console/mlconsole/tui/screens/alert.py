"""One incident: everything that happened about it and because of it, its parts, and the fields that policies see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.actions.incident import incident
from mlconsole.domain.alerts import Alert, AlertState, Incident, Moment, Severity
from mlconsole.domain.query import Query
from mlconsole.errors import AmbiguousName, NotFound
from mlconsole.render import numbers
from mlconsole.render.watch_tables import state_words
from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.page import Page

TOKENS = {
    AlertState.PENDING: "state.waiting",
    AlertState.FIRING: "state.bad",
    AlertState.ACKED: "warn",
    AlertState.SNOOZED: "state.idle",
    AlertState.RESOLVED: "state.good",
}
SEVERITIES = {Severity.INFO: "dim", Severity.WARNING: "warn", Severity.CRITICAL: "error"}
SECTIONS = ("timeline", "parts", "data")
LABEL = 12


def token_of(alert: Alert) -> str:
    """The colour of an alert's state: what fires and is not critical is amber."""
    if alert.state is AlertState.FIRING and alert.severity is not Severity.CRITICAL:
        return "warn"
    return TOKENS.get(alert.state, "dim")


class AlertScreen(PlaceScreen):
    """One incident; the digits and tab change its section."""

    CSS_PATH = "alert.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(i), f"section('{name}')", name, show=False) for i, name in enumerate(SECTIONS, 1)),
        Binding("tab", "next_section(1)", "next section", show=False),
        Binding("shift+tab", "next_section(-1)", "section before", show=False),
        Binding("escape", "app.go_back", "back", show=False),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"alert"})
    shown_keys: ClassVar[tuple[str, ...]] = ("alert ack", "alert snooze")

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._section = location.cursor if location.cursor in SECTIONS else SECTIONS[0]
        self._incident: Incident | None = None
        self._trouble = ""

    def content(self) -> Iterable[Widget]:
        """The head, the tabs, and one section."""
        yield Page(id="head")
        yield Line(id="tabs")
        yield Page(id="page")

    def on_mount(self) -> None:
        """Read the incident."""
        self.query_one("#head").can_focus = False
        self._show_tabs()
        self.look_again()

    def cursor_name(self) -> str:
        """The section that is shown."""
        return self._section

    def filled(self, cursor: str) -> object:
        """This alert."""
        return self.location.target or None if cursor == "alert" else None

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("1-3 tab", "section"), ("-", "back"), *super().keys()]

    def look_again(self) -> None:
        """Read it again."""
        self.console.reads.do(self._read, self._show)

    def _read(self) -> Incident | str:
        ctx = self.console.ctx
        try:
            return incident(ctx, ctx.catalog.alerts.get(self.location.target))
        except (NotFound, AmbiguousName) as error:
            return str(error)

    def _show(self, found: Incident | str) -> None:
        if not self.is_shown:
            return
        self._incident, self._trouble = (None, found) if isinstance(found, str) else (found, "")
        lines = head_lines(found, self.console.ctx.clock())
        self.query_one("#head", Page).show(lines)
        self.query_one("#head").styles.height = len(lines)
        self._show_page()
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with how it stands at its right end."""
        if self._incident is not None:
            alert = self._incident.alert
            right = [*right, (state_words(alert), token_of(alert))]
        super().show_title(right)

    def _show_page(self) -> None:
        if self._incident is None:
            return
        lines = {"timeline": timeline_lines, "parts": part_lines, "data": data_lines}[self._section]
        self.query_one("#page", Page).show(lines(self._incident))

    def action_section(self, name: str) -> None:
        """Show another section."""
        self._section = name
        self.location = replace(self.location, cursor=name)
        self._show_tabs()
        self._show_page()

    def action_next_section(self, step: int) -> None:
        """Show the section after or before."""
        self.action_section(SECTIONS[(SECTIONS.index(self._section) + step) % len(SECTIONS)])

    def _show_tabs(self) -> None:
        spans: list[Span] = []
        for i, name in enumerate(SECTIONS, 1):
            spans += [(f"{i} {name}", "cursor" if name == self._section else "dim"), ("  ", "value")]
        self.query_one("#tabs", Line).show(spans)
        self.focus_content()

    def focus_content(self) -> None:
        """The section takes the keys."""
        self.set_focus(self.query_one("#page"))


def head_lines(found: Incident | str, now: datetime) -> list[list[Span]]:
    """What it is, how bad, since when, and who is at it."""
    if isinstance(found, str):
        return [[(found, "warn")]]
    alert = found.alert
    opened = alert.opened_at or alert.changed_at
    told = f"{alert.source}  {alert.subject}  since {opened:%Y-%m-%d %H:%M:%S} ({numbers.ago(opened, now)})"
    changed = f"{alert.who}, {numbers.ago(alert.changed_at, now)}: {alert.why}"
    return [
        [(f"{'what':{LABEL}}", "label"), (alert.title, "strong")],
        [(f"{'about':{LABEL}}", "label"), (f"{alert.severity}  ", SEVERITIES[alert.severity]), (told, "value")],
        [(f"{alert.state.value:{LABEL}}", "label"), (changed, "value")],
    ]


def timeline_lines(found: Incident) -> list[list[Span]]:
    """Everything that happened, the oldest on top."""
    width = max((len(moment.kind) for moment in found.timeline), default=0)
    room = min(LABEL, max((len(moment.who) for moment in found.timeline), default=0))
    out: list[list[Span]] = []
    day = ""
    for moment in found.timeline:
        if day != (day := f"{moment.at:%Y-%m-%d}"):
            out.append([(day, "label")])
        glyph, token = _mark(moment)
        out.append(
            [
                (f"  {moment.at:%H:%M:%S}  ", "dim"),
                (f"{glyph} ", token),
                (f"{moment.kind:{width}}  ", token),
                (f"{moment.who:{room}}  ", "accent"),
                (moment.words, "value"),
            ]
        )
    return out


MARKS: dict[str, tuple[str, str]] = {
    "alert firing": ("▲", "state.bad"),
    "alert pending": ("◌", "state.waiting"),
    "alert acked": ("△", "warn"),
    "alert snoozed": ("■", "state.idle"),
    "alert resolved": ("✔", "state.good"),
    "alert ok": ("✔", "state.good"),
    "policy held": ("■", "warn"),
    "policy fired": ("●", "state.running"),
    "policy proposed": ("?", "state.waiting"),
    "policy waiting": ("◌", "state.waiting"),
    "policy due": ("◌", "state.waiting"),
    "policy started": ("●", "state.running"),
    "policy done": ("✔", "state.good"),
    "policy failed": ("✖", "state.bad"),
    "policy stuck": ("✖", "state.bad"),
    "drift.opened": ("▲", "state.bad"),
    "check.failed": ("✖", "state.bad"),
    "rollout.failed": ("✖", "state.bad"),
    "rollout.done": ("✔", "state.good"),
    "rollout committed": ("●", "state.running"),
    "gate pass": ("✔", "state.good"),
    "gate fail": ("✖", "state.bad"),
    "gate error": ("▲", "warn"),
    "gate inconclusive": ("?", "warn"),
    "rollout done": ("✔", "state.good"),
    "rollout failed": ("✖", "state.bad"),
    "rollout rolled back": ("✖", "state.bad"),
    "automatic done": ("✔", "state.good"),
}


def _mark(moment: Moment) -> tuple[str, str]:
    if moment.kind == "run.ended":
        return ("✔", "state.good") if "succeeded" in moment.words.split() else ("✖", "state.bad")
    return MARKS.get(moment.kind, ("·", "dim"))


def part_lines(found: Incident) -> list[list[Span]]:
    """Its children, the worst first."""
    parts = found.alert.parts
    if not parts:
        return [[("It has no parts: it is about one thing.", "dim")]]
    width = max(len(part.name) for part in parts)
    return [
        [
            (f"  {part.name:{min(width, 40)}}  ", "name"),
            (f"{'' if part.effect is None else numbers.number(part.effect):>10}  ", "strong"),
            (part.words, "value"),
        ]
        for part in parts
    ]


def data_lines(found: Incident) -> list[list[Span]]:
    """The fields that policies see."""
    alert = found.alert
    told = {"id": alert.id, "cause": alert.cause, **alert.data}
    width = max(len(name) for name in told)
    return [[(f"  {name:{width}}  ", "label"), (str(value), "value")] for name, value in told.items()]
