"""How many terminal cells text takes, and cutting it to fit; wide and combining characters counted."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

ELLIPSIS = "…"
# Wide since Unicode 16, which Python knows only from 3.14 on; terminals and Textual go by the newer table.
_WIDE_SINCE_16 = (
    (0x2630, 0x2637),
    (0x268A, 0x268F),
    (0x4DC0, 0x4DFF),
    (0x1D300, 0x1D356),
    (0x1D360, 0x1D376),
)


@lru_cache(maxsize=4096)
def _char_width(char: str) -> int:
    code = ord(char)
    if 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FB:  # Hangul vowels and finals join the syllable before.
        return 0
    if unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf", "Cc", "Zl", "Zp"):
        return 0
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return 2
    return 2 if any(first <= code <= last for first, last in _WIDE_SINCE_16) else 1


def cell_width(text: str) -> int:
    """The number of terminal cells of cleaned text."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def head(text: str, width: int) -> str:
    """The longest start of ``text`` that takes at most ``width`` cells."""
    if text.isascii():
        return text[: max(0, width)]
    room = width
    for index, char in enumerate(text):
        room -= _char_width(char)
        if room < 0:
            return text[:index]
    return text


def tail(text: str, width: int) -> str:
    """The longest end of ``text`` that takes at most ``width`` cells; never starts with a combining mark."""
    if width <= 0:
        return ""
    if text.isascii():
        return text[-width:]
    room, start = width, len(text)
    for index in range(len(text) - 1, -1, -1):
        cells = _char_width(text[index])
        room -= cells
        if room < 0:
            break
        if cells:
            start = index
    return text[start:]


def middle(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, cut in the middle so that both ends can be told apart."""
    if cell_width(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[: max(0, width)]
    start = head(text, width // 2)
    return start + ELLIPSIS + tail(text, width - 1 - cell_width(start))


def end(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, cut at its end."""
    if cell_width(text) <= width:
        return text
    return head(text, width - 1) + ELLIPSIS if width > 0 else ""


def fit(text: str, width: int, align: str = "left", cut: str = "middle") -> str:
    """``text`` in exactly ``width`` cells: cut if it is too long, padded with blanks if it is too short.

    Args:
        text: cleaned text.
        width: cells to fill.
        align: ``left`` or ``right``.
        cut: ``middle`` or ``end``, where a long text loses what does not fit.
    """
    cells = cell_width(text)
    if cells > width:
        text = middle(text, width) if cut == "middle" else end(text, width)
        cells = cell_width(text)
    blanks = " " * (width - cells)
    return blanks + text if align == "right" else text + blanks
