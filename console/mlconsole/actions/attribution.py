"""Which run a process belongs to: by the mark that every job's processes inherit, its session's, or its ancestors'.

The supervisor of a job adopts what its program leaves behind, so the chain of parents leads to a mark even where a
process has cleared its own environment, opened a session of its own and lost its parent.
"""

from __future__ import annotations

import os

from mlconsole.records import record

JOB_MARK = b"MLCONSOLE_JOB="
RUN_MARK = b"MLCONSOLE_RUN_ID="
MOST_ANCESTORS = 64


@record
class _Stat:
    parent: int
    session: int
    started_ticks: int


class Marks:
    """Looks for marks in the process table.

    Args:
        proc: where it is mounted.
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc

    def run_of(self, pid: int, started_ticks: int | None) -> str:
        """The id of the run that a process is of; empty when it is of none, gone, or another one by now."""
        stat = self._stat(pid)
        if stat is None or started_ticks not in (None, stat.started_ticks):
            return ""
        for each in (pid, stat.session, *self._ancestors(stat.parent)):
            found = self._mark(each)
            if found:
                return found
        return ""

    def _ancestors(self, pid: int) -> list[int]:
        found: list[int] = []
        while pid > 1 and len(found) < MOST_ANCESTORS:
            found.append(pid)
            stat = self._stat(pid)
            if stat is None:
                break
            pid = stat.parent
        return found

    def _mark(self, pid: int) -> str:
        """The run that a process's own environment names; the job's mark, which programs do not set, goes first."""
        try:
            with open(f"{self._proc}/{pid}/environ", "rb") as file:
                entries = file.read().split(b"\0")
        except OSError:
            return ""
        marks = [entry.removeprefix(JOB_MARK).partition(b".")[0] for entry in entries if entry.startswith(JOB_MARK)]
        marks += [entry.removeprefix(RUN_MARK) for entry in entries if entry.startswith(RUN_MARK)]
        return next((mark.decode("utf-8", "replace") for mark in marks if mark), "")

    def _stat(self, pid: int) -> _Stat | None:
        try:
            with open(os.path.join(self._proc, str(pid), "stat"), "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            return _Stat(int(fields[1]), int(fields[3]), int(fields[19]))
        except (OSError, ValueError, IndexError):
            return None
