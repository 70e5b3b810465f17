"""Textual's driver on standard output, and one that takes the terminal over from the first picture."""

from __future__ import annotations

import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

ALTERNATE = "\x1b[?1049h"


class TerminalDriver(LinuxDriver):
    """Textual's driver on standard output, where it writes to standard error: ``2>/dev/null`` hides no screen."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if sys.__stdout__ is not None:
            self._file = sys.__stdout__


class TakeOverDriver(TerminalDriver):
    """A driver that does not open the alternate screen a first time: it is there, and terminals would clear it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_taken_over = False

    def write(self, data: str) -> None:
        """Write to the terminal."""
        if data == ALTERNATE and not self._is_taken_over:
            self._is_taken_over = True
            return
        super().write(data)
