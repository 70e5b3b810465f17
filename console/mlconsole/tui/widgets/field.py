"""A line to type in that shows every character it holds, also those that no terminal may be sent."""

from __future__ import annotations

import functools

from rich.text import Text
from textual.widgets import Input

from mlconsole.render.sanitise import clean


class Field(Input):
    """Textual's input; a character that would steer the terminal is shown as one sign, and kept as it is."""

    def on_mount(self) -> None:
        """A cursor that blinks is bytes on the link."""
        self.cursor_blink = False

    @property
    def _value(self) -> Text:
        text = Text("".join(map(_shown, self.value)), no_wrap=True, overflow="ignore", end="")
        return self.highlighter(text) if self.highlighter is not None else text


@functools.lru_cache(1024)
def _shown(char: str) -> str:
    if " " <= char <= "~":
        return char
    safe = clean(char)
    return safe if len(safe) == 1 else "\ufffd"
