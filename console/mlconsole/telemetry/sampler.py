"""Live GPU readings from a child process that may be abandoned at any moment; nothing here waits for the driver."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from mlconsole.domain.gpu import DriverState, GpuSnapshot
from mlconsole.records import record
from mlconsole.telemetry.board import Board
from mlconsole.telemetry.hangs import Hangs
from mlconsole.telemetry.marker import Marker

MOST_ABANDONED = 2
TICK = b'{"kind":"tick"'


class GpuSource(Protocol):
    """Where a screen or a command gets GPU readings from: live, replayed or simulated."""

    def latest(self) -> GpuSnapshot:
        """What is known now; returns at once."""
        ...

    def stop(self) -> None:
        """Give back what it holds."""
        ...


@record
class Timing:
    """How often GPUs are read and how long a silence may last.

    ``medium_s`` and ``slow_s``: temperatures, clocks and shares of processes are read less often, limits, errors and
    MIG instances least. ``first_turn_s`` is for each GPU: the first look at it may have to wake it, for seconds.
    ``avoid_s``: how long a GPU on which a call hung is left alone before it is tried again.
    """

    interval_s: float = 1.0
    medium_s: float = 5.0
    slow_s: float = 60.0
    first_turn_s: float = 8.0
    turn_s: float = 6.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    healthy_s: float = 60.0
    avoid_s: float = 300.0


def child_command(host: str, timing: Timing) -> list[str]:
    """The command line of the sampler's child process. ``-P``: nothing of the current directory runs."""
    slowest_s = max(timing.first_turn_s, timing.turn_s)
    return [
        *(sys.executable, "-P", "-m", "mlconsole.telemetry.child", f"--host={host}"),
        *("--interval-s", str(timing.interval_s), "--medium-s", str(timing.medium_s)),
        *("--slow-s", str(timing.slow_s), "--give-up-s", str(int(2 * slowest_s) + 1)),
    ]


class Sampler:
    """Reads this host's GPUs from a background thread and a child process.

    A child that is silent for too long is killed and left to its fate, and another is started after a pause that grows
    with every failure; the GPU on which it hung is left out for a while, so that the others go on being read.

    Args:
        host: the name of this host.
        timing: intervals and deadlines.
        command: the child's command line; None is the usual one.
        hangs: where GPUs on which a call hung are remembered for who looks next.
    """

    def __init__(
        self,
        host: str,
        timing: Timing | None = None,
        command: Sequence[str] | None = None,
        hangs: Hangs | None = None,
    ) -> None:
        self._hangs = hangs
        self._timing = timing or Timing()
        self._command = list(command or child_command(host, self._timing))
        self._board = Board(host)
        self._guard = threading.Condition()
        self._is_stopped = False
        self._avoid: dict[int, float] = {}
        self._abandoned: list[subprocess.Popen[bytes]] = []
        self._pause_s = self._timing.first_pause_s
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._work, name="gpu-sampler", daemon=True)

    def start(self) -> Sampler:
        """Begin; returns at once."""
        self._thread.start()
        return self

    def latest(self) -> GpuSnapshot:
        """The last good readings, with their ages and the state of the driver in words; returns at once."""
        with self._guard:
            return self._board.snapshot(time.monotonic())

    def wait(self, timeout_s: float) -> GpuSnapshot:
        """The first complete look, or the reason why there is none; at the latest after ``timeout_s``.

        One GPU that hangs is no such reason: the look is complete once the others were read without it.
        """
        with self._guard:
            self._guard.wait_for(self._is_settled, timeout_s)
            return self._board.snapshot(time.monotonic())

    def stop(self) -> None:
        """End the child and the thread; returns at once even when the child hangs."""
        with self._guard:
            if self._is_stopped:
                return
            self._is_stopped = True
            self._board.say(DriverState.STOPPED)
        os.close(self._wake_write)
        if self._thread.ident is not None:
            self._thread.join(1.0)
        else:
            os.close(self._wake_read)

    def _is_settled(self) -> bool:
        state = self._board.state
        goes_on = state is DriverState.STARTING or (state is DriverState.HUNG and bool(self._avoid))
        return self._board.is_complete or not goes_on

    def _work(self) -> None:
        while not self._is_stopped:
            self._abandoned = [child for child in self._abandoned if child.poll() is None]
            if len(self._abandoned) >= MOST_ABANDONED:
                self._say(DriverState.HUNG, f"{len(self._abandoned)} samplers hang in the kernel and cannot be ended")
            elif self._run_child() is Ending.REPLACED:
                continue
            self._rest()
        os.close(self._wake_read)

    def _run_child(self) -> Ending:
        began_s = time.monotonic()
        self._avoid = {index: until for index, until in self._avoid.items() if until > began_s}
        self._board.begin()
        self._recall(began_s)
        marker = Marker.made()
        try:
            return self._heard(self._spawn(marker), marker, began_s)
        finally:
            if marker is not None:
                marker.close()

    def _heard(self, child: subprocess.Popen[bytes] | None, marker: Marker | None, began_s: float) -> Ending:
        if child is None:
            return Ending.ENDED
        listener = Listener(child, self._timing, self._take, self._wake_read)
        ending = listener.listen(min(self._avoid.values(), default=float("inf")))
        if ending is Ending.SILENT:
            self._give_up(self._board.hangs_on() if marker is None else marker.index)
        elif ending is Ending.ENDED:
            self._note_end(child)
        self._end(child)
        if time.monotonic() - began_s > self._timing.healthy_s:
            self._pause_s = self._timing.first_pause_s
        return ending

    def _recall(self, now_s: float) -> None:
        """Leave alone on which GPUs somebody else's call has hung lately."""
        for hang in self._hangs.within(self._timing.avoid_s) if self._hangs else ():
            hung_at_s = now_s - hang.age_s
            self._board.recall(hang.index, hang.uuid, hang.name, hung_at_s)
            self._avoid.setdefault(hang.index, hung_at_s + self._timing.avoid_s)

    def _spawn(self, marker: Marker | None) -> subprocess.Popen[bytes] | None:
        shared = () if marker is None else (marker.descriptor,)
        marked = [f"--marker={descriptor}" for descriptor in shared]
        avoided = [word for index in sorted(self._avoid) for word in ("--avoid", str(index))]
        try:
            return subprocess.Popen(
                [*self._command, *marked, *avoided],
                pass_fds=shared,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._say(DriverState.FAILED, f"the sampler could not be started: {error.strerror}")
            return None

    def _take(self, line: bytes) -> None:
        with self._guard:
            if not self._is_stopped:
                self._board.take(line, time.monotonic())
                self._guard.notify_all()

    def _give_up(self, index: int | None) -> None:
        """Say what hangs, the driver as a whole or one GPU, which is left alone for a while."""
        if index is None:
            self._say(DriverState.HUNG, "a call for the driver as a whole hangs")
            return
        self._avoid[index] = time.monotonic() + self._timing.avoid_s
        if self._hangs is not None:
            self._hangs.note(index, *self._board.found(index))
        self._say(DriverState.HUNG, f"a call for GPU {index} hangs")

    def _note_end(self, child: subprocess.Popen[bytes]) -> None:
        try:
            status = child.wait(1.0)
        except subprocess.TimeoutExpired:
            return
        if not self._board.has_spoken_last:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            self._say(DriverState.FAILED, f"the sampler {how}")

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        try:
            child.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            self._abandoned.append(child)

    def _rest(self) -> None:
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, self._timing.longest_pause_s)
        _readable(pause_s, self._wake_read)

    def _say(self, state: DriverState, detail: str) -> None:
        with self._guard:
            if not self._is_stopped:
                self._board.say(state, detail)
                self._guard.notify_all()


class Ending(Enum):
    """Why nobody listens to a child any more."""

    ENDED = "it ended"
    SILENT = "it was silent for too long"
    REPLACED = "another takes its place"
    UNWANTED = "the sampler was stopped"


class Listener:
    """Reads one child's lines.

    Args:
        child: the child.
        timing: how long it may be silent.
        take: gets every line.
        wake: a descriptor that becomes readable when the lines are not wanted any more.
    """

    def __init__(
        self, child: subprocess.Popen[bytes], timing: Timing, take: Callable[[bytes], None], wake: int
    ) -> None:
        assert child.stdout is not None
        self._output, self._timing, self._take, self._wake = child.stdout.fileno(), timing, take, wake
        self._patience_s = timing.first_turn_s

    def listen(self, until_s: float) -> Ending:
        """Listen until the child ends, is silent for too long, or its time is over."""
        buffer = b""
        heard_s = time.monotonic()
        while True:
            deadline_s = min(heard_s + self._patience_s, until_s)
            left_s = max(0.0, deadline_s - time.monotonic())
            ready = _readable(left_s, self._output, self._wake)
            if self._wake in ready:
                return Ending.UNWANTED
            if not ready:
                return Ending.REPLACED if deadline_s == until_s else Ending.SILENT
            data = os.read(self._output, 1 << 16)
            if not data:
                return Ending.ENDED
            heard_s = time.monotonic()
            *lines, buffer = (buffer + data).split(b"\n")
            self._hear(lines)

    def _hear(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._take(line)
            if line.startswith(TICK):
                self._patience_s = self._timing.turn_s + self._timing.interval_s


def _readable(within_s: float, *descriptors: int) -> set[int]:
    """Those that can be read or are at their end; none after so long. ``select`` knows none above 1023."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(within_s * 1000)}
