"""What theme tokens look like: palettes that keep to the terminal's own background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from rich.style import Style

_SHARED = {
    "": "none",
    "value": "none",
    "name": "none",
    "strong": "bold",
    "dim": "dim",
    "label": "dim",
    "axis": "dim",
    "grid": "dim",
    "placeholder": "dim",
    "cursor.line": "dim",
    "header": "dim",
    "header.sorted": "bold",
    "cursor": "reverse",
    "cursor.blurred": "bold underline",
    "jump": "reverse bold",
    "found": "underline bold",
    "found.current": "reverse bold",
    "state.waiting": "none",
    "state.idle": "dim",
    "state.unknown": "bold",
}


def _palette(accent: str, good: str, bad: str, warn: str, series: str, **others: str) -> Mapping[str, str]:
    colours = {
        "accent": accent,
        "good": good,
        "bad": f"bold {bad}",
        "warn": warn,
        "error": f"bold {bad}",
        "mark": f"bold {accent}",
        "cursor.bar": f"bold {accent}",
        "state.running": good,
        "state.good": good,
        "state.bad": f"bold {bad}",
        "state.waiting": warn,
        "mark.nan": f"bold {warn}",
        "mark.inf": f"bold {bad}",
        "readout": f"bold {accent}",
        **{f"series.{index}": colour for index, colour in enumerate(series.split())},
    }
    return {**_SHARED, **colours, **{name.replace("_", "."): style for name, style in others.items()}}


# Red is for what went wrong and for no curve.
PALETTES: Mapping[str, Mapping[str, str]] = {
    "terminal": _palette(
        "cyan", "green", "red", "yellow",
        "cyan yellow magenta green blue white bright_cyan bright_yellow",
    ),
    "dark": _palette(
        "color(75)", "color(71)", "color(203)", "color(179)",
        "color(75) color(215) color(141) color(114) color(252) color(80) color(186) color(175)",
        dim="color(245)", label="color(245)", header="color(245)", axis="color(240)", grid="color(238)",
    ),
    "light": _palette(
        "color(25)", "color(28)", "color(160)", "color(130)",
        "color(25) color(166) color(91) color(28) color(238) color(30) color(94) color(162)",
        dim="color(242)", label="color(242)", header="color(242)", axis="color(246)", grid="color(250)",
    ),
    "contrast": _palette(
        "bold bright_cyan", "bold bright_green", "bright_red", "bold bright_yellow",
        "bright_cyan bright_yellow bright_magenta bright_green bright_white bright_blue cyan yellow",
        dim="none", label="none", header="bold", axis="none", grid="none", placeholder="none",
    ),
    # Nearest of the 256 colours to Okabe and Ito, Color Universal Design (2008).
    "colour-blind": _palette(
        "color(74)", "color(74)", "color(166)", "color(178)",
        "color(74) color(178) color(36) color(166) color(175) color(32) color(227) color(250)",
    ),
    "mono": _palette(
        "bold", "none", "reverse", "bold", "none none none none none none none none", error="bold reverse"
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How everything on the screen is drawn.

    Attributes:
        palette: a name of :data:`PALETTES`.
        is_ascii: draw with ASCII characters alone.
    """

    palette: str = "terminal"
    is_ascii: bool = False

    def style(self, token: str) -> Style:
        """The style of a token; ``a.b`` falls back to ``a``, an unknown token to plain text; ``a.faint`` is dimmed."""
        return _style(self.palette, token)

    def glyph(self, shown: str, ascii_twin: str) -> str:
        """The one of the two that this look draws with."""
        return ascii_twin if self.is_ascii else shown


@lru_cache(maxsize=1024)
def _style(palette: str, token: str) -> Style:
    styles = PALETTES.get(palette, PALETTES["terminal"])
    name, _, last = token.rpartition(".")
    if last == "faint":
        return _style(palette, name) + Style(dim=True)
    name = token
    while name not in styles:
        name = name.rpartition(".")[0]
    return Style.parse(styles[name])


def look_of(app: object) -> Look:
    """The look an app has chosen in its ``look``, or the terminal's own colours."""
    look = getattr(app, "look", None)
    return look if isinstance(look, Look) else Look()
