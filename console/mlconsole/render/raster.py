"""Dots inside character cells: braille (2x4 to a cell), half blocks (1x2) or one ASCII character to a cell.

Every dot column is one integer, a bit for each row, so that a run of dots is one shift and the cost of a chart does
not depend on how much of it is filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import reduce
from operator import or_

# Unicode, block Braille Patterns: the bit of each dot, by its column and row.
_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
ASCII_MARKS = "*ox#%@&="


class Dots(Enum):
    """What a chart is drawn with; the value is the dots of a cell, across and down."""

    BRAILLE = (2, 4)
    BLOCK = (1, 2)
    ASCII = (1, 1)


class Raster:
    """A field of dots in layers; a cell belongs to the topmost layer that has a dot in it."""

    def __init__(self, width: int, height: int, dots: Dots) -> None:
        self.width = width
        self.height = height
        self.dots = dots
        self.across, self.down = dots.value
        self.columns = width * self.across
        self.rows = height * self.down
        self._layers: dict[int, list[int]] = {}

    def column(self, column: int, first: int, last: int, layer: int) -> None:
        """Draw the dots of one dot column from row ``first`` down to ``last``, cut to the field."""
        if not 0 <= column < self.columns or last < 0 or first >= self.rows:
            return
        first, last = max(0, first), min(self.rows - 1, last)
        self._layer(layer)[column] |= ((1 << (last - first + 1)) - 1) << first

    def line(self, x0: int, y0: int, x1: int, y1: int, layer: int) -> None:
        """Draw the dots between two points, neither end included, every dot column once."""
        before = y0
        for column in range(x0 + 1, x1):
            row = y0 + round((y1 - y0) * (column - x0) / (x1 - x0))
            step = 1 if row > before else -1 if row < before else 0
            low, high = sorted((before + step, row))
            self.column(column, low, high, layer)
            before = row

    def cells(self) -> Iterator[tuple[int, int, str, int]]:
        """Every cell that has dots: x, y, its character, and the layer it belongs to."""
        layers = sorted(self._layers.items(), reverse=True)
        chars, down = _CHARS[self.dots], self.down
        full = (1 << down) - 1
        for x in range(self.width):
            stacks = [(layer, columns[x * self.across : (x + 1) * self.across]) for layer, columns in layers]
            touched = [(layer, reduce(or_, columns)) for layer, columns in stacks if any(columns)]
            if not touched:
                continue
            left = reduce(or_, (columns[0] for _, columns in stacks))
            right = reduce(or_, (columns[-1] for _, columns in stacks)) if self.across > 1 else 0
            owner = touched[0][0]
            for y in range(self.height):
                pattern = (left & full) | (right & full) << down
                left >>= down
                right >>= down
                if pattern:
                    if len(touched) > 1:
                        owner = next(layer for layer, bits in touched if bits >> y * down & full)
                    yield x, y, chars[pattern], owner

    def _layer(self, layer: int) -> list[int]:
        if layer not in self._layers:
            self._layers[layer] = [0] * self.columns
        return self._layers[layer]


def _braille(pattern: int) -> str:
    left = sum(bit for row, bit in enumerate(_BRAILLE[0]) if pattern >> row & 1)
    right = sum(bit for row, bit in enumerate(_BRAILLE[1]) if pattern >> (row + 4) & 1)
    return chr(0x2800 + left + right)


_CHARS = {
    Dots.BRAILLE: [_braille(pattern) for pattern in range(256)],
    Dots.BLOCK: list(" ▀▄█"),
    Dots.ASCII: list(" *"),
}
