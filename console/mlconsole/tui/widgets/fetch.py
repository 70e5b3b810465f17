"""Asking a row source off the screen's thread: what can be asked, the answer to each, and the thread that asks.

The thread is a daemon of its own, not one of asyncio's pool: a source that hangs for ever holds up neither the
screen nor the program's end, and a catalog connection stays on the thread that opened it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from queue import SimpleQueue
from typing import Generic, TypeVar

from mlconsole.tui.widgets.rows import Direction, Row, RowSource

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Ask(Enum):
    """What a table asks for."""

    START = "start"
    END = "end"
    AROUND = "around"
    AFTER = "after"
    BEFORE = "before"
    UPDATE = "update"
    TALLY = "tally"


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a source.

    ``keys`` are, for AROUND, the rows to stand on in order of liking; for AFTER and BEFORE, the row at the edge; for
    UPDATE, the rows to read again; for TALLY, the row to locate, if any.
    """

    ask: Ask
    keys: tuple[str, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: rows in order, the index to stand on, whether the list starts or ends with them.

    ``is_lost`` when the row at the edge was no longer where it stood, and the list must be read anew. ``total`` and
    ``rank`` answer TALLY.
    """

    request: Request
    rows: tuple[Row, ...] = ()
    cursor: int = 0
    is_start: bool = False
    is_end: bool = False
    is_lost: bool = False
    total: int | None = None
    rank: int | None = None


def answer(source: RowSource, request: Request) -> Page:
    """Ask the source, in the calling thread."""
    if request.ask is Ask.AROUND:
        return _around(source, request)
    if request.ask is Ask.UPDATE:
        return Page(request, tuple(source.rows(request.keys)))
    if request.ask is Ask.TALLY:
        rank = source.locate(request.keys[0]) if request.keys else None
        return Page(request, total=source.count(), rank=rank)
    if request.ask is Ask.END:
        rows = tuple(source.page(None, Direction.BACKWARD, request.limit))
        return Page(request, rows, len(rows) - 1, is_start=len(rows) < request.limit, is_end=True)
    if request.ask is Ask.START:
        return _start(source, request)
    try:
        return _edge(source, request)
    except LookupError:
        return Page(request, is_lost=True)


def _start(source: RowSource, request: Request) -> Page:
    rows = tuple(source.page(None, Direction.FORWARD, request.limit))
    return Page(request, rows, is_start=True, is_end=len(rows) < request.limit)


def _edge(source: RowSource, request: Request) -> Page:
    edge = request.keys[0]
    if request.ask is Ask.BEFORE:
        rows = tuple(source.page(edge, Direction.BACKWARD, request.limit))
        return Page(request, rows, is_start=len(rows) < request.limit)
    rows = tuple(source.page(edge, Direction.FORWARD, request.limit + 1))
    if not rows or rows[0].key != edge:
        return Page(request, is_lost=True)
    return Page(request, rows[1:], is_end=len(rows) <= request.limit)


def _around(source: RowSource, request: Request) -> Page:
    """Rows on both sides of the first liked row that is still in the list, or the list's start."""
    for key in request.keys:
        try:
            after = tuple(source.page(key, Direction.FORWARD, request.limit))
        except LookupError:
            continue
        if after and after[0].key == key:
            before = tuple(source.page(key, Direction.BACKWARD, request.limit))
            is_start, is_end = len(before) < request.limit, len(after) < request.limit
            return Page(request, before + after, len(before), is_start=is_start, is_end=is_end)
    return _start(source, request)


class Asker(Generic[Question, Answer]):
    """A daemon thread that answers questions in order.

    Args:
        answer: called in the thread.
        deliver: given each answer, or the exception that the question ended in; called in the thread.
    """

    def __init__(
        self, answer: Callable[[Question], Answer], deliver: Callable[[Question, Answer | Exception], None]
    ) -> None:
        self._answer = answer
        self._deliver = deliver
        self._questions: SimpleQueue[Question | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, question: Question) -> None:
        """Have a question answered after those before it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mlconsole-asker", daemon=True)
            self._thread.start()
        self._questions.put(question)

    def stop(self) -> None:
        """Answer nothing more; does not wait for what is being answered."""
        self._questions.put(None)

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            result: Answer | Exception
            try:
                result = self._answer(question)
            except Exception as error:  # noqa: BLE001
                result = error
            self._deliver(question, result)


def neighbours(rows: Sequence[Row], index: int, limit: int = 24) -> tuple[str, ...]:
    """Keys of the row at ``index`` and of those around it, the nearest first, later rows before earlier ones."""
    near = [index]
    for step in range(1, limit // 2):
        near += [index + step, index - step]
    return tuple(rows[at].key for at in near if 0 <= at < len(rows))
