"""One incident: everything that happened about it and because of it, its parts, and the fields that policies see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from mlconsole.actions.incident import incident
from mlconsole.domain.alerts import Incident, as_of
from mlconsole.domain.query import Query
from mlconsole.errors import AmbiguousName, NotFound
from mlconsole.render.watch_tables import state_words
from mlconsole.tui import alert_pages as pages
from mlconsole.tui.places import Location
from mlconsole.tui.screens.sections import SectionScreen, section_bindings
from mlconsole.tui.widgets.line import Span

SECTIONS = ("timeline", "parts", "data")


class AlertScreen(SectionScreen):
    """One incident; the digits and tab change its section."""

    CSS_PATH = "alert.tcss"
    BINDINGS: ClassVar[list[BindingType]] = section_bindings(SECTIONS)
    sections = SECTIONS
    offers: ClassVar[frozenset[str]] = frozenset({"alert"})
    shown_keys: ClassVar[tuple[str, ...]] = ("alert ack", "alert snooze")

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._incident: Incident | None = None

    def filled(self, cursor: str) -> object:
        """This alert."""
        return self.location.target or None if cursor == "alert" else None

    def look_again(self) -> None:
        """Read it again."""
        self.console.reads.do(self._read, self._show)

    def _read(self) -> Incident | str:
        ctx = self.console.ctx
        try:
            return incident(ctx, as_of(ctx.catalog.alerts.get(self.location.target), ctx.clock()))
        except (NotFound, AmbiguousName) as error:
            return str(error)

    def _show(self, found: Incident | str) -> None:
        if not self.is_shown:
            return
        self._incident = None if isinstance(found, str) else found
        self.show_head(pages.head(found, self.console.ctx.clock()))
        self.show_page()
        self.show_title()

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """The title, with how it stands at its right end."""
        if self._incident is not None:
            alert = self._incident.alert
            right = [*right, (state_words(alert), pages.token_of(alert))]
        super().show_title(right)

    def page_lines(self, section: str) -> pages.Lines:
        """The lines of a section."""
        if self._incident is None:
            return []
        return {"timeline": pages.timeline, "parts": pages.parts, "data": pages.data}[section](self._incident)
