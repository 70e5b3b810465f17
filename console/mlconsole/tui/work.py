"""Work off the screen's thread: questions are answered by named daemon threads, answers come back as messages.

Each desk is one thread with a queue. A desk that hangs for ever holds up neither the screen nor the other desks, nor
the program's end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

from mlconsole.errors import MlconsoleError
from mlconsole.tui.widgets.fetch import Asker

Then = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do at a desk, and who wants the result."""

    work: Callable[[], object]
    then: Then
    otherwise: Callable[[Exception], None] | None


class Answered(Message):
    """A task is done: ``then`` is to be called with ``result`` on the screen's thread."""

    bubble = False

    def __init__(self, then: Callable[[Any], None], result: object) -> None:
        super().__init__()
        self.then = then
        self.result = result


class Desk:
    """One daemon thread that does tasks in order.

    Args:
        pump: gets the answers as messages.
        failed: told of exceptions that a task's asker did not ask for.
    """

    def __init__(self, pump: MessagePump, failed: Callable[[Exception], None]) -> None:
        self._pump = pump
        self._failed = failed
        self._asker: Asker[Task, object] = Asker(lambda task: task.work(), self._deliver)
        self._since: float | None = None
        self._pending = 0

    def do(self, work: Callable[[], object], then: Then, otherwise: Callable[[Exception], None] | None = None) -> None:
        """Have something done after what was asked before."""
        if self._pending == 0:
            self._since = time.monotonic()
        self._pending += 1
        self._asker.ask(Task(work, then, otherwise))

    @property
    def waiting_s(self) -> float:
        """How long the desk has not answered, 0 when it owes nothing."""
        return 0.0 if self._since is None or not self._pending else time.monotonic() - self._since

    def stop(self) -> None:
        """Take no more tasks; does not wait."""
        self._asker.stop()

    def _deliver(self, task: Task, result: object) -> None:
        self._pending -= 1
        self._since = time.monotonic()
        then = task.then
        if isinstance(result, Exception):
            then = task.otherwise or self._failed
        self._pump.post_message(Answered(then, result))


def words_of(error: Exception) -> str:
    """An exception in one line: ours as written, a stranger's with its type; never with local variables."""
    return str(error) if isinstance(error, MlconsoleError) else f"{type(error).__name__}: {error}"
