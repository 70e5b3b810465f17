"""One environment: its generations, parts, gates, contracts and the rollout that is under way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.actions.environments import page_of
from mlconsole.domain.environments import EnvironmentPage
from mlconsole.domain.query import Query
from mlconsole.domain.rollouts import RolloutPage
from mlconsole.tui import environment_pages as pages
from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.page import Page

SECTIONS = ("timeline", "parts", "gates", "contracts", "rollout")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of an environment at once; ``rollout`` is its last one with its journal."""

    page: EnvironmentPage
    rollout: RolloutPage | None


class EnvironmentScreen(PlaceScreen):
    """The page of one environment; the digits and tab change its section."""

    CSS_PATH = "environment.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(i), f"section('{name}')", name, show=False) for i, name in enumerate(SECTIONS, 1)),
        Binding("tab", "next_section(1)", "next section", show=False),
        Binding("shift+tab", "next_section(-1)", "section before", show=False),
        Binding("escape", "app.go_back", "back", show=False),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"environment"})
    shown_keys: ClassVar[tuple[str, ...]] = ("env rollout", "rollback", "env abort", "env repair")

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._section = location.cursor if location.cursor in SECTIONS else SECTIONS[0]
        self._seen: Seen | None = None

    def content(self) -> Iterable[Widget]:
        """The head, the tabs, and one section."""
        yield Page(id="head")
        yield Line(id="tabs")
        yield Page(id="page")

    def on_mount(self) -> None:
        """Read the environment."""
        self.query_one("#head").can_focus = False
        self._show_tabs()
        self.look_again()

    def cursor_name(self) -> str:
        """The section that is shown."""
        return self._section

    def filled(self, cursor: str) -> object:
        """This environment."""
        return self.location.target

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("1-5 tab", "section"), ("-", "back"), *super().keys()]

    def look_again(self) -> None:
        """Read the environment again."""
        self.console.reads.do(self._read, self._show)

    def _read(self) -> Seen:
        ctx = self.console.ctx
        page = page_of(ctx, ctx.catalog.environments.get(self.location.target))
        last = page.rollout or page.last
        return Seen(page, ctx.catalog.rollouts.page(last.number) if last else None)

    def _show(self, seen: Seen) -> None:
        if not self.is_shown:
            return
        self._seen = seen
        head = pages.head(seen.page, self.console.ctx.clock())
        self.query_one("#head", Page).show(head)
        self.query_one("#head").styles.height = len(head)
        self._show_page()
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with how it stands at its right end."""
        if self._seen is not None:
            right = [*right, pages.standing(self._seen.page)]
        super().show_title(right)

    def _show_page(self) -> None:
        if self._seen is None:
            return
        now = self.console.ctx.clock()
        page = self._seen.page
        found = {
            "timeline": lambda: pages.timeline(page, now),
            "parts": lambda: pages.parts(page),
            "gates": lambda: pages.gates(page),
            "contracts": lambda: pages.contracts(page),
        }
        section = found.get(self._section)
        rollout = self._seen.rollout
        self.query_one("#page", Page).show(section() if section else pages.rollout(rollout, now))

    def action_section(self, name: str) -> None:
        """Show another section."""
        self._section = name
        self.location = replace(self.location, cursor=name)
        self._show_tabs()
        self._show_page()

    def action_next_section(self, step: int) -> None:
        """Show the section after or before."""
        at = (SECTIONS.index(self._section) + step) % len(SECTIONS)
        self.action_section(SECTIONS[at])

    def _show_tabs(self) -> None:
        spans: list[Span] = []
        for i, name in enumerate(SECTIONS, 1):
            spans += [(f"{i} {name}", "cursor" if name == self._section else "dim"), ("  ", "value")]
        self.query_one("#tabs", Line).show(spans)
        self.focus_content()

    def focus_content(self) -> None:
        """The section takes the keys."""
        self.set_focus(self.query_one("#page"))
