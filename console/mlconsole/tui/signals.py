"""Ends the console cleanly on signals, before and after Textual has the terminal, and gives the terminal back."""

from __future__ import annotations

import os
import signal
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

RESTORE = (
    "\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l"
    "\x1b[<u\x1b[0m\x1b[?1049l\x1b[?25h"
)
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LAST_RESORT_S = 1.5
_found: list[Any] = []
"""How the terminal was set before the console came."""


def before_textual() -> None:
    """Until Textual runs, a signal puts the first screen back and ends the process at once."""
    for number in ENDING:
        signal.signal(number, lambda number, frame: leave(128 + number))


def keep_quiet() -> None:
    """Let the terminal hold what is typed from now on for Textual, unechoed: it would stand in the first picture."""
    try:
        _found[:] = termios.tcgetattr(sys.stdin.fileno())
        quiet = termios.tcgetattr(sys.stdin.fileno())
        quiet[0] &= ~termios.ICRNL
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, quiet)
    except termios.error:
        _found.clear()


def hand_over(driver: object) -> None:
    """Have Textual's driver put back what was found, not what :func:`keep_quiet` made of it."""
    if _found and hasattr(driver, "attrs_before"):
        driver.attrs_before = list(_found)


def give_back() -> None:
    """Set the terminal as it was found."""
    if _found:
        with suppress(termios.error, OSError):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, list(_found))


def leave(code: int) -> None:
    """Restore the terminal as far as it is still there, and end without waiting for any thread."""
    with suppress(OSError):  # The terminal may be gone, and with it whoever could be told.
        os.write(sys.stdout.fileno(), RESTORE.encode())
    give_back()
    os._exit(code)


def under_textual(end: Callable[[int], None]) -> None:
    """Call ``end`` with an exit code on a signal; if that takes too long, leave without it."""
    from asyncio import get_running_loop  # 25 ms, and loaded by now

    loop = get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, _end, end, 128 + number)


def _end(end: Callable[[int], None], code: int) -> None:
    last_resort(code)
    end(code)


def last_resort(code: int) -> None:
    """End in a moment, whatever hangs."""
    timer = threading.Timer(LAST_RESORT_S, leave, (code,))
    timer.daemon = True
    timer.start()
