"""A page of charts with one cursor, one zoom and one set of axes over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from mlconsole.render.canvas import Span
from mlconsole.render.chart import Readout, View
from mlconsole.render.raster import Dots
from mlconsole.render.sanitise import clean, fit
from mlconsole.tui.widgets.chart_sheet import ChartData, Place, Points, Sheet, of_run, places
from mlconsole.tui.widgets.look import Look, look_of

_MARGIN = 1  # The bar of the chosen chart.


class Charts(Widget, can_focus=True):
    """Charts in rows; the chosen one can fill the page."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Charts { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "choose_row(1)", "chart below", show=False),
        Binding("k,up", "choose_row(-1)", "chart above", show=False),
        Binding("N,pagedown", "choose(1)", "next chart", show=False),
        Binding("P,pageup", "choose(-1)", "chart before", show=False),
        Binding("g,home", "choose_end(0)", "first chart", show=False),
        Binding("G,end", "choose_end(-1)", "last chart", show=False),
        Binding("enter", "maximise", "this chart alone, or all", show=False),
        Binding("right", "read(1)", "read out further right", show=False),
        Binding("left", "read(-1)", "read out further left", show=False),
        Binding("shift+right", "read(10)", "read out ten columns right", show=False),
        Binding("shift+left", "read(-10)", "read out ten columns left", show=False),
        Binding("plus,equals_sign", "zoom(0.5)", "zoom in", show=False, key_display="+"),
        Binding("underscore", "zoom(2.0)", "zoom out", show=False, key_display="_"),
        Binding("greater_than_sign", "pan(0.25)", "pan right", show=False, key_display=">"),
        Binding("less_than_sign", "pan(-0.25)", "pan left", show=False, key_display="<"),
        Binding("0", "whole", "show everything", show=False),
        Binding("a", "axis", "x by step, time or epoch", show=False),
        Binding("S", "smooth", "smooth more, or not", show=False),
        Binding("Y", "log_y", "logarithmic y", show=False),
        Binding("X", "log_x", "logarithmic x", show=False),
        Binding("B", "dots", "braille or half blocks", show=False),
    ]

    class CursorMoved(Message):
        """The x that is read out, None without a read-out, and what the chosen chart shows there."""

        def __init__(self, x: float | None, readouts: tuple[Readout, ...]) -> None:
            super().__init__()
            self.x = x
            self.readouts = readouts

    class Chosen(Message):
        """Another chart is chosen, or others are shown."""

    def __init__(self, *, empty: str = "No metrics yet.", id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = empty
        self.sheet = Sheet()
        self.chosen = 0
        self.is_maximised_chart = False
        self._first = 0
        self._has_blocks = False
        self._is_shown = False

    # What screens ask of it.

    def show(self, name: str, metrics: Sequence[Points]) -> None:
        """Show every metric of one run."""
        self.show_charts(of_run(name, metrics))

    def show_charts(self, charts: Sequence[ChartData]) -> None:
        """Show these charts, the chosen one staying chosen; nothing is drawn when they are the same."""
        title = self.chosen_title
        is_first, self._is_shown = not self._is_shown, True
        if self.sheet.show(charts) or is_first:
            titles = [chart.title for chart in self.sheet.charts]
            self.chosen = titles.index(title) if title in titles else min(self.chosen, max(0, len(titles) - 1))
            self._keep_in_view()
            self.refresh()
            self.post_message(self.Chosen())

    @property
    def chosen_title(self) -> str:
        """The title of the chosen chart, empty when there is none."""
        return self.sheet.charts[self.chosen].title if self.chosen < len(self.sheet.charts) else ""

    def put_cursor(self, x: float | None) -> None:
        """Read out another x, as another page of charts did."""
        if x != self.sheet.cursor:
            self.sheet.cursor = x
            self.refresh()

    # Keys.

    def action_choose(self, step: int) -> None:
        """Choose the chart so many further on."""
        self._choose(self.chosen + step)

    def action_choose_row(self, rows: int) -> None:
        """Choose the chart above or below."""
        self._choose(self.chosen + rows * (1 if self.is_maximised_chart else self._across))

    def action_choose_end(self, index: int) -> None:
        """Choose the first or the last chart."""
        self._choose(index if index >= 0 else len(self.sheet.charts) - 1)

    def action_maximise(self) -> None:
        """Let the chosen chart fill the page, or show all again."""
        self.is_maximised_chart = not self.is_maximised_chart
        self._keep_in_view()
        self.refresh()

    def action_read(self, columns: int) -> None:
        """Move the read-out."""
        if (place := self._place(self.chosen)) is not None:
            self.sheet.move_cursor(self.chosen, self.sheet.draw(place, self._dots), columns)
            self._told_cursor()

    def action_zoom(self, factor: float) -> None:
        """Show less of x, or more."""
        self.sheet.zoom(factor)
        self.refresh()

    def action_pan(self, part: float) -> None:
        """Move along x."""
        self.sheet.pan(part)
        self.refresh()

    def action_whole(self) -> None:
        """Show all of x, without a read-out."""
        self.sheet.view = View()
        self.sheet.cursor = None
        self._told_cursor()

    def action_axis(self) -> None:
        """Lay points out by another x."""
        self.sheet.turn_axis()
        self._told_cursor()

    def action_smooth(self) -> None:
        """Smooth by the next weight."""
        self.sheet.turn_smoothing()
        self.refresh()

    def action_log_y(self) -> None:
        """Turn the logarithmic y axis on or off."""
        self.sheet.is_y_log = not self.sheet.is_y_log
        self.refresh()

    def action_log_x(self) -> None:
        """Turn the logarithmic x axis on or off."""
        self.sheet.is_x_log = not self.sheet.is_x_log
        self.refresh()

    def action_dots(self) -> None:
        """Draw with half blocks, for fonts without braille, or with braille again."""
        self._has_blocks = not self._has_blocks
        self.refresh()

    # Mouse.

    def on_click(self, event: events.Click) -> None:
        """Choose a chart and read out where the click was; a double click lets it fill the page."""
        for place in self._places:
            if place.y <= event.y < place.y + place.height and place.x <= event.x - _MARGIN < place.x + place.width:
                self._choose(place.index)
                x = self.sheet.draw(place, self._dots).x_at(event.x - _MARGIN - place.x)
                if x is not None:
                    self.sheet.cursor = x
                    self._told_cursor()
                if event.chain == 2:
                    self.action_maximise()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Choose the chart below."""
        event.stop()
        self.action_choose_row(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Choose the chart above."""
        event.stop()
        self.action_choose_row(-1)

    def on_resize(self) -> None:
        """Stand the charts anew."""
        self._keep_in_view()
        self.refresh()

    def on_focus(self) -> None:
        """Show which chart is chosen."""
        self.refresh()

    def on_blur(self) -> None:
        """Show no choice."""
        self.refresh()

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here; first of all that there are more charts than have room."""
        count = len(self.sheet.charts)
        more = [("j k", f"chart {self.chosen + 1} of {count}")] if len(self._places) < count else []
        larger = [("enter", "enlarge")] if count > 1 and len(self._places) > 1 else []
        return [*more, *larger, ("a", "x axis")] if count else []

    # Drawing.

    @property
    def _dots(self) -> Dots:
        if look_of(self.app).is_ascii:
            return Dots.ASCII
        return Dots.BLOCK if self._has_blocks else Dots.BRAILLE

    @property
    def _places(self) -> list[Place]:
        width, height = self.size.width - _MARGIN, self.size.height
        if not self.sheet.charts:
            return []
        if self.is_maximised_chart:
            return [Place(self.chosen, 0, 0, width, height)]
        return places(len(self.sheet.charts), self._first, width, height)

    @property
    def _across(self) -> int:
        return max(1, sum(place.y == 0 for place in places(len(self.sheet.charts), 0, self.size.width - _MARGIN, 1)))

    def _place(self, index: int) -> Place | None:
        return next((place for place in self._places if place.index == index), None)

    def _choose(self, index: int) -> None:
        index = max(0, min(index, len(self.sheet.charts) - 1))
        if index != self.chosen:
            self.chosen = index
            self._keep_in_view()
            self.refresh()
            self.post_message(self.Chosen())

    def _keep_in_view(self) -> None:
        """Scroll by whole rows of charts until the chosen one is in view."""
        across = self._across
        shown = max(across, len(places(10**6, 0, self.size.width - _MARGIN, self.size.height)) // across * across)
        row = self.chosen // across * across
        self._first = max(min(self._first, row), row + across - shown) // across * across
        self._first = max(0, self._first)

    def _told_cursor(self) -> None:
        self.refresh()
        place = self._place(self.chosen)
        readouts = self.sheet.draw(place, self._dots).readouts if place is not None else ()
        self.post_message(self.CursorMoved(self.sheet.cursor, readouts))

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region; charts that did not change are not drawn again."""
        width, look = self.size.width, look_of(self.app)
        rows: dict[int, list[tuple[int, list[Segment]]]] = {}
        for place in self._places:
            is_chosen = place.index == self.chosen and self.has_focus and len(self.sheet.charts) > 1
            for offset, line in enumerate(self.sheet.draw(place, self._dots).lines):
                segments = _segments(line, look, is_chosen and offset == 0)
                rows.setdefault(place.y + offset, []).append((place.x + _MARGIN, segments))
        strips = [self._strip(y, rows.get(y, []), width, look) for y in crop.line_range]
        return [strip.crop(*crop.column_span) for strip in strips] if crop.width != width else strips

    def _strip(self, y: int, parts: list[tuple[int, list[Segment]]], width: int, look: Look) -> Strip:
        if not self.sheet.charts and y == 1:
            words = self.empty if self._is_shown else ""
            return Strip([Segment(fit(f" {clean(words, 400)}", width, cut="end"), look.style("dim"))], width)
        segments: list[Segment] = []
        at = 0
        for x, part in parts:
            segments += [Segment(" " * (x - at)), *part]
            at = x + sum(segment.cell_length for segment in part)
        return Strip(segments).adjust_cell_length(width)


def _segments(line: Sequence[Span], look: Look, is_chosen: bool) -> list[Segment]:
    segments = [Segment(span.text, look.style(span.token)) for span in line]
    if is_chosen and segments:
        segments[0] = Segment(segments[0].text, look.style("cursor"))
    return segments
