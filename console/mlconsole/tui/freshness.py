"""Keeps the catalog fresh while a console is open, and knows how fresh it is.

Two daemon threads: one ingests run logs, one looks at live jobs. A backend that hangs holds up its own thread only;
the age of the last look is then shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from textual.message import Message
from textual.message_pump import MessagePump

from mlconsole.actions.context import Context
from mlconsole.actions.sync import ingest, observe_live
from mlconsole.tui.watching import Watching, mark
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.work import words_of

BEGINS_AFTER_S = 0.25
"""The first key goes before the first look, which takes 30 to 100 ms of processor time."""
INGEST_S = 1.0
OBSERVE_S = 1.5
STALE_S = 10.0
LIVE = ("running", "starting", "submitting", "queued", "stopping")
BAD = ("failed", "oom", "timed_out", "node_lost", "never_started")


class Changed(Message):
    """Something in the catalog may have changed."""

    bubble = False


class Freshness:
    """The threads, and what they last saw.

    Args:
        pump: told with :class:`Changed`.
        ctx: the session.
    """

    def __init__(self, pump: MessagePump, ctx: Context) -> None:
        self._pump = pump
        self._ctx = ctx
        self._stop = threading.Event()
        self._seen_at: dict[str, float] = {}
        self._errors: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._version: int | None = None
        self._watcher: Span | None = None
        self._firing = 0
        self._proposed = 0
        self._watching = Watching(ctx, self._told)

    def start(self) -> None:
        """Begin."""
        self._watching.start()
        for name, work, pause_s in (("logs", self._ingest, INGEST_S), ("jobs", self._observe, OBSERVE_S)):
            self._seen_at[name] = time.monotonic()
            args = (name, work, pause_s)
            threading.Thread(target=self._loop, args=args, name=f"mlconsole-{name}", daemon=True).start()

    def stop(self) -> None:
        """End soon; does not wait."""
        self._stop.set()
        self._watching.stop()

    def _told(self) -> None:
        if not self._stop.is_set():
            self._pump.post_message(Changed())

    def _loop(self, name: str, work: Callable[[], bool], pause_s: float) -> None:
        self._stop.wait(BEGINS_AFTER_S)
        while not self._stop.is_set():
            try:
                changed = work()
                changed |= self._errors.pop(name, None) is not None
                self._seen_at[name] = time.monotonic()
            except Exception as error:  # noqa: BLE001  the top of its thread
                changed = self._errors.get(name) != words_of(error)
                self._errors[name] = words_of(error)
            if changed and not self._stop.is_set():
                self._pump.post_message(Changed())
            self._stop.wait(pause_s)

    def _ingest(self) -> bool:
        changed = False if self._ctx.settings.read_only else ingest(self._ctx)
        version = self._ctx.catalog.store.changes_by_others()
        watcher, self._watcher = self._watcher, mark(self._ctx)
        changed |= watcher != self._watcher
        if not changed and version == self._version:
            return False  # Counting a million runs again would cost a fiftieth of a core.
        self._version = version
        before = (self._firing, self._proposed)
        self._firing = sum(self._ctx.catalog.alerts.counts().values())
        self._proposed = self._ctx.catalog.firings.proposed()
        return self._count() or changed or before != (self._firing, self._proposed)

    def _count(self) -> bool:
        counts = self._ctx.catalog.runs.counts()
        self._ctx.catalog.store.let_go_of_memory()
        changed = counts != self._counts
        self._counts = counts
        return changed

    def _observe(self) -> bool:
        return False if self._ctx.settings.read_only else observe_live(self._ctx)

    @property
    def live(self) -> int:
        """How many runs have not ended."""
        return sum(self._counts.get(word, 0) for word in LIVE)

    def spans(self, *, is_short: bool = False) -> list[Span]:
        """What the status line says: what could not be seen, what fires, who watches, how much is live, what failed.

        Args:
            is_short: of what is counted only glyph and figure; for narrow screens.
        """
        out: list[Span] = []
        for name, seen in self._seen_at.items():
            age = time.monotonic() - seen
            if name in self._errors:
                out.append((f"{name}: {self._errors[name]}  ", "error"))
            elif age > STALE_S:
                out.append((f"{name}: last seen {int(age)}s ago  ", "warn"))
        if self._firing:
            out.append((f"▲ {self._firing} firing  ", "state.bad"))
        if self._proposed:
            out.append((f"? {self._proposed}{'' if is_short else ' to decide'}  ", "warn"))
        if self._watcher is not None:
            out.append(self._watcher)
        if self._version is None:
            return out
        waiting = self._counts.get("queued", 0)
        live = self.live - waiting
        bad = sum(self._counts.get(word, 0) for word in BAD)
        out.append((f"● {live}{'' if is_short else ' running'}", "state.running" if live else "dim"))
        if waiting:
            out.append((f"  ◌ {waiting}{'' if is_short else ' waiting'}", "state.waiting"))
        out.append((f"  ✖ {bad}{'' if is_short else ' failed'}", "state.bad" if bad else "dim"))
        return out
