"""What a table has asked its source and still waits for: one question at a time, none twice, none for an old source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mlconsole.tui.widgets.fetch import Ask, Asker, Page, Request, answer
from mlconsole.tui.widgets.rows import RowSource, Stoppable

_REREADS = (Ask.START, Ask.END, Ask.AROUND)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer, or the exception in its place, and the source's number in the order of sources."""

    generation: int
    request: Request
    answer: Page | Exception


class Feed:
    """Questions to the present source.

    Args:
        deliver: takes each answer; called in the asking thread.
    """

    def __init__(self, deliver: Callable[[Delivery], None]) -> None:
        self._deliver = deliver
        self._generation = 0
        self._busy: Request | None = None
        self._queue: list[Request] = []
        self._asker: Asker[Request, Page] | None = None
        self._source: object = None

    @property
    def is_idle(self) -> bool:
        """True when no answer is awaited."""
        return self._busy is None

    def waits_for(self, *asks: Ask) -> bool:
        """True when an answer of one of these kinds is awaited."""
        return any(request.ask in asks for request in (self._busy, *self._queue) if request is not None)

    def turn_to(self, source: RowSource) -> None:
        """Ask another source from now on; answers of the old one will not be taken, even if it never gives them."""
        self.stop()
        self._source = source
        self._generation += 1
        self._busy, self._queue = None, []
        generation, deliver = self._generation, self._deliver

        def handed_on(request: Request, result: Page | Exception) -> None:
            deliver(Delivery(generation, request, result))

        self._asker = Asker(partial(answer, source), handed_on)

    def ask(self, request: Request) -> None:
        """Ask as soon as the answer before has come; a reread of the list takes the place of all that waits."""
        if request.ask in _REREADS:
            self._queue = []
        self._queue = [waiting for waiting in self._queue if waiting.ask is not request.ask]
        if self._busy is None or self._busy.ask is not request.ask or request.ask in (*_REREADS, Ask.TALLY):
            self._queue.append(request)
        self._next()

    def takes(self, delivery: Delivery) -> bool:
        """Whether an answer is of the present source; the next question goes out."""
        if delivery.generation != self._generation:
            return False
        self._busy = None
        self._next()
        return True

    def stop(self) -> None:
        """Ask nothing more; a source that can gives up what it is busy with, whose answer nobody waits for."""
        if self._asker is not None:
            self._asker.stop()
        if self._busy is not None and isinstance(self._source, Stoppable):
            self._source.stop()

    def _next(self) -> None:
        if self._busy is None and self._queue and self._asker is not None:
            self._busy = self._queue.pop(0)
            self._asker.ask(self._busy)
