"""The watcher as a console sees it: watches itself where nobody else does, and says whether anybody does."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mlconsole.actions.context import Context
from mlconsole.domain.watching import is_fresh
from mlconsole.tui.widgets.line import Span

BEGINS_AFTER_S = 5.0


class Watching:
    """The thread that watches while no other process does, and the mark in the status line.

    Args:
        ctx: the session.
        changed: called from the thread when something has happened.
    """

    def __init__(self, ctx: Context, changed: Callable[[], None]) -> None:
        self._ctx = ctx
        self._changed = changed
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin, unless this console only reads or the settings forbid it."""
        if self._ctx.settings.watcher and not self._ctx.settings.read_only:
            threading.Thread(target=self._watch, name="mlconsole-watcher", daemon=True).start()

    def stop(self) -> None:
        """End soon; does not wait."""
        self._stop.set()

    def _watch(self) -> None:
        # A console that is opened for a glance does not begin to watch.
        if self._stop.wait(BEGINS_AFTER_S):
            return
        from mlconsole.policy.watcher import Watch  # 40 ms, in a thread of its own

        while not self._stop.is_set():
            try:
                for _ in Watch(self._ctx.beside(self._stop), "console", keeps_fresh=False).run(self._stop):
                    self._changed()
            except Exception:  # noqa: BLE001  the top of its thread; what is wrong with the catalog, other threads say
                self._stop.wait(5.0)


def mark(ctx: Context) -> Span:
    """Whether anybody watches; asked off the screen's thread."""
    lease = ctx.catalog.lease.standing()
    if is_fresh(lease, ctx.settings.host, ctx.uptime(), ctx.clock()):
        return ("● watcher  ", "good")
    return ("○ no watcher  ", "warn")
