"""Lines of a table as strips of styled cells; foreign text becomes safe here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rich.segment import Segment
from textual.strip import Strip

from mlconsole.render.sanitise import clean, fit
from mlconsole.render.width import cell_width
from mlconsole.tui.widgets.columns import GUTTER, Layout, Placed
from mlconsole.tui.widgets.look import Look
from mlconsole.tui.widgets.rows import Row

_KEPT_MOST = 1000
_TITLE_LIMIT = 60
_SHORT = 200


@dataclass(frozen=True, slots=True)
class Flags:
    """What a line shows beside its row: the cursor, the focus, a mark, a jump label."""

    is_cursor: bool = False
    is_focused: bool = False
    is_marked: bool = False
    label: str = ""


class _Field(NamedTuple):
    """Where a cell of a row stands, and the blanks behind it."""

    cell: int
    width: int
    align: str
    cut: str
    gap: str


class Strips:
    """Makes the lines of one layout and keeps those of rows that have not changed."""

    def __init__(self, layout: Layout, width: int, look: Look) -> None:
        self.layout = layout
        self.width = width
        self.look = look
        self._kept: dict[str, tuple[Row, Flags, Strip]] = {}
        nexts = [following.x for following in layout.placed[1:]]
        # Each column and the blanks between it and the next.
        self._gaps = [(one, x - one.x - one.width) for one, x in zip(layout.placed, [*nexts, width], strict=True)]
        self._fields = [_Field(one.cell, one.width, _align(one), _cut(one), " " * gap) for one, gap in self._gaps]
        self._is_wide_enough = all(gap >= 0 for _, gap in self._gaps)

    def header(self, sort: str, is_descending: bool) -> Strip:
        """The titles, with an arrow at the column that rows are sorted by, and signs where more columns are."""
        before = self.look.glyph("‹", "<") if self.layout.hidden_before else " "
        after = self.look.glyph("›", ">") if self.layout.hidden_after else " "
        segments = [Segment(before + after, self.look.style("accent"))]
        for placed, gap in self._gaps:
            is_sorted = placed.column.key == sort
            title = clean(placed.column.title, _TITLE_LIMIT)
            if is_sorted:
                arrow = self.look.glyph("▾", "v") if is_descending else self.look.glyph("▴", "^")
                title = f"{fit(title, min(cell_width(title), placed.width - 1), cut='end')}{arrow}"
            shown = fit(title, placed.width, _align(placed), "end")
            style = self.look.style("header.sorted" if is_sorted else "header")
            segments.append(Segment(shown + " " * gap, style))
        return self._whole(segments)

    def row(self, row: Row, flags: Flags) -> Strip:
        """One row."""
        kept = self._kept.get(row.key)
        if kept is not None and kept[0] is row and kept[1] == flags:
            return kept[2]
        segments = self._gutter(flags)
        for field in self._fields:
            text, token = row.cells[field.cell] if field.cell < len(row.cells) else ("", "")
            shown = _kept_shown(text, field) if len(text) <= _SHORT else _shown(text, field)
            style = self.look.style(token)
            if flags.is_cursor and field is self._fields[0]:
                style += self.look.style("cursor" if flags.is_focused else "cursor.blurred")
                segments += [Segment(shown, style), Segment(field.gap)]
            else:
                segments.append(Segment(shown + field.gap, style))
        # Its parts come to the whole width: measuring them again was a quarter of what a line costs.
        is_whole = self._is_wide_enough and len(flags.label) <= GUTTER
        strip = Strip(segments, self.width) if is_whole else self._whole(segments)
        if len(self._kept) > _KEPT_MOST:
            self._kept.clear()
        self._kept[row.key] = (row, flags, strip)
        return strip

    def placeholder(self, flags: Flags) -> Strip:
        """The line of a row that is on its way."""
        segments = self._gutter(flags)
        for placed, gap in self._gaps:
            dots = self.look.glyph("·", ".") * max(1, placed.width // 3)
            segments.append(
                Segment(fit(dots, placed.width, _align(placed)) + " " * gap, self.look.style("placeholder"))
            )
        return self._whole(segments)

    def spans(self, spans: Sequence[tuple[str, str]]) -> Strip:
        """A line of cleaned text in place of rows."""
        return self._whole([Segment(text, self.look.style(token)) for text, token in spans])

    def blank(self) -> Strip:
        """A line without anything."""
        return Strip.blank(self.width)

    def _gutter(self, flags: Flags) -> list[Segment]:
        if flags.label:
            return [Segment(flags.label.ljust(GUTTER), self.look.style("jump"))]
        bar = Segment(" ")
        if flags.is_cursor:
            bar = Segment(self.look.glyph("▌", ">"), self.look.style("cursor.bar" if flags.is_focused else "dim"))
        mark = Segment(self.look.glyph("◆", "*"), self.look.style("mark")) if flags.is_marked else Segment(" ")
        return [bar, mark]

    def _whole(self, segments: list[Segment]) -> Strip:
        return Strip(segments).adjust_cell_length(self.width)


def _align(placed: Placed) -> str:
    return "right" if placed.column.right else "left"


def _shown(text: str, field: _Field) -> str:
    return fit(clean(text), field.width, field.align, field.cut)


_kept_shown = lru_cache(maxsize=4096)(_shown)  # Most cells of a column say what others do.


def _cut(placed: Placed) -> str:
    return "end" if placed.column.right or placed.column.is_prose else "middle"
