"""Questions to what may never answer: each one on a thread of its own, its last answer kept with its age."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from mlconsole.tui.widgets.fetch import Asker

Question = Callable[[], object]
AGAIN_AFTER_S = 10.0
PATIENCE_S = 0.5
"""So long the first answer is waited for, in the reading thread; what answers at once is on the first picture."""


class Asked:
    """One question: what was answered last, and since when an answer is owed."""

    def __init__(self) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        self.answered_s: float | None = None
        self.asked_s = 0.0
        self.is_owed = False
        self.is_known = threading.Event()

    @property
    def owed_s(self) -> float:
        """For how long an answer is owed, 0 when none is."""
        return time.monotonic() - self.asked_s if self.is_owed else 0.0

    @property
    def age_s(self) -> float:
        """How old the last answer is, 0 when there is none."""
        return time.monotonic() - self.answered_s if self.answered_s is not None else 0.0


class Questions:
    """Asks each question again every ten seconds, never twice at a time, and never waits for long.

    Args:
        told: called, from a thread, when an answer came that nobody waited for.
    """

    def __init__(self, told: Callable[[], object]) -> None:
        self._told = told
        self._asked: dict[str, Asked] = {}
        self._askers: dict[str, Asker[Question, object]] = {}

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Asked]:
        """What is known of each question now; those are put on their way whose answer is old. For one thread."""
        begun = time.monotonic()
        found = {what: self._begun(what, question) for what, question in questions.items()}
        for asked in found.values():
            if asked.answered_s is None and asked.asked_s >= begun:
                asked.is_known.wait(max(0.0, begun + PATIENCE_S - time.monotonic()))
        return found

    def _begun(self, what: str, question: Question) -> Asked:
        found = self._asked.setdefault(what, Asked())
        if not found.is_owed and (found.answered_s is None or found.age_s >= AGAIN_AFTER_S):
            found.asked_s, found.is_owed = time.monotonic(), True
            if what not in self._askers:
                self._askers[what] = Asker(lambda question: question(), lambda _, got: self._answered(found, got))
            self._askers[what].ask(question)
        return found

    def stop(self) -> None:
        """Ask nothing more; does not wait."""
        for asker in self._askers.values():
            asker.stop()

    def _answered(self, asked: Asked, got: object) -> None:
        is_late = asked.is_known.is_set() or asked.owed_s > PATIENCE_S
        asked.error = got if isinstance(got, Exception) else None
        asked.value = None if isinstance(got, Exception) else got
        asked.answered_s, asked.is_owed = time.monotonic(), False
        asked.is_known.set()
        if is_late:
            self._told()
