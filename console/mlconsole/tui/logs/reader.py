"""The thread that reads a log: it carries out commands, watches the file grow, and hands over what is to be seen.

It is a daemon of its own: a disk that hangs for ever holds up neither the screen nor the program's end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue

from mlconsole.tui.logs.frame import Frame
from mlconsole.tui.logs.pager import Pager

LOOK_S = 0.1
QUIET_LOOK_S = 0.3
FAILED_LOOK_S = 1.0
_QUIET_AFTER_S = 5.0
_SLICE_S = 0.01
_SHOWN_EVERY_S = 0.2
Command = Callable[[Pager], None]


class Reader:
    """Reads one log on a thread of its own, which starts with the first command.

    Args:
        path: where the log is, or will be.
        tell: called in the thread with the reader when there is a new frame to :meth:`take`; once until it is taken.
        clock: seconds that only go forward.
    """

    def __init__(self, path: Path, tell: Callable[[Reader], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._tell = tell
        self._clock = clock
        self._commands: SimpleQueue[Command | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._frame: Frame | None = None
        self._is_told = False
        self._is_watching = True

    def do(self, command: Command) -> None:
        """Have a command carried out, after those before it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mlconsole-log", daemon=True)
            self._thread.start()
        self._commands.put(command)

    def watch(self, is_on: bool) -> None:
        """Watch the file grow, or let it be until somebody looks again."""
        self._is_watching = is_on
        if self._thread is not None:
            self.do(lambda pager: None)

    def stop(self) -> None:
        """Read nothing more; does not wait."""
        if self._thread is not None:
            self._commands.put(None)

    def take(self) -> Frame | None:
        """The newest frame."""
        self._is_told = False
        return self._frame

    def _run(self) -> None:
        with closing(Pager(self.path, self._clock)) as pager:
            watch = Watch(pager, self._clock)
            while (commands := self._taken(watch.rest_s(self._is_watching))) is not None:
                frame = watch.turn(commands, self._is_watching)
                if frame is not None and frame != self._frame:
                    self._hand_over(frame)

    def _hand_over(self, frame: Frame) -> None:
        self._frame = frame
        if not self._is_told:
            self._is_told = True
            self._tell(self)

    def _taken(self, rest_s: float | None) -> list[Command] | None:
        """The commands that wait, of which the first may be waited for; None at the end."""
        commands: list[Command] = []
        try:
            command = self._commands.get(timeout=rest_s)
            while command is not None:
                commands.append(command)
                command = self._commands.get_nowait()
        except Empty:
            return commands
        return None


class Watch:
    """What a reader does between two waits.

    Args:
        pager: the log.
        clock: seconds that only go forward.
    """

    def __init__(self, pager: Pager, clock: Callable[[], float]) -> None:
        self._pager = pager
        self._clock = clock
        self._look_at = self._grown_at = clock()
        self._shown_at = 0.0
        self._has_more = False
        self._is_due = False
        self._has_learnt = False

    def rest_s(self, is_watching: bool) -> float | None:
        """How long there is nothing to do; None is for ever."""
        if self._has_more:
            return 0.0
        return max(0.0, self._look_at - self._clock()) if is_watching else None

    def turn(self, commands: Sequence[Command], is_watching: bool) -> Frame | None:
        """Carry out commands, look at the file when it is time, work a little; a frame when one is due."""
        try:
            for command in commands:
                command(self._pager)
                self._pager.answer(self._clock() + _SLICE_S)
            self._is_due = self._is_due or bool(commands)
            if is_watching and self._clock() >= self._look_at:
                self._look()
            self._has_learnt = self._has_learnt or self._has_more
            self._has_more = self._pager.work(self._clock() + _SLICE_S)
            return self._frame()
        except Exception as error:  # noqa: BLE001
            self._has_more, self._look_at = False, self._clock() + FAILED_LOOK_S
            words = error.strerror if isinstance(error, OSError) else None
            return Frame(error=f'The log cannot be read: {words or error}. It is "{self._pager.path}".')

    def _look(self) -> None:
        now = self._clock()
        if self._pager.look():
            self._is_due, self._grown_at = True, now
        is_quiet = now - self._grown_at >= _QUIET_AFTER_S
        self._look_at = now + (QUIET_LOOK_S if is_quiet else LOOK_S)

    def _frame(self) -> Frame | None:
        """The frame that is due: at once when a command is carried out, now and then while there is more to learn."""
        is_answer = self._is_due and not self._pager.is_busy
        is_late = not self._has_more or self._clock() - self._shown_at >= _SHOWN_EVERY_S
        if not is_answer and not (is_late and (self._is_due or self._has_learnt)):
            return None
        self._is_due = self._has_learnt = False
        self._shown_at = self._clock()
        frame = self._pager.frame()
        self._has_more = self._has_more or self._pager.is_busy
        return frame
