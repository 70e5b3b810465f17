"""The command notifier: runs a program, the notice as JSON on its standard input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import asdict

from mlconsole.plugin_api import ActionFailed, Notice, UsageError

__all__ = ["CommandNotifier"]

DEADLINE_S = 10.0


class CommandNotifier:
    """Runs ``command``, a list of words that no shell sees; it has ten seconds to end with 0."""

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
        try:
            _, said = process.communicate(told, timeout=DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise ActionFailed(f'"{words[0]}" took longer than {DEADLINE_S:.0f} s and was ended.') from error
        if process.returncode:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise ActionFailed(f'"{words[0]}" ended with {process.returncode}: {"".join(last)[:500]}')
