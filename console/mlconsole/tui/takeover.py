"""Takes the terminal over from the first picture: it is on the alternate screen already, and stays as it is."""

from __future__ import annotations

from typing import Any

from textual.drivers.linux_driver import LinuxDriver

ALTERNATE = "\x1b[?1049h"


class TakeOverDriver(LinuxDriver):
    """Textual's driver, which does not open the alternate screen a first time: terminals would clear it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_taken_over = False

    def write(self, data: str) -> None:
        """Write to the terminal."""
        if data == ALTERNATE and not self._is_taken_over:
            self._is_taken_over = True
            return
        super().write(data)
