"""One environment: its generations, parts, gates, contracts and the rollout that is under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.binding import BindingType

from mlconsole.actions.environments import page_of
from mlconsole.domain.environments import EnvironmentPage
from mlconsole.domain.query import Query
from mlconsole.domain.rollouts import RolloutPage
from mlconsole.tui import environment_pages as pages
from mlconsole.tui.places import Location
from mlconsole.tui.screens.sections import SectionScreen, section_bindings
from mlconsole.tui.widgets.line import Span

MOVES = ("env rollout", "rollback")
"""Actions that can be held to a generation."""
SECTIONS = ("timeline", "parts", "gates", "contracts", "rollout")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of an environment at once; ``rollout`` is its last one with its journal."""

    page: EnvironmentPage
    rollout: RolloutPage | None


class EnvironmentScreen(SectionScreen):
    """The page of one environment; the digits and tab change its section."""

    CSS_PATH = "environment.tcss"
    BINDINGS: ClassVar[list[BindingType]] = section_bindings(SECTIONS)
    sections = SECTIONS
    offers: ClassVar[frozenset[str]] = frozenset({"environment"})
    shown_keys: ClassVar[tuple[str, ...]] = ("env rollout", "rollback", "env abort", "env repair")

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._seen: Seen | None = None

    def filled(self, cursor: str) -> object:
        """This environment."""
        return self.location.target

    def widened(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """A move is one of the generation that is on the screen: of two who move it at once, one is told."""
        if action in MOVES and self._seen is not None:
            return {**given, "expect": self._seen.page.environment.pointer.generation}
        return given

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
        self.show_head(pages.head(seen.page, self.console.ctx.clock()))
        self.show_page()
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with how it stands at its right end."""
        if self._seen is not None:
            right = [*right, pages.standing(self._seen.page)]
        super().show_title(right)

    def page_lines(self, section: str) -> pages.Lines | None:
        """The lines of a section."""
        if self._seen is None:
            return None
        now, page = self.console.ctx.clock(), self._seen.page
        match section:
            case "timeline":
                return pages.timeline(page, now)
            case "parts":
                return pages.parts(page)
            case "gates":
                return pages.gates(page)
            case "contracts":
                return pages.contracts(page)
        return pages.rollout(self._seen.rollout, now)
