"""This host's processors, memory and load, from /proc (proc(5))."""

from __future__ import annotations

from mlconsole.domain.gpu import UNREAD, Value, known, missing
from mlconsole.domain.host import HostReading


class HostSampler:
    """Reads the host; the CPU figure needs two looks.

    Args:
        proc: where the process table is mounted.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._before: tuple[int, int] | None = None

    def read(self) -> HostReading:
        """Look now. What cannot be read is missing, never zero."""
        used, total = self._memory()
        return HostReading(self._cpu(), used, total, self._load())

    def _cpu(self) -> Value[float]:
        try:
            ticks = [int(word) for word in self._read("stat").split(b"\n", 1)[0].split()[1:9]]
            idle, total = ticks[3] + ticks[4], sum(ticks)
        except (OSError, ValueError, IndexError):
            return missing("cannot be read")
        before, self._before = self._before, (idle, total)
        if before is None:
            return UNREAD
        spent = total - before[1]
        if spent <= 0:
            return missing("no time has passed")
        return known(min(100.0, max(0.0, 100.0 * (1 - (idle - before[0]) / spent))))

    def _memory(self) -> tuple[Value[float], Value[float]]:
        try:
            lines = self._read("meminfo").decode().splitlines()
            kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
            total, available = kib["MemTotal"] / 1024, kib["MemAvailable"] / 1024
        except (OSError, ValueError, IndexError, KeyError):
            return missing("cannot be read"), missing("cannot be read")
        return known(total - available), known(total)

    def _load(self) -> Value[float]:
        try:
            return known(float(self._read("loadavg").split()[0]))
        except (OSError, ValueError, IndexError):
            return missing("cannot be read")

    def _read(self, name: str) -> bytes:
        with open(f"{self._proc}/{name}", "rb") as file:
            return file.read()
