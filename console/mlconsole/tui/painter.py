"""Only cells that differ from what the terminal already shows are sent to it.

A :class:`Painter` remembers every cell of the terminal. Rows that only moved are moved by the terminal
itself (DL and IL within DECSTBM margins), looks change by the shortest sequence, and a frame that changes
nothing is no bytes. Control characters and hyperlinks never pass, whoever let them in. Sequences as in
ECMA-48 (5th edition).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import compress
from operator import is_not, ne

from rich.cells import split_graphemes
from rich.color import ColorSystem
from rich.segment import Segment

from mlconsole.tui import twins
from mlconsole.tui.pen import PLAIN, Pen, blank_pen, change, pen_of

Cells = tuple[list[str], list[Pen]]
Piece = tuple[int, Iterable[Segment], int]
Line = tuple[int, Iterable[Piece]]

_UNKNOWN = "\0"
_WIDE_TAIL = ""  # What the second cell of a wide character holds.
_GAP = 4  # Cells that cost no more than the movement over them.
_SCROLL_WORTH = 6  # Fewer changed rows are cheaper to repaint than to look through.
_ERASE_WORTH = 4
_RECENT_ROWS = 256
# Characters that take one cell, among them the drawing ones: box, blocks, shapes and braille.
_SINGLE_RANGES = ((0x20, 0x7F), (0xA1, 0xAD), (0xAE, 0x300), (0x2500, 0x25FD), (0x2800, 0x2900))
_SINGLE = frozenset(chr(code) for first, stop in _SINGLE_RANGES for code in range(first, stop))
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Painter:
    """The terminal's cells as they are, and the way to what they should be.

    Args:
        is_ascii: send ASCII twins of the characters that are not ASCII.
    """

    def __init__(self, *, is_ascii: bool = False) -> None:
        self._cells_of = _ascii_cells if is_ascii else _cells
        self._size = (0, 0)
        self._rows: list[Cells] = []
        self._pieces: list[dict[int, tuple[Iterable[Segment], int]]] = []
        self._is_unknown = True
        self._recent: dict[int, tuple[Iterable[Segment], Cells]] = {}
        self._pen = PLAIN
        self._at: tuple[int, int] | None = None

    def is_unknown_at(self, size: tuple[int, int]) -> bool:
        """True when the next frame must be a whole one: the terminal may show anything, or has another size."""
        return self._is_unknown or size != self._size

    def forget(self) -> None:
        """Take nothing on the terminal for granted: it was resized, resumed or written to by others."""
        self._is_unknown = True

    def paint(self, lines: Iterable[Line], size: tuple[int, int], system: ColorSystem | None) -> str:
        """The sequences that bring lines on the terminal; empty when it shows them already.

        Args:
            lines: (y, pieces), each piece (x, segments, width in cells); a piece is taken to be immutable.
            size: columns and lines of the terminal.
            system: the colours that may be sent; None for no colour at all.
        """
        if self._is_unknown or size != self._size:
            self._blank(size)
        wanted: dict[int, Cells] = {}
        for y, pieces in lines:
            if 0 <= y < size[1]:
                self._overlay(wanted, y, pieces, system)
        self._at, self._pen = None, PLAIN
        out: list[str] = []
        if len(wanted) >= _SCROLL_WORTH:
            self._scroll(out, wanted)
        for y, row in wanted.items():
            self._draw(out, y, row)
        out.append(change(self._pen, PLAIN))
        return "".join(out)

    def _blank(self, size: tuple[int, int]) -> None:
        width, height = self._size = size
        self._rows = [([_UNKNOWN] * width, [PLAIN] * width) for _ in range(height)]
        self._pieces = [{} for _ in range(height)]
        self._recent.clear()
        self._is_unknown = False

    def _overlay(self, wanted: dict[int, Cells], y: int, pieces: Iterable[Piece], system: ColorSystem | None) -> None:
        """Lay pieces over what row ``y`` shows, unless they are the very ones painted there last."""
        seen = self._pieces[y]
        for x, piece, width in pieces:
            if x in seen and seen[x][0] is piece:
                continue
            for other in [left for left, (_, right) in seen.items() if left < x + width and right > x]:
                del seen[other]
            seen[x] = (piece, x + width)
            if x == 0 and width == self._size[0]:
                wanted[y] = self._whole_row(piece, system)
                continue
            chars, pens = wanted.get(y, self._rows[y])
            wanted[y] = (chars.copy(), pens.copy())
            self._put(wanted[y], x, piece, system)

    def _whole_row(self, piece: Iterable[Segment], system: ColorSystem | None) -> Cells:
        """The cells of a piece that fills a row; those of recent pieces are kept, for rows that only move."""
        kept = self._recent.get(id(piece))
        if kept is not None and kept[0] is piece:
            return kept[1]
        row = ([" "] * self._size[0], [PLAIN] * self._size[0])
        self._put(row, 0, piece, system)
        if len(self._recent) >= _RECENT_ROWS:
            self._recent.clear()
        self._recent[id(piece)] = (piece, row)
        return row

    def _scroll(self, out: list[str], wanted: dict[int, Cells]) -> None:
        """Let the terminal move rows when most of what is wanted stands some lines above or below."""
        top, bottom = min(wanted), max(wanted)
        shift = _shift(self._rows, wanted, top, bottom)
        if not shift:
            return
        for y in range(top, bottom + 1):
            wanted.setdefault(y, self._rows[y])
        count, width = abs(shift), self._size[0]
        blank = [([" "] * width, [PLAIN] * width) for _ in range(count)]
        band = self._rows[top : bottom + 1]
        self._rows[top : bottom + 1] = band[count:] + blank if shift > 0 else blank + band[:-count]
        out.append(f"\x1b[{top + 1};{bottom + 1}r\x1b[{top + 1}H\x1b[{count}{'M' if shift > 0 else 'L'}\x1b[r")

    def _draw(self, out: list[str], y: int, row: Cells) -> None:
        """Write the runs of row ``y`` that differ, and erase its end when that is shorter."""
        before, self._rows[y] = self._rows[y], row
        if row == before:
            return
        tail = -1
        for start, stop in _runs(before, row):
            written = stop
            if row[0][stop - 1] == " ":
                tail = _blank_tail(row) if tail < 0 else tail
                written = min(stop, tail) if stop - tail >= _ERASE_WORTH else stop
            if written > start:
                self._write(out, y, start, written, row)
            if written < stop:
                self._move(out, y, max(start, written))
                out.append(change(self._pen, PLAIN) + "\x1b[K")
                self._pen = PLAIN
                return

    def _write(self, out: list[str], y: int, start: int, stop: int, row: Cells) -> None:
        self._move(out, y, start)
        chars, pens = row
        pen, blank = self._pen, blank_pen(self._pen)
        for x in range(start, stop):
            char, want = chars[x], pens[x]
            if want is not pen and not (char == " " and blank_pen(want) is blank):
                out.append(change(pen, want))
                pen, blank = want, blank_pen(want)
            out.append(char)
        self._pen, self._at = pen, (y, stop)

    def _move(self, out: list[str], y: int, x: int) -> None:
        if self._at is not None and self._at[0] == y and self._at[1] <= x:
            if x > self._at[1]:
                out.append(f"\x1b[{x - self._at[1]}C")
        else:
            out.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
        self._at = (y, x)

    def _put(self, row: Cells, x: int, piece: Iterable[Segment], system: ColorSystem | None) -> None:
        """Lay segments over a row from column ``x``; what would stand past its end is left out."""
        chars, pens = row
        width = len(chars)
        if 0 < x < width and chars[x] == _WIDE_TAIL:
            chars[x - 1] = " "
        for text, style, control in piece:
            if control or x >= width:
                continue
            cells = self._cells_of(text)
            count = min(len(cells), width - x)
            chars[x : x + count] = cells[:count]
            pens[x : x + count] = [pen_of(style, system)] * count
            x += count
        if x < width and chars[x] == _WIDE_TAIL:
            chars[x] = " "


@lru_cache(maxsize=8192)
def _cells(text: str) -> tuple[str, ...]:
    """Text cell by cell, as rich measures it."""
    if _SINGLE.issuperset(text):
        return tuple(text)
    cells: list[str] = []
    safe = _UNSAFE.sub(lambda match: " " if match[0] in "\t\n" else "", text)
    for start, stop, width in split_graphemes(safe)[0] if safe else ():
        if width:
            cells += (safe[start:stop], *(_WIDE_TAIL,) * (width - 1))
        elif cells:
            cells[-1] += safe[start:stop]
    return tuple(cells)


@lru_cache(maxsize=8192)
def _ascii_cells(text: str) -> tuple[str, ...]:
    """Text cell by cell in ASCII; what has no twin is a question mark in each of its cells."""
    return tuple(twins.cell(char) if char != _WIDE_TAIL else twins.UNKNOWN for char in _cells(text))


def _shift(rows: list[Cells], wanted: dict[int, Cells], top: int, bottom: int) -> int:
    """How many lines most wanted rows stand below where they should be; 0 when moving them is no gain."""
    where = {"".join(rows[y][0]): y for y in range(top, bottom + 1)}
    votes: Counter[int] = Counter()
    for y, (chars, _) in wanted.items():
        text = "".join(chars)
        if text in where and not text.isspace():
            votes[where[text] - y] += 1
    if not votes:
        return 0
    shift, count = votes.most_common(1)[0]
    return shift if count * 2 > bottom - top + 1 else 0


def _blank_tail(row: Cells) -> int:
    """The column from which a row is blank to its end, as the terminal's own erasing leaves it."""
    chars, pens = row
    column = len(chars)
    while column and chars[column - 1] == " " and blank_pen(pens[column - 1]) is PLAIN:
        column -= 1
    return column


def _runs(before: Cells, after: Cells) -> Iterator[tuple[int, int]]:
    """The stretches of a row to write: cells that differ, joined over gaps too short to skip."""
    start = stop = -1
    chars, pens = after
    for x in _differing(before, after):
        if x == stop:  # Most are: the rest of this is for gaps alone.
            stop += 1
            continue
        if stop >= 0 and x - stop <= _GAP and all(pen is pens[stop - 1] for pen in pens[stop:x]):
            stop = x + 1
            continue
        if stop > 0:
            yield start, _whole(chars, stop)
        start, stop = x, x + 1
    if stop > 0:
        yield start, _whole(chars, stop)


def _differing(before: Cells, after: Cells) -> list[int]:
    """The columns whose cells differ; the loops are those of C code, because every frame goes through all cells."""
    (old, old_pens), (chars, pens) = before, after
    columns = range(len(chars))
    changed = set(compress(columns, map(ne, chars, old)))
    for x in compress(columns, map(is_not, pens, old_pens)):
        if chars[x] != " " or blank_pen(pens[x]) is not blank_pen(old_pens[x]):
            changed.add(x)
    return sorted(changed)


def _whole(chars: list[str], stop: int) -> int:
    while stop < len(chars) and chars[stop] == _WIDE_TAIL:
        stop += 1
    return stop
