"""A small app with nothing but a log.

python tests/tui/log_app.py FILE
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from mlconsole.tui.painted_app import PaintedApp
from mlconsole.tui.widgets.log import LogView
from mlconsole.tui.widgets.look import Look


class LogApp(PaintedApp[None]):
    """Fills the screen with a log; ``q`` ends."""

    CSS = "Screen { background: ansi_default; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "quit", "quit"), Binding("escape", "escape", "count")]

    def __init__(self, path: Path | None, look: Look | None = None) -> None:
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.look = look or Look()
        self.path = path
        self.copied: list[tuple[str, str]] = []
        self.escapes = 0

    def compose(self) -> ComposeResult:
        yield LogView()

    def on_mount(self) -> None:
        self.theme = "ansi-dark"
        view = self.query_one(LogView)
        view.open(self.path)
        view.focus()

    def action_escape(self) -> None:
        self.escapes += 1

    def on_log_copy_wanted(self, event: LogView.CopyWanted) -> None:
        self.copied.append((event.text, event.what))


if __name__ == "__main__":
    LogApp(Path(sys.argv[1])).run()
