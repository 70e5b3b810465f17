"""The way to one host: idle channels that are used again, and patience with a host that does not answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mlconsole.plugin_api import BackendUnreachable
from mlconsole_ssh.channel import Channel
from mlconsole_ssh.hosts import SshSettings, command_line, sockets
from mlconsole_ssh.patience import Patience

Record = dict[str, Any]
CONNECT_S = 10.0
LEAST_ROOM, MOST_ROOM = 1 << 16, 4 << 20
#: A look's bytes are to take no longer than this.
LOOK_S = 2.0


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
        who = os.environ.get("HOME", ""), settings.config, settings.root, host
        self._patience = Patience(sockets(), *who)
        self.hello: Record = {}
        #: How many bytes of logs are asked for at once, so that a look over a slow line is over within some seconds.
        self.room = LEAST_ROOM

    def call(
        self, request: Mapping[str, Any], body: bytes = b"", timeout_s: float = 10.0, *, patient: bool = True
    ) -> tuple[Record, bytes]:
        """The host's reply; a patient caller does not try a host that has just not answered.

        Raises:
            BackendUnreachable: there is none, and since when or why.
        """
        why = self._patience.why_not_now() if patient else ""
        if why:
            raise BackendUnreachable(f'Host "{self.host}" does not answer: {why}.')
        try:
            channel = self._take()
            began = time.monotonic()
            reply = channel.call(request, body, timeout_s)
        except BackendUnreachable as error:
            self._patience.failed(error.message)
            self.close()
            raise BackendUnreachable(f'Host "{self.host}" does not answer: {error.message}.') from error
        with self._lock:
            self._idle.append(channel)
            self._patience.answered()
        self._measure(len(reply[1]), time.monotonic() - began)
        return reply

    def _measure(self, size: int, took_s: float) -> None:
        """Learn from an answer how fast the line is."""
        if size >= LEAST_ROOM // 2:
            self.room = min(max(int(LOOK_S * size / max(took_s, 0.001)), LEAST_ROOM), MOST_ROOM)

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
