"""How a cell looks, as the codes a terminal takes, and the shortest way from one look to another.

SGR codes as in ECMA-48 (5th edition), section 8.3.117.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color, ColorSystem
from rich.style import Style

# Rich's attribute bits, the code that sets each and the one that clears it. Blink and conceal are left out: a
# screen that people keep open all day does not blink, and nothing on it may hide.
_ATTRIBUTES = ((0, "1", "22"), (1, "2", "22"), (2, "3", "23"), (3, "4", "24"), (6, "7", "27"), (8, "9", "29"))
_ON_BLANK = (1 << 3) | (1 << 6) | (1 << 8)


@dataclass(frozen=True, slots=True, eq=False)
class Pen:
    """One look: rich's attribute bits, the codes of both colours, and the pen that draws the same blanks.

    Pens are interned by :func:`pen_of`, so that two are the same look exactly when they are the same object.
    """

    attributes: int
    fg: str
    bg: str

    @property
    def codes(self) -> tuple[str, ...]:
        """The SGR codes that give this look to a terminal in its default state."""
        attributes = [on for bit, on, _ in _ATTRIBUTES if self.attributes >> bit & 1]
        return (*attributes, *filter(None, (self.fg, self.bg)))


@lru_cache(maxsize=4096)
def _interned(attributes: int, fg: str, bg: str) -> Pen:
    return Pen(attributes, fg, bg)


PLAIN = _interned(0, "", "")


@lru_cache(maxsize=4096)
def pen_of(style: Style | None, system: ColorSystem | None) -> Pen:
    """The pen for a rich style on a terminal with these colours; None means that no colour may be sent."""
    if style is None:
        return PLAIN
    known = sum(1 << bit for bit, _, _ in _ATTRIBUTES)
    attributes = style._attributes & style._set_attributes & known
    return _interned(attributes, _codes(style.color, system, True), _codes(style.bgcolor, system, False))


def _codes(color: Color | None, system: ColorSystem | None, foreground: bool) -> str:
    if color is None or system is None or color.is_default:
        return ""
    return ";".join(color.downgrade(system).get_ansi_codes(foreground))


@lru_cache(maxsize=4096)
def blank_pen(pen: Pen) -> Pen:
    """The pen that matters on a blank cell, where only the background and lines show."""
    lined = pen.attributes & _ON_BLANK
    return _interned(lined, pen.fg if lined else "", pen.bg)


@lru_cache(maxsize=16384)
def change(old: Pen, new: Pen) -> str:
    """The shortest escape sequence that turns a terminal's look from ``old`` to ``new``."""
    if old is new:
        return ""
    reset = ";".join(("", *new.codes)) if new.codes else ""
    delta = _delta(old, new)
    return f"\x1b[{min((delta, reset), key=len)}m"


def _delta(old: Pen, new: Pen) -> str:
    lost = old.attributes & ~new.attributes
    cleared = {off for bit, _, off in _ATTRIBUTES if lost >> bit & 1}
    gained = [on for bit, on, off in _ATTRIBUTES if new.attributes >> bit & 1 and _must_set(old, bit, off, cleared)]
    colours = [
        after or default
        for before, after, default in ((old.fg, new.fg, "39"), (old.bg, new.bg, "49"))
        if before != after
    ]
    return ";".join((*sorted(cleared), *gained, *colours))


def _must_set(old: Pen, bit: int, off: str, cleared: set[str]) -> bool:
    return not old.attributes >> bit & 1 or off in cleared
