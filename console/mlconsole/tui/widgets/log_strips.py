"""Rows of a log as strips of styled cells: number, text in its program's colours, hits, and where it goes on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from mlconsole.render.ansi import Sgr
from mlconsole.render.sanitise import cell_width, clean, fit
from mlconsole.render.width import head
from mlconsole.tui.logs.frame import Row
from mlconsole.tui.logs.pattern import Pattern
from mlconsole.tui.logs.times import CELLS
from mlconsole.tui.widgets.look import Look

_KEPT_MOST = 400


@dataclass(frozen=True, slots=True)
class Shape:
    """What all rows of a screen have in common.

    Attributes:
        width: cells of a row.
        gutter: how many of them stand before the text.
        has_times: the first of these tell when a line came.
        left: cells of text that are scrolled out of sight to the left.
        look: how everything is drawn.
        pattern: what to highlight.
    """

    width: int
    gutter: int
    has_times: bool
    left: int
    look: Look
    pattern: Pattern | None = None


class LogStrips:
    """Makes the rows of one shape, and keeps those that were shown of late."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._kept: dict[Row, Strip] = {}

    def row(self, row: Row) -> Strip:
        """One row."""
        strip = self._kept.get(row)
        if strip is None:
            if len(self._kept) >= _KEPT_MOST:
                self._kept.clear()
            strip = self._kept[row] = self._made(row)
        return strip

    def words(self, text: str, token: str) -> Strip:
        """A line of text in place of rows."""
        width = self.shape.width
        shown = fit(clean(text, 4 * width), max(0, width - 1), cut="end")
        return Strip([Segment(" "), Segment(shown, self.shape.look.style(token))]).adjust_cell_length(width)

    def blank(self) -> Strip:
        """A row without anything."""
        return Strip.blank(self.shape.width)

    def _made(self, row: Row) -> Strip:
        shape = self.shape
        start, stop = _in_sight(row, shape.left, shape.width - shape.gutter)
        segments = [*self._gutter(row), *self._text(row, start, stop)]
        strip = Strip(segments).adjust_cell_length(shape.width)
        if stop < row.stop and shape.width > shape.gutter:
            sign = Segment(shape.look.glyph("›", ">"), shape.look.style("accent"))
            strip = Strip([*strip.crop(0, shape.width - 1), sign], shape.width)
        return strip

    def _gutter(self, row: Row) -> Iterator[Segment]:
        look = self.shape.look
        yield Segment(look.glyph("▌", ">"), look.style("cursor.bar")) if row.is_current else Segment(" ")
        if self.shape.has_times:
            yield Segment(f"{row.when:>{CELLS}} ", look.style("label"))
        digits = self.shape.gutter - 2 - (CELLS + 1) * self.shape.has_times
        if digits > 0:
            yield Segment(f"{'' if row.number is None else row.number:>{digits}} ", look.style("dim"))

    def _text(self, row: Row, start: int, stop: int) -> Iterator[Segment]:
        hits = self.shape.pattern.spans(row.shown.text) if self.shape.pattern is not None else []
        found = self.shape.look.style("found.current" if row.is_current else "found")
        starts = [hit[0] for hit in hits]
        at = 0
        for text, sgr in row.shown.spans:
            low, high = max(at, start), min(at + len(text), stop)
            style = style_of(sgr, self.shape.look.palette != "mono")
            while low < high:
                near = bisect_right(starts, low) - 1
                is_hit = near >= 0 and low < hits[near][1]
                edge = hits[near][1] if is_hit else starts[near + 1] if near + 1 < len(starts) else high
                edge = min(edge, high)
                yield Segment(text[low - at : edge - at], style + found if is_hit else style)
                low = edge
            at += len(text)


def _in_sight(row: Row, left: int, width: int) -> tuple[int, int]:
    """Which characters of a row are in sight."""
    text = row.shown.text[row.start : row.stop] if row.start or row.stop < len(row.shown.text) else row.shown.text
    if text.isascii():
        return min(row.start + left, row.stop), min(row.start + left + max(0, width), row.stop)
    start = len(head(text, left))
    return row.start + start, row.start + start + len(head(text[start:], width))


@lru_cache(maxsize=1024)
def style_of(sgr: Sgr, has_colour: bool) -> Style:
    """How a program wanted its text to look, with or without colour."""
    return Style(
        color=_colour(sgr.fg) if has_colour else None,
        bgcolor=_colour(sgr.bg) if has_colour else None,
        bold=sgr.bold or None,
        dim=sgr.dim or None,
        italic=sgr.italic or None,
        underline=sgr.underline or None,
        reverse=sgr.reverse or None,
    )


def _colour(name: str) -> Color | None:
    if not name:
        return None
    return Color.parse(name if name.startswith("#") else f"color({name})")


def columns_of(row: Row) -> int:
    """Cells of the text of a row."""
    return cell_width(row.shown.text[row.start : row.stop])
