"""One version of a model: metrics, files with their signatures, the aliases' moves, its card, its lineage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.domain.lineage import Way
from mlconsole.domain.query import Query
from mlconsole.render.model_card import card_of
from mlconsole.render.tables import lines
from mlconsole.tui.explorer import Explorer
from mlconsole.tui.places import Location
from mlconsole.tui.run_pages import Lines, lineage
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.page import Page

SECTIONS = ("version", "card", "lineage")


class ModelScreen(PlaceScreen):
    """The page of one version; the digits and tab change its section."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(i), f"section('{name}')", name, show=False) for i, name in enumerate(SECTIONS, 1)),
        Binding("tab", "next_section", "next section", show=False),
        Binding("escape", "app.go_back", "back", show=False),
        Binding("p", "past", "its lineage", show=False),
    ]
    offers: ClassVar[frozenset[str]] = frozenset({"model_name", "model_version"})
    shown_keys: ClassVar[tuple[str, ...]] = ("model alias",)

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._section = location.cursor if location.cursor in SECTIONS else SECTIONS[0]
        self._label = ""
        self._pages: dict[str, Lines] = {}

    def content(self) -> Iterable[Widget]:
        """The tabs, and one section."""
        yield Line(id="tabs")
        yield Page([[("Reading ...", "placeholder")]], id="page")

    def on_mount(self) -> None:
        """Read the version."""
        self._show_section()
        self.look_again()

    def cursor_name(self) -> str:
        """The section that is shown."""
        return self._section

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        return [("1-3 tab", "section"), ("p", "lineage"), ("-", "back"), *super().keys()]

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
            self.query_one("#page", Page).show(self._pages[self._section])
            self.show_title()

    def action_section(self, name: str) -> None:
        """Show another section."""
        self._section = name
        self._show_section()
        self.query_one("#page", Page).show(self._pages.get(name, []))

    def action_next_section(self) -> None:
        """Show the section after."""
        self.action_section(SECTIONS[(SECTIONS.index(self._section) + 1) % len(SECTIONS)])

    def action_past(self) -> None:
        """Go to its lineage."""
        if self._label:
            node = f"version:{self._label}"
            self.console.go(Location("lineage", node, cursor=node))

    def _show_section(self) -> None:
        spans: list[Span] = []
        for i, name in enumerate(SECTIONS, 1):
            spans += [(f"{i} {name}", "cursor" if name == self._section else "dim"), ("  ", "value")]
        self.query_one("#tabs", Line).show(spans)
        self.focus_content()

    def focus_content(self) -> None:
        """The page takes the keys."""
        self.set_focus(self.query_one("#page"))
