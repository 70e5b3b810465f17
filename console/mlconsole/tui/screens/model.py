"""One version of a model: metrics, files with their signatures, the aliases' moves, its card, its lineage."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from mlconsole.domain.lineage import Way
from mlconsole.domain.query import Query
from mlconsole.render.model_card import card_of
from mlconsole.render.tables import lines
from mlconsole.tui.explorer import Explorer
from mlconsole.tui.places import Location
from mlconsole.tui.run_pages import Lines, lineage
from mlconsole.tui.screens.sections import SectionScreen, section_bindings

SECTIONS = ("version", "card", "lineage")


class ModelScreen(SectionScreen):
    """The page of one version; the digits and tab change its section."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *section_bindings(SECTIONS),
        Binding("p", "past", "its lineage", show=False),
    ]
    has_head = False
    sections = SECTIONS
    offers: ClassVar[frozenset[str]] = frozenset({"model_name", "model_version"})
    shown_keys: ClassVar[tuple[str, ...]] = ("model alias",)

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._label = ""
        self._pages: dict[str, Lines] = {}

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        section, *others = super().keys()
        return [section, ("p", "lineage"), *others]

    def filled(self, cursor: str) -> object:
        """This version."""
        name, _, version = self._label.rpartition("@")
        return {"model_name": name, "model_version": version}.get(cursor)

    def look_again(self) -> None:
        """Read the version again."""
        self.console.reads.do(self._read, self._show)

    def _read(self) -> tuple[str, dict[str, Lines]]:
        catalog = self.console.ctx.catalog
        page = catalog.models.page(self.location.target)
        start = catalog.lineage.find(f"version:{page.version.label}")
        explorer = Explorer(catalog.lineage)
        explorer.begin(start.number, explorer.ways)
        explorer.widen(start)
        card = card_of(page, catalog.lineage.closure(start, Way.UP))
        texts = {"version": lines(page, self.console.ctx.clock()), "card": card.splitlines()}
        shown: dict[str, Lines] = {name: [[(text, "value")] for text in found] for name, found in texts.items()}
        return page.version.label, {**shown, "lineage": lineage(explorer.view(start), f"model:{page.version.label}")}

    def _show(self, found: tuple[str, dict[str, Lines]]) -> None:
        if self.is_shown:
            self._label, self._pages = found
            self.console.names[self.location.target] = self._label
            self.show_page()
            self.show_title()

    def page_lines(self, section: str) -> Lines | None:
        """The lines of a section."""
        return self._pages.get(section)

    def action_past(self) -> None:
        """Go to its lineage."""
        if self._label:
            node = f"version:{self._label}"
            self.console.go(Location("lineage", node, cursor=node))
