"""ASCII twins of the characters that the console draws with, for terminals and locales that have no others.

One place for all: what is sent to the terminal passes here cell by cell, so that widths stay as they are.
"""

from __future__ import annotations

from mlconsole.render.states import MARKS
from mlconsole.render.width import cell_width

UNKNOWN = "?"
_PAIRS = (
    "─━┄┅┈┉╌╍═╴╶╸╺▔:-",
    "│┃┆┇┊┋╎╏║╵╷╹╻▏▕:|",
    "┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋╔╗╚╝╠╣╦╩╬╭╮╯╰:+",
    "╱:/",
    "╲:\\",
    "╳×✗✘:x",
    "▁▂▃▄▌▐▖▗:.",
    "▅▆▇▀▝▘:=",
    "█▉▊▋▍▎▓▙▛▜▟■◼:#",
    "▒░:%",
    "·•∙⋅:.",
    "…:~",
    "‹«←◂◀⟨:<",
    "›»→▸▶⟩❯:>",
    "▴▲△↑⌃:^",
    "▾▼▽↓⌄:v",
    "◆◇★☆:*",
    "●◉:*",
    "○◌:o",
    "✔✓:+",
    "✖:x",
    "≠:!",
    "≈∼:~",
    "≤:<",
    "≥:>",
    "±:+",
    "−–—‐‑:-",
    "‘’′:'",
    '“”″:"',
    "µμ:u",
    "°:o",
)


def _table() -> dict[str, str]:
    found = {"\u00a0": " "}
    for pair in _PAIRS:
        characters, _, twin = pair.rpartition(":")
        found |= dict.fromkeys(characters, twin)
    return found | {mark.glyph: mark.ascii for mark in MARKS.values()}


TWINS = _table()
BRAILLE = range(0x2800, 0x2900)


def cell(text: str) -> str:
    """One cell's text in ASCII, in as many cells as before."""
    if text.isascii():
        return text
    twin = TWINS.get(text)
    if twin is not None:
        return twin
    if len(text) == 1 and ord(text) in BRAILLE:
        return " " if text == "\u2800" else "*"
    return UNKNOWN


def line(text: str) -> str:
    """A line in ASCII, as wide as before."""
    if text.isascii():
        return text
    return "".join(cell(char) if cell_width(char) <= 1 else UNKNOWN * 2 for char in text if cell_width(char))
