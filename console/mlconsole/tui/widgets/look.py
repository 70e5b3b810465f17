"""What theme tokens look like on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.style import Style

from mlconsole.tui.palettes import words_of


@dataclass(frozen=True, slots=True)
class Look:
    """How everything on the screen is drawn.

    Attributes:
        palette: a name of :data:`~mlconsole.tui.palettes.PALETTES`.
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
    name, _, last = token.rpartition(".")
    if last == "faint":
        return _style(palette, name) + Style(dim=True)
    return Style.parse(words_of(palette, token))


def look_of(app: object) -> Look:
    """The look an app has chosen in its ``look``, or the terminal's own colours."""
    look = getattr(app, "look", None)
    return look if isinstance(look, Look) else Look()
