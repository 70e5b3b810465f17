"""Looks at this machine's GPUs while a screen wants them, on a daemon thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from textual.message import Message
from textual.message_pump import MessagePump

from mlconsole.actions.context import Context
from mlconsole.tui.work import words_of

if TYPE_CHECKING:
    from mlconsole.domain.gpu_rows import GpuReport, GpuRow

INTERVAL_S = 1.0
PATIENCE_S = 2.0
"""So long a first look may take until it is shown as far as it has come."""
KEPT, AT_ONCE = 120, 5
"""So many loads are kept, and the oldest go together: what is drawn of several as one stays as it is."""


class GpusSeen(Message):
    """There was another look at the GPUs."""

    bubble = False


class GpuFeed:
    """The last look, and the thread that takes them; a driver that hangs holds up nobody else.

    Args:
        pump: told with :class:`GpusSeen`.
        ctx: the session.
    """

    def __init__(self, pump: MessagePump, ctx: Context) -> None:
        self._pump = pump
        self._ctx = ctx.beside(threading.Event())
        self._thread: threading.Thread | None = None
        self.report: GpuReport | None = None
        self.past: dict[str, deque[float]] = {}
        self.error = ""

    @property
    def has_looked(self) -> bool:
        """True when nobody wanted a look yet, or there was one."""
        return self._thread is None or self.report is not None or bool(self.error)

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="mlconsole-gpus", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End soon; does not wait."""
        self._ctx.cancelled.set()

    def _look(self) -> None:
        from mlconsole.actions.gpu import watch  # 40 ms, once a screen shows GPUs

        try:
            for report in watch(self._ctx, INTERVAL_S, has_far=True, patience_s=PATIENCE_S):
                self.report = report
                self._remember(report)
                self._tell()
        except Exception as error:  # noqa: BLE001  the top of its thread
            self.error = words_of(error)
            self._tell()

    def _remember(self, report: GpuReport) -> None:
        """Keep the last few loads of each GPU, for a line that shows how it went."""
        for row in report.all_rows:
            use = None if row.away else row.reading.utilization_percent.value
            kept = self.past.setdefault(row.reading.key, deque())
            kept.append(float("nan") if use is None else use)
            if len(kept) > KEPT:
                for _ in range(AT_ONCE):
                    kept.popleft()

    def row(self, word: str) -> GpuRow | None:
        """The last look at the GPU of that uuid or index; the first one for an empty word."""
        rows = self.report.all_rows if self.report is not None else ()
        found = [row for row in rows if not word or row.reading.key == word or str(row.reading.index) == word]
        return found[0] if found else None

    def _tell(self) -> None:
        if not self._ctx.cancelled.is_set():
            self._pump.post_message(GpusSeen())
