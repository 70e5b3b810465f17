"""The way to one host: idle channels that are used again, and patience with a host that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlconsole.plugin_api import BackendUnreachable
from mlconsole_ssh.channel import Channel
from mlconsole_ssh.hosts import SshSettings, command_line

Record = dict[str, Any]
CONNECT_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


class Link:
    """Channels to one host. Several threads may call at once; each gets a channel of its own.

    After a failure the next ones are answered from memory for a growing while, so that a host that is away costs
    its own jobs a wait now and then, and the other hosts' nothing.

    Args:
        settings: the backend's.
        host: the host's name.
    """

    def __init__(self, settings: SshSettings, host: str) -> None:
        self._settings, self.host = settings, host
        self._idle: list[Channel] = []
        self._lock = threading.Lock()
        self._why, self._again_at, self._pause_s = "", 0.0, FIRST_PAUSE_S
        self.hello: Record = {}

    def call(
        self, request: Mapping[str, Any], body: bytes = b"", timeout_s: float = 10.0, *, patient: bool = True
    ) -> tuple[Record, bytes]:
        """The host's reply; a patient caller does not try a host that has just not answered.

        Raises:
            BackendUnreachable: there is none, and since when or why.
        """
        if patient and time.monotonic() < self._again_at:
            raise BackendUnreachable(f'Host "{self.host}" does not answer: {self._why}.')
        try:
            channel = self._take()
            reply = channel.call(request, body, timeout_s)
        except BackendUnreachable as error:
            self._failed(error.message)
            raise BackendUnreachable(f'Host "{self.host}" does not answer: {error.message}.') from error
        with self._lock:
            self._idle.append(channel)
            self._again_at, self._pause_s = 0.0, FIRST_PAUSE_S
        return reply

    def close(self) -> None:
        """End every channel that is not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for channel in idle:
            channel.close()

    def _take(self) -> Channel:
        while self._idle:
            with self._lock, suppress(IndexError):
                channel = self._idle.pop()
                if channel.is_open():
                    return channel
                channel.close()
        try:
            argv = command_line(self._settings, self.host)
            channel = Channel(argv, self._settings.python, self._settings.root, CONNECT_S)
        except OSError as error:
            raise BackendUnreachable(f"ssh cannot be started: {error.strerror}") from error
        self.hello = channel.hello
        return channel

    def _failed(self, why: str) -> None:
        with self._lock:
            self._why, self._again_at = why, time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self.close()
