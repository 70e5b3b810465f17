"""The line at the bottom where a place, a filter or a search is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from mlconsole.errors import QueryError
from mlconsole.tui.widgets.field import Field
from mlconsole.tui.widgets.line import Line

KEPT_LINES = 200
OFFERED = 40
Completer = Callable[[str], Sequence[str]]


class _Pointing(Highlighter):
    """Underlines the token that an error points at."""

    def __init__(self) -> None:
        self.span: tuple[int, int] | None = None

    def highlight(self, text: Text) -> None:
        if self.span is not None:
            text.stylize("underline bold red", *self.span)


class Prompt(Horizontal):
    """A one-line input with history, completion, and errors at their token; hidden until it is opened.

    ``lines`` are the lines typed before, each behind the character of its mode.
    """

    DEFAULT_CSS = """
    Prompt { display: none; height: 1; width: 1fr; }
    Prompt.open { display: block; }
    Prompt Line { width: 1; }
    Prompt Input { height: 1; border: none; padding: 0; background: transparent; width: 1fr; }
    Prompt Input:focus { border: none; background: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "close the line", show=False),
        Binding("up", "older", "an older line", show=False),
        Binding("down", "newer", "a newer line", show=False),
        Binding("tab", "complete", "complete the word", show=False),
    ]

    class Edited(Message):
        """The text changed while the prompt is open."""

        def __init__(self, mode: str, text: str) -> None:
            super().__init__()
            self.mode = mode
            self.text = text

    class Entered(Message):
        """Enter was pressed."""

        def __init__(self, mode: str, text: str) -> None:
            super().__init__()
            self.mode = mode
            self.text = text

    class Offered(Message):
        """Tab was pressed and several words could be meant."""

        def __init__(self, words: Sequence[str]) -> None:
            super().__init__()
            self.words = words

    class Closed(Message):
        """The prompt was left without Enter."""

        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pointing = _Pointing()
        self._field = Field(highlighter=self._pointing, select_on_focus=False)
        self._field.cursor_blink = False
        self._head = Line()
        self.mode = ":"
        self.lines: list[str] = []
        self._known: list[str] = []
        self._at = 0
        self.completer: Completer = lambda text: ()

    def compose(self) -> ComposeResult:
        """The mode's character, then the text."""
        yield self._head
        yield self._field

    @property
    def value(self) -> str:
        """What is typed."""
        return self._field.value

    def _set(self, text: str, cursor: int | None = None) -> None:
        self._field.value = text
        self._field.cursor_position = len(text) if cursor is None else cursor

    def open(self, mode: str, text: str = "") -> None:
        """Show the prompt for a mode (``:`` or ``/``) with a text to start from."""
        self.mode = mode
        self._known = [line[len(mode) :] for line in self.lines if line.startswith(mode)]
        self._at = len(self._known)
        self._pointing.span = None
        self.add_class("open")
        self._head.show([(mode, "accent")])
        self._set(text)
        # At once: the next key may be here already.
        self.display = True
        self.screen.set_focus(self._field)

    def close(self) -> None:
        """Hide the prompt."""
        self.remove_class("open")
        self.display = False

    @property
    def is_open(self) -> bool:
        """True while it is shown."""
        return self.has_class("open")

    def point_at(self, error: QueryError | None) -> None:
        """Underline the token of an error, or nothing."""
        span = (error.start, error.end) if error is not None and error.text else None
        if span != self._pointing.span:
            self._pointing.span = span
            self._field.refresh()

    def remember(self, line: str) -> None:
        """Keep a line for the up key of the same mode."""
        if line and (not self._known or self._known[-1] != line):
            self.lines.append(self.mode + line)
            del self.lines[:-KEPT_LINES]

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the screen."""
        event.stop()
        self._pointing.span = None
        if self.is_open:
            self.post_message(self.Edited(self.mode, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Tell the screen."""
        event.stop()
        self.post_message(self.Entered(self.mode, event.value))

    def on_key(self, event: events.Key) -> None:
        """Backspace on an empty line leaves it, as in k9s and vim."""
        if event.key == "backspace" and not self.value:
            event.stop()
            self.action_cancel()

    def action_cancel(self) -> None:
        """Leave without Enter."""
        self.post_message(self.Closed(self.mode))

    def action_older(self) -> None:
        """The line before in the history."""
        self._recall(self._at - 1)

    def action_newer(self) -> None:
        """The line after in the history."""
        self._recall(self._at + 1)

    def _recall(self, at: int) -> None:
        if 0 <= at <= len(self._known):
            self._at = at
            self._set(self._known[at] if at < len(self._known) else "")

    def action_complete(self) -> None:
        """Complete the word before the cursor as far as it is certain."""
        head = self.value[: self._field.cursor_position]
        word = head.rpartition(" ")[2]
        found = list(dict.fromkeys(name for name in self.completer(head) if name.startswith(word)))
        if not found:
            return
        if len(found) > 1:
            self.post_message(self.Offered(found[:OFFERED]))
        common = _common_start(found)
        ending = " " if len(found) == 1 and not common.endswith(":") else ""
        new = head[: len(head) - len(word)] + common + ending
        self._set(new + self.value[self._field.cursor_position :], len(new))


def _common_start(names: Sequence[str]) -> str:
    low, high = min(names), max(names)
    for i, char in enumerate(low):
        if i >= len(high) or char != high[i]:
            return low[:i]
    return low
