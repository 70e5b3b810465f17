"""What theme tokens look like, as words: ``bold color(203)``. Palettes keep to the terminal's own background.

No screen library stands behind it: the first picture is drawn with these words, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlconsole.config import Settings

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


ATTRIBUTES = {"bold": "1", "dim": "2", "underline": "4", "reverse": "7"}


def words_of(palette: str, token: str) -> str:
    """The words of a token; ``a.b`` falls back to ``a``, an unknown token to plain text."""
    styles = PALETTES.get(palette, PALETTES["terminal"])
    while token not in styles:
        token = token.rpartition(".")[0]
    return styles[token]


def chosen(settings: Settings, remembered: str) -> str:
    """The palette to draw with: the one that was chosen last, or that of the settings; without colour ``mono``."""
    if not settings.color:
        return "mono"
    return remembered if remembered in PALETTES else settings.theme


def sequence_of(words: str, *, is_coloured: bool) -> str:
    """The SGR sequence of words that name attributes and colours of the 256; colours are left out without colour."""
    codes = [code for word in words.split() if (code := ATTRIBUTES.get(word, "") or (_colour(word) * is_coloured))]
    return f"\x1b[{';'.join(codes)}m" if codes else ""


def _colour(word: str) -> str:
    return f"38;5;{word[6:-1]}" if word.startswith("color(") else ""
