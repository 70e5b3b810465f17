"""The command notifier: runs a program, the notice as JSON on its standard input."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import asdict

from mlconsole.plugin_api import ActionFailed, Notice, UsageError

__all__ = ["CommandNotifier"]

DEADLINE_S = 10.0
_running: set[int] = set()
"""Groups of processes that nobody would end when this process does."""


def _end_running() -> None:
    for group in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


atexit.register(_end_running)


class CommandNotifier:
    """Runs ``command``, a list of words that no shell sees; it has ten seconds to end with 0.

    Args:
        deadline_s: how long it may take in all.
    """

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s

    def send(self, notice: Notice, options: Mapping[str, object]) -> None:
        """Run it once."""
        words = options.get("command")
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise UsageError('The notifier needs "command", a list of words.', 'Write command = ["notify-send", "ml"].')
        told = json.dumps(asdict(notice) | {"at": notice.at.isoformat()}, default=str).encode()
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise ActionFailed(f'"{words[0]}" cannot be run: {error.strerror}.') from error
        _running.add(process.pid)
        try:
            _, said = process.communicate(told, timeout=self._deadline_s)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise ActionFailed(f'"{words[0]}" took longer than {self._deadline_s:g} s and was ended.') from error
        finally:
            _running.discard(process.pid)
        if process.returncode:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise ActionFailed(f'"{words[0]}" ended with {process.returncode}: {"".join(last)[:500]}')
