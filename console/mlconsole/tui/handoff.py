"""Hands the terminal to the user's pager or editor, and takes it back as it was.

The other program has a process group of its own in the terminal's foreground: ctrl-C in a pager is the pager's, and
the console goes on living meanwhile, so that it still ends when it is told to.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from mlconsole import config
from mlconsole.render.sanitise import clean

if TYPE_CHECKING:
    from mlconsole.tui.console import Console

POLL_S = 0.03
MOST_BYTES = 1 << 20
"""No more is taken back from an editor."""


class HandOff:
    """Opens files and texts in other programs, one at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def view(self, path: Path) -> None:
        """Open a file in the user's pager."""
        self._begin([*_words(config.user_editor()[1]), str(path)])

    def edit(self, path: Path) -> None:
        """Open a file in the user's editor."""
        self._begin([*_words(config.user_editor()[0]), str(path)])

    def view_text(self, text: str) -> None:
        """Open a text in the user's pager, made safe for a terminal."""
        safe = "".join(f"{clean(line, 65_536)}\n" for line in text.splitlines())
        self._with_copy(safe, config.user_editor()[1], None)

    def edit_text(self, text: str, then: Callable[[str], None] | None = None) -> None:
        """Open a copy of a text in the user's editor; ``then`` gets what was made of it, if anything was."""
        self._with_copy(text, config.user_editor()[0], then)

    def _with_copy(self, text: str, program: str, then: Callable[[str], None] | None) -> None:
        folder = tempfile.TemporaryDirectory(prefix="mlconsole-")
        copy = Path(folder.name, "text.txt")
        copy.write_text(text, encoding="utf-8", errors="surrogateescape")

        def done() -> None:
            try:
                with copy.open(encoding="utf-8", errors="surrogateescape") as file:
                    found = file.read(MOST_BYTES)
            except OSError:
                found = text
            folder.cleanup()
            if then is not None and found != text:
                then(found)

        self._begin([*_words(program), str(copy)], done)

    def _begin(self, argv: Sequence[str], done: Callable[[], None] = lambda: None) -> None:
        console = self._console
        if console.is_away:
            return
        console.run_worker(self._run(argv, done), name="hand-off", exit_on_error=False)

    async def _run(self, argv: Sequence[str], done: Callable[[], None]) -> None:
        console = self._console
        error: Exception | None = None
        try:
            with console.away():
                try:
                    with _in_front(argv) as process:
                        await _ended(process)
                except (
                    OSError,
                    ValueError,
                ) as failure:  # Textual takes its terminal back only where nothing is raised.
                    error = failure
        except SuspendNotSupported as failure:
            error = failure
        finally:
            done()
            console.action_redraw()
        if error is not None:
            console.say(f'"{argv[0]}" could not be opened: {error}', "error")


def _words(command: str) -> list[str]:
    """The words of $PAGER or $EDITOR; a command that no shell would take is one word."""
    try:
        return shlex.split(command) or [command]
    except ValueError:
        return [command]


@contextmanager
def _in_front(argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the terminal's foreground; if it still runs at the end, it is hung up on."""
    process = subprocess.Popen(argv, process_group=0)
    try:
        _put_in_front(process.pid)
        yield process
    finally:
        if process.returncode is None:
            for number in (signal.SIGHUP, signal.SIGCONT):
                with suppress(OSError):
                    os.killpg(process.pid, number)
        _put_in_front(os.getpgrp())


def _put_in_front(group: int) -> None:
    """Make a process group the foreground of the terminal; we may be in the background while we ask for it."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with suppress(OSError):
            os.tcsetpgrp(sys.__stdin__.fileno() if sys.__stdin__ else 0, group)
    finally:
        signal.signal(signal.SIGTTOU, before)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait until a program has ended; one that was stopped, by ctrl-Z or for coming before the terminal, goes on."""
    while True:
        pid, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)
        if pid and os.WIFSTOPPED(status):
            os.killpg(process.pid, signal.SIGCONT)
        elif pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return
        await asyncio.sleep(POLL_S)
