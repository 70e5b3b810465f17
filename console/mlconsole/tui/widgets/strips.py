"""Lines of a table as strips of styled cells; foreign text becomes safe here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual.strip import Strip

from mlconsole.render.sanitise import clean, fit
from mlconsole.render.width import cell_width
from mlconsole.tui.widgets.columns import GUTTER, Layout, Placed
from mlconsole.tui.widgets.look import Look
from mlconsole.tui.widgets.rows import Row

_KEPT_MOST = 1000
_TITLE_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Flags:
    """What a line shows beside its row: the cursor, the focus, a mark, a jump label."""

    is_cursor: bool = False
    is_focused: bool = False
    is_marked: bool = False
    label: str = ""


class Strips:
    """Makes the lines of one layout and keeps those of rows that have not changed."""

    def __init__(self, layout: Layout, width: int, look: Look) -> None:
        self.layout = layout
        self.width = width
        self.look = look
        self._kept: dict[str, tuple[Row, Flags, Strip]] = {}

    def header(self, sort: str, is_descending: bool) -> Strip:
        """The titles, with an arrow at the column that rows are sorted by, and signs where more columns are."""
        before = self.look.glyph("‹", "<") if self.layout.hidden_before else " "
        after = self.look.glyph("›", ">") if self.layout.hidden_after else " "
        segments = [Segment(before + after, self.look.style("accent"))]
        for placed, gap in self._with_gaps():
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
        for index, (placed, gap) in enumerate(self._with_gaps()):
            text, token = row.cells[placed.cell] if placed.cell < len(row.cells) else ("", "")
            cut = "end" if placed.column.right or placed.column.is_prose else "middle"
            shown = fit(clean(text), placed.width, _align(placed), cut)
            style = self.look.style(token)
            if flags.is_cursor and index == 0:
                style += self.look.style("cursor" if flags.is_focused else "cursor.blurred")
                segments += [Segment(shown, style), Segment(" " * gap)]
            else:
                segments.append(Segment(shown + " " * gap, style))
        strip = self._whole(segments)
        if len(self._kept) > _KEPT_MOST:
            self._kept.clear()
        self._kept[row.key] = (row, flags, strip)
        return strip

    def placeholder(self, flags: Flags) -> Strip:
        """The line of a row that is on its way."""
        segments = self._gutter(flags)
        for placed, gap in self._with_gaps():
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

    def _with_gaps(self) -> list[tuple[Placed, int]]:
        """Each column and the blanks between it and the next."""
        placed = self.layout.placed
        nexts = [following.x for following in placed[1:]]
        return [(one, x - one.x - one.width) for one, x in zip(placed, [*nexts, self.width], strict=True) if one]

    def _whole(self, segments: list[Segment]) -> Strip:
        return Strip(segments).adjust_cell_length(self.width)


def _align(placed: Placed) -> str:
    return "right" if placed.column.right else "left"
