"""What a watcher does beside its loop: a daemon thread for each duty, so that one that hangs holds up itself alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mlconsole.errors import LeaseLost, MlconsoleError
from mlconsole.records import record


@record
class Duty:
    """Something done again and again: its name, what it does, and the pause after it."""

    name: str
    work: Callable[[], object]
    every_s: float


class Duties:
    """Threads that do duties until they are told to stop; none is waited for.

    Args:
        say: told once of each new trouble, and when it is over.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._stopped = threading.Event()
        self._troubles: dict[str, str] = {}
        self._began_s: dict[str, float] = {}
        self._woken: dict[str, threading.Event] = {}

    def start(self, duties: list[Duty]) -> None:
        """Begin."""
        self._woken = {duty.name: threading.Event() for duty in duties}
        for duty in duties:
            threading.Thread(target=self._loop, args=(duty,), name=f"mlconsole-{duty.name}", daemon=True).start()

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()
        for name in self._woken:
            self.wake(name)

    def wake(self, name: str) -> None:
        """Have a duty done without its pause: there is something for it now."""
        self._woken[name].set()

    def hanging(self, longer_than_s: float) -> list[str]:
        """The duties whose present round goes on for longer than that."""
        now = time.monotonic()
        return [name for name, began_s in list(self._began_s.items()) if now - began_s > longer_than_s]

    def _loop(self, duty: Duty) -> None:
        while not self._stopped.is_set():
            self._began_s[duty.name] = time.monotonic()
            try:
                duty.work()
                self._note(duty.name, "")
            except LeaseLost:
                return
            except Exception as error:  # noqa: BLE001  the top of its thread
                self._note(duty.name, words_of(error))
            self._began_s.pop(duty.name, None)
            woken = self._woken[duty.name]
            woken.wait(duty.every_s)
            woken.clear()

    def _note(self, name: str, trouble: str) -> None:
        before = self._troubles.get(name, "")
        if trouble != before and not self._stopped.is_set():
            self._troubles[name] = trouble
            self._say(f"{name}: {trouble}" if trouble else f"{name}: well again")


def words_of(error: Exception) -> str:
    """An exception in one line, without local variables, which may hold secrets."""
    return str(error) if isinstance(error, MlconsoleError) else f"{type(error).__name__}: {error}"
