"""The one door from foreign text to a screen: what comes out of it cannot steer a terminal or hide anything.

Controls are shown, not removed: ESC as ``␛``, C1 and format characters as ``\\x9b`` or ``\\u202e``. What
comes out is a fixed point (cleaning it again changes nothing), bounded in length and lines. Backslashes stay
as they are: it is for eyes, and JSON keeps the original.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from mlconsole.render.width import ELLIPSIS, cell_width, fit, middle

__all__ = ["DEFAULT_LIMIT", "cell_width", "clean", "clean_bytes", "fit", "middle"]

DEFAULT_LIMIT = 256
_TABLE_LIMIT = 4096
# Unicode calls these printable, and no terminal draws them.
_INVISIBLE = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0))
# (first, last) of the variation selectors, and of the skin tones, which no two terminals give the same width.
_SELECTORS = ((0x180B, 0x180F), (0xFE00, 0xFE0D), (0xE0100, 0xE01EF), (0x1F3FB, 0x1F3FF))
_PRESENTATION = frozenset((0xFE0E, 0xFE0F))
_MARK = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILED_MARKS = re.compile(f"({_MARK}{{3}}){_MARK}+")


class _Door(dict[int, str]):
    """A table for ``str.translate`` that works out each character once, and forgets when it has grown."""

    def __init__(self, kept: Mapping[int, str]) -> None:
        super().__init__(kept)
        self.kept = kept

    def __missing__(self, code: int) -> str:
        if len(self) > _TABLE_LIMIT:
            self.clear()
            self.update(self.kept)
        shown = self[code] = _shown(code)
        return shown


def _shown(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if code in _PRESENTATION:  # They choose between two drawings of a character; terminals disagree on the width.
        return ""
    if code in _INVISIBLE or any(first <= code <= last for first, last in _SELECTORS):
        return _escape(code)
    char = chr(code)
    if char.isprintable() or code == 0x3000:
        return char
    return " " if unicodedata.category(char) == "Zs" else _escape(code)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # A byte that was not text, as surrogateescape holds it.
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ONE_LINE = _Door({})
_LINES = _Door({0x09: "    ", 0x0A: "\n"})


def clean(text: str, limit: int = DEFAULT_LIMIT, lines: int = 1) -> str:
    """Foreign text made fit for a screen.

    Args:
        text: anything, hostile or not.
        limit: the most characters that come out, at least 1; a cut shows as ``…``.
        lines: the most lines that come out. With 1, a newline shows as ``␊`` and a tab as ``␉``; with more,
            newlines stay and a tab is four blanks.

    Returns:
        Printable characters, and newlines if ``lines`` is more than 1. The work is bounded by ``limit``.
    """
    size = len(text)
    if size <= limit and text.isascii() and text.isprintable():
        return text
    start = text[: limit + 1]
    if lines > 1:
        shown = _first_lines(start.replace("\r\n", "\n").translate(_LINES), lines)
    else:
        shown = start.translate(_ONE_LINE)
    if not shown.isascii():
        shown = _PILED_MARKS.sub(r"\1" + ELLIPSIS, shown)
    is_cut = size > limit + 1 and not shown.endswith(ELLIPSIS)
    if is_cut or len(shown) > limit:
        shown = shown[: limit - 1] + ELLIPSIS
    return shown


def _first_lines(text: str, lines: int) -> str:
    parts = text.split("\n", lines)
    if len(parts) <= lines:
        return text
    if not parts[lines]:
        return "\n".join(parts[:lines])
    return "\n".join([*parts[: lines - 1], ELLIPSIS])


def clean_bytes(data: bytes, limit: int = DEFAULT_LIMIT, lines: int = 1) -> str:
    """Foreign bytes made fit for a screen: read as UTF-8, and what is not UTF-8 shown as ``\\xff``."""
    return clean(data[: 4 * (limit + 2)].decode("utf-8", "backslashreplace"), limit, lines)
