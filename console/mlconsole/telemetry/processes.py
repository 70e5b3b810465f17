"""Who a pid is: owner, command, start time and CPU seconds, as far as this machine's process table tells."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable

from mlconsole.records import record

#: The inode of the first pid namespace (Linux, include/linux/proc_ns.h, PROC_PID_INIT_INO).
FIRST_NAMESPACE = 0xEFFFFFFC
GPU_FILES = ("/dev/nvidia", "/dev/dxg")


@record
class Identity:
    """One process: ``(pid, started_ticks)`` names it for as long as the machine is up.

    ``cpu_s`` counts the processor time of the process and of every child that it has waited for.
    """

    pid: int
    parent: int
    started_ticks: int
    user: str
    command: str
    cpu_s: float


class ProcessTable:
    """Looks processes up by their pid.

    In the first pid namespace a pid of the driver's is a pid of ours. In a container it need not be: there a process
    counts as seen only when it has the GPU's device files open.

    Args:
        proc: where the process table is mounted.
        is_first_namespace: None finds out.
    """

    def __init__(self, proc: str = "/proc", is_first_namespace: bool | None = None) -> None:
        self._proc = proc
        self._is_first = _is_first(proc) if is_first_namespace is None else is_first_namespace
        self._users: dict[int, str] = {}
        self._with_gpu: dict[tuple[int, int], bool] = {}

    def look(self, pid: int) -> Identity | None:
        """The process, or None when there is none of that pid to be seen from here."""
        folder = f"{self._proc}/{pid}"
        try:
            with open(f"{folder}/stat", "rb") as file:
                stat = file.read()
            uid = os.stat(folder).st_uid
        except OSError:
            return None
        return _identity(pid, stat, self._user(uid))

    def look_on_gpu(self, pid: int) -> Identity | None:
        """The process behind a pid that the driver named, or None when it is not certain that it is one of ours."""
        found = self.look(pid)
        if found is None or self._is_first:
            return found
        key = (pid, found.started_ticks)
        if key not in self._with_gpu:
            self._with_gpu[key] = self._has_gpu_open(pid)
        return found if self._with_gpu[key] else None

    def family(self, pids: Iterable[int]) -> list[Identity]:
        """These processes and all below them, as far as they can be seen; one pass over the whole table."""
        below: dict[int, list[Identity]] = {}
        by_pid: dict[int, Identity] = {}
        for name in filter(str.isdigit, os.listdir(self._proc)):
            found = self.look(int(name))
            if found is not None:
                by_pid[found.pid] = found
                below.setdefault(found.parent, []).append(found)
        members: dict[int, Identity] = {}
        waiting = [by_pid[pid] for pid in pids if pid in by_pid]
        while waiting:
            each = waiting.pop()
            if each.pid not in members:
                members[each.pid] = each
                waiting += below.get(each.pid, [])
        return list(members.values())

    def _has_gpu_open(self, pid: int) -> bool:
        folder = f"{self._proc}/{pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            return False
        return any(_target(f"{folder}/{name}").startswith(GPU_FILES) for name in names)

    def _user(self, uid: int) -> str:
        if uid not in self._users:
            try:
                self._users[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                self._users[uid] = f"uid{uid}"
        return self._users[uid]


def _is_first(proc: str) -> bool:
    try:
        return os.stat(f"{proc}/self/ns/pid").st_ino == FIRST_NAMESPACE
    except OSError:
        return False


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _identity(pid: int, stat: bytes, user: str) -> Identity | None:
    # The command stands in parentheses and may itself hold any byte, parentheses and spaces included.
    start, end = stat.find(b"("), stat.rfind(b")")
    rest = stat[end + 2 :].split()
    if start < 0 or end < start or len(rest) < 20:
        return None
    cpu_s = sum(int(ticks) for ticks in rest[11:15]) / os.sysconf("SC_CLK_TCK")
    return Identity(pid, int(rest[1]), int(rest[19]), user, stat[start + 1 : end].decode("utf-8", "replace"), cpu_s)
