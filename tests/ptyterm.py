"""A program on a real pseudo-terminal, its screen as a person would see it, and what it cost.

with PtyTerm([sys.executable, "-m", "mlconsole"], columns=80, lines=24) as term:
    term.wait_for("Runs")
    with term.measured() as cost:
        term.send("j")
        term.settle()
    assert cost.bytes <= 300
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyte

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "space": " ",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    **{f"ctrl+{chr(code + 96)}": chr(code) for code in range(1, 27)},
}
# Modes and questions that the emulator would print as text: the keyboard protocol and reports of modes.
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=]\d*u|\x1b\[\?\d+\$p")
_TICKS = os.sysconf("SC_CLK_TCK")


class DeadlinePassed(AssertionError):
    """The screen never showed what was waited for; the message holds what it showed."""


@dataclass
class Cost:
    """What a stretch of time cost: bytes written by the program, CPU seconds it used, seconds that passed."""

    bytes: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0


class PtyTerm:
    """A child process on a pseudo-terminal of its own.

    Args:
        argv: the program.
        columns: width of the terminal.
        lines: height of the terminal.
        env: variables added to a small fixed environment.
        cwd: where the program starts.
        deadline_s: how long any wait may take.
    """

    def __init__(
        self,
        argv: Sequence[str],
        columns: int = 80,
        lines: int = 24,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        deadline_s: float = 20.0,
    ) -> None:
        self.deadline_s = deadline_s
        self.raw = bytearray()
        self.exit_status: int | None = None
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._held = b""
        self.started = time.monotonic()
        self.pid, self.fd = _spawn(argv, columns, lines, _environment(env), cwd)

    def __enter__(self) -> PtyTerm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def text(self) -> str:
        """The screen as lines without trailing blanks."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def send(self, *keys: str) -> None:
        """Press keys: names of :data:`KEYS`, or text as it is typed."""
        for key in keys:
            os.write(self.fd, KEYS.get(key, key).encode())

    def pump(self, timeout_s: float = 0.0) -> int:
        """Read what the program wrote within ``timeout_s``; returns how many bytes, -1 at its end."""
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return 0
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return -1
        if not data:
            return -1
        self.raw += data
        self._feed(data)
        return len(data)

    def wait_for(self, text: str, deadline_s: float | None = None) -> None:
        """Read until ``text`` stands on the screen."""
        self.wait_until(lambda: text in self.text, f"{text!r} on the screen", deadline_s)

    def wait_gone(self, text: str, deadline_s: float | None = None) -> None:
        """Read until ``text`` no longer stands on the screen."""
        self.wait_until(lambda: text not in self.text, f"{text!r} gone from the screen", deadline_s)

    def wait_until(self, claim: Any, what: str, deadline_s: float | None = None) -> None:
        """Read until ``claim()`` is true."""
        end = time.monotonic() + (deadline_s or self.deadline_s)
        while not claim():
            if time.monotonic() > end:
                raise DeadlinePassed(f"waited for {what}; the screen shows:\n{self.text}")
            if self.pump(0.02) < 0 and not claim():
                raise DeadlinePassed(f"the program ended before {what}; the screen shows:\n{self.text}")

    def settle(self, quiet_s: float = 0.15) -> None:
        """Read until the program has been silent for ``quiet_s``."""
        end = time.monotonic() + self.deadline_s
        last = time.monotonic()
        while time.monotonic() - last < quiet_s:
            if time.monotonic() > end:
                raise DeadlinePassed(f"the program never fell silent; the screen shows:\n{self.text}")
            got = self.pump(quiet_s / 4)
            if got < 0:
                return
            if got:
                last = time.monotonic()

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the terminal, as its window manager would."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(self.pid, number)

    @contextmanager
    def measured(self) -> Iterator[Cost]:
        """The cost of what happens inside the block."""
        cost = Cost()
        size, cpu, wall = len(self.raw), self.cpu_s(), time.monotonic()
        yield cost
        cost.bytes, cost.cpu_s = len(self.raw) - size, self.cpu_s() - cpu
        cost.wall_s = time.monotonic() - wall

    def cpu_s(self) -> float:
        """CPU seconds that the program has used, all its threads, in the kernel and out of it.

        To the nanosecond where the kernel keeps ``schedstat``, else in ticks of a hundredth of a second.
        """
        tasks = Path(f"/proc/{self.pid}/task")
        try:
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9
        except (OSError, IndexError):
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_kib(self) -> int:
        """Resident memory of the program."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def wait_exit(self, deadline_s: float | None = None) -> int:
        """Read until the program ends; returns its exit code, negative for a signal."""
        end = time.monotonic() + (deadline_s or self.deadline_s)
        while self.exit_status is None:
            if time.monotonic() > end:
                raise DeadlinePassed(f"the program did not end; the screen shows:\n{self.text}")
            if self.pump(0.02) < 0:
                time.sleep(0.005)
            self._reap()
        while self.pump(0.02) > 0:
            pass
        return self.exit_status

    def close(self) -> None:
        """End the program if it still runs and give the terminal back."""
        if self.exit_status is None:
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self.exit_status = os.waitstatus_to_exitcode(status)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal under the program, as a lost connection does."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _reap(self) -> None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.exit_status = os.waitstatus_to_exitcode(status)

    def _feed(self, data: bytes) -> None:
        data = self._held + data
        cut = data.rfind(b"\x1b", max(0, len(data) - 16))
        whole = cut < 0 or re.match(rb"\x1b\[[0-?]*[ -/]*[@-~]", data[cut:])
        self._held = b"" if whole else data[cut:]
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data if whole else data[:cut]))


def _environment(added: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    fixed = {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**kept, **fixed, **(added or {})}


def _spawn(
    argv: Sequence[str], columns: int, lines: int, env: dict[str, str], cwd: str | Path | None
) -> tuple[int, int]:
    """Fork by way of ``os.posix_spawn``'s cousin: only exec stands between fork and the program."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for target in (0, 1, 2):
                os.dup2(slave, target)
            os.closerange(3, 256)
            if cwd is not None:
                os.chdir(cwd)
            os.execvpe(argv[0], list(argv), env)
        finally:
            os._exit(127)
    os.close(slave)
    return pid, master
