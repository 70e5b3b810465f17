"""Who this process is: the facts by which it can be told from any other, on any host."""

from __future__ import annotations

import os

from mlconsole.recorder.forking import importing


def identity() -> dict[str, object]:
    """Process id, start time, boot and host of this process.

    ``start_ticks`` is field 22 of ``/proc/<pid>/stat`` (proc(5): clock ticks since boot); with the boot id it
    tells this process from a later one of the same number. What a system does not tell is 0 or empty.
    """
    return {
        "pid": os.getpid(),
        "start_ticks": start_ticks("self"),
        "boot_id": read_line("/proc/sys/kernel/random/boot_id"),
        "host": os.uname().nodename,
    }


def start_ticks(pid: int | str) -> int:
    """Field 22 of a process's stat file, 0 when it cannot be read."""
    fields = read_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0


def pid_namespace() -> str:
    """The name of this process's pid namespace, empty where there is none."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def user() -> str:
    """The name of the user this process runs as."""
    with importing:
        import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return os.environ.get("USER") or f"uid{os.getuid()}"


def read_line(path: str) -> str:
    """The first line of a small file, empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
