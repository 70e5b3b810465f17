"""Keys take turns: the next one is looked at when the one before has done its work.

Textual hands a key to the widget that has the focus at once, and runs the bindings of the one before later. Keys
that come in one packet, as over a slow line or out of a paste, would then act on what the first one was to leave.
"""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events
from textual.app import App

LONGEST_S = 0.3
"""A key whose work takes longer holds up the others no more."""
ARRIVAL_S = 2.0
"""A screen that was gone to and takes longer to show its rows holds up keys no more."""


class Turns:
    """The keys of an app that wait for their turn."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._held: deque[events.Key] = deque()
        self._at_work: events.Key | None = None
        self._is_done = False

    def may_go(self, key: events.Key) -> bool:
        """True for a key whose turn it is; another one is kept until then."""
        if self._at_work is key:
            return True
        self._held.append(key)
        self._next()
        return self._at_work is key

    def begun(self, key: events.Key) -> None:
        """The app has handed the key on, or carried it out."""
        if self._at_work is key:
            asyncio.get_running_loop().create_task(self._see_through(key))

    def done(self, key: events.Key) -> None:
        """The key came back to the app and its binding was run."""
        if self._at_work is key:
            self._is_done = True

    def _next(self) -> None:
        if self._at_work is None and self._held:
            self._at_work, self._is_done = self._held.popleft(), False

    async def _see_through(self, key: events.Key) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST_S
        while loop.time() < end and not self._has_worked(key):
            await asyncio.sleep(0)
        await self._see_messages_through(end)
        end = loop.time() + ARRIVAL_S
        while loop.time() < end and not self._has_arrived:
            await asyncio.sleep(0.005)
        self._at_work = None
        self._next()
        self._send_next()

    async def _see_messages_through(self, end: float) -> None:
        """Wait for what the key made widgets post: each queue from the one with the focus up to the app's own."""
        app = self._app
        start = app.focused or (app.screen if app.screen_stack else app)
        loop = asyncio.get_running_loop()
        for node in start.ancestors_with_self:
            is_through = asyncio.Event()
            if node.call_later(is_through.set):
                try:
                    await asyncio.wait_for(is_through.wait(), max(0.0, end - loop.time()))
                except TimeoutError:
                    return

    def _send_next(self) -> None:
        if self._at_work is not None:
            self._app.post_message(self._at_work)

    @property
    def _has_arrived(self) -> bool:
        """True when the screen that a key led to can take the next one."""
        return not self._app.screen_stack or bool(getattr(self._app.screen, "is_ready", True))

    def _has_worked(self, key: events.Key) -> bool:
        was_used = self._is_done or key._stop_propagation or not key.is_forwarded
        return was_used and bool(self._app.screen_stack) and self._app.screen.is_mounted
