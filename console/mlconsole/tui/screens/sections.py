"""A screen about one thing, in sections of which one is shown: digits and tab change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from mlconsole.domain.query import Query
from mlconsole.tui.places import Location
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.page import Head, Page, Spans
from mlconsole.tui.widgets.sections import section_spans

DRAWN = ("lineage",)
"""Sections whose lines are a drawing and are not folded."""


def section_bindings(names: Sequence[str]) -> list[BindingType]:
    """A digit for each section, tab for the next one, and the way back."""
    return [
        *(Binding(str(i), f"section('{name}')", name, show=False) for i, name in enumerate(names, 1)),
        Binding("tab", "next_section(1)", "next section", show=False),
        Binding("shift+tab", "next_section(-1)", "section before", show=False),
        Binding("escape", "app.go_back", "back", show=False),
    ]


class SectionScreen(PlaceScreen):
    """A head, the tabs, and one section.

    A subclass gives its ``sections``, their ``section_bindings``, and the lines of a section in :meth:`page_lines`.
    The sections in ``own_widgets`` are widgets of its own instead, with the section's name as id, made in
    :meth:`section_widgets`.
    """

    DEFAULT_CSS = "SectionScreen #head { margin-bottom: 1; } SectionScreen #page { height: 1fr; }"
    has_head: ClassVar[bool] = True
    sections: ClassVar[tuple[str, ...]] = ()
    own_widgets: ClassVar[tuple[str, ...]] = ()
    short_words: ClassVar[Mapping[str, str]] = {}

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__(location, query)
        self._is_in_trouble = False
        self.section = location.cursor if location.cursor in self.sections else self.sections[0]

    def content(self) -> Iterable[Widget]:
        """The head, the tabs, and all the sections."""
        if self.has_head:
            yield Head(id="head")
        yield Line(id="tabs")
        yield from self.section_widgets()
        yield Page([[("Reading ...", "placeholder")]], id="page")

    def section_widgets(self) -> Iterable[Widget]:
        """The widgets of the sections that have their own."""
        return ()

    def page_lines(self, section: str) -> Sequence[Spans] | None:
        """The lines of a section that is shown on the page; None while nothing was read."""
        return None

    def tabs_note(self) -> str:
        """What is said behind the tabs about the section that is shown."""
        return ""

    def on_mount(self) -> None:
        """Show the section, and read."""
        self.show_section()
        self.look_again()

    def on_resize(self) -> None:
        """Stand the tabs anew."""
        self.show_tabs()

    def cursor_name(self) -> str:
        """The section that is shown."""
        return self.section

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here."""
        here = self.section_keys()
        return [(f"1-{len(self.sections)} tab", "section"), *here[:1], ("-", "back"), *super().keys(), *here[1:]]

    def section_keys(self) -> list[tuple[str, str]]:
        """The keys of the section that is shown, the one that matters most first."""
        found: list[tuple[str, str]] = getattr(self.query_one(f"#{self._shown}"), "keys", [])
        return found

    def show_head(self, lines: Sequence[Spans]) -> None:
        """Fill the head, which is as high as its lines."""
        self.query_one("#head", Head).show(lines)

    @property
    def has_read(self) -> bool:
        """True when the thing was read once."""
        return any(self.page_lines(name) is not None for name in self.sections if name not in self.own_widgets)

    def show_trouble(self, words: str) -> None:
        """Say it in place of the section, where nothing was read."""
        if not self.has_read:
            self._is_in_trouble = True
            self.query_one("#page", Page).show([[(words, "warn")]])
            self.show_section()

    def show_page(self) -> None:
        """Fill the page with the lines of the section that is shown."""
        if self._is_in_trouble and self.has_read:
            self._is_in_trouble = False
            self.show_section()
        elif self.section not in self.own_widgets and (lines := self.page_lines(self.section)) is not None:
            self.query_one("#page", Page).show(lines, folds=self.section not in DRAWN)

    def show_section(self) -> None:
        """Show what belongs to the section, and nothing else below the tabs."""
        self.show_tabs()
        shown = self._shown
        for name in (*self.own_widgets, "page"):
            self.query_one(f"#{name}").display = name == shown
        self.show_page()
        self.focus_content()

    def show_tabs(self) -> None:
        """The sections with their digits."""
        tabs = section_spans(self.sections, self.section, self.size.width, self.short_words)
        note: list[Span] = [(f"   {words}", "dim")] if (words := self.tabs_note()) else []
        self.show_line("tabs", [*tabs, *note])

    def action_section(self, name: str) -> None:
        """Show another section."""
        self.section = name
        self.location = replace(self.location, cursor=name)
        self.show_section()

    def action_next_section(self, step: int) -> None:
        """Show the section after or before."""
        at = (self.sections.index(self.section) + step) % len(self.sections)
        self.action_section(self.sections[at])

    def focus_content(self) -> None:
        """The section takes the keys."""
        self.set_focus(self.query_one(f"#{self._shown}"))

    @property
    def _shown(self) -> str:
        return self.section if self.section in self.own_widgets and not self._is_in_trouble else "page"
