"""Markers of run logs that are being written, and whether their writers are still alive."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

NO_MARKER = "its log was found without a marker"


class Marker(NamedTuple):
    """One writer of one run. A process is (boot id, pid, start ticks); ``pid_ns`` says where that pid counts."""

    path: Path
    run: str
    writer: str
    pid: int
    start_ticks: int
    boot_id: str
    host: str
    pid_ns: str


def read_markers(live: Path) -> list[Marker]:
    """Every marker in the folder, in the order in which their logs began: runs are numbered as they are met.

    One that cannot be read (yet) is left for the next time.
    """
    try:
        names = sorted((_written_at(entry), entry.name) for entry in os.scandir(live) if entry.name.endswith(".json"))
    except FileNotFoundError:
        return []
    return [marker for _, name in names if (marker := _read(live / name))]


def _written_at(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def _read(path: Path) -> Marker | None:
    try:
        with open(path, "rb", buffering=0) as file:
            data = json.loads(file.read())
        run, writer = str(data["run"]), str(data["writer"])
        if not (is_plain_name(run) and is_plain_name(writer)):
            return None
        return Marker(
            path,
            run,
            writer,
            int(data["pid"]),
            int(data["start_ticks"]),
            str(data["boot_id"]),
            str(data["host"]),
            str(data["pid_ns"]),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def is_plain_name(name: str) -> bool:
    """True for a file name that stays in its folder, whoever wrote it."""
    return name not in ("", ".", "..") and not name.startswith(".") and name.isprintable() and "/" not in name


class Liveness:
    """Tells whether a marker's process is gone for certain.

    Args:
        proc: where the process table is mounted.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._host = os.uname().nodename
        self._boot_id = self._text("sys/kernel/random/boot_id")
        self._pid_ns = self._link("self/ns/pid")

    def why_gone(self, marker: Marker) -> str | None:
        """The evidence that the writer's process is gone, or None when it lives or that cannot be known from here."""
        if marker.host != self._host or not self._boot_id:
            return None
        if marker.boot_id != self._boot_id:
            return "the machine restarted while it ran"
        if marker.pid_ns != self._pid_ns:
            return None
        return None if self._is_alive(marker) else f"process {marker.pid} is gone and left no end record"

    def _is_alive(self, marker: Marker) -> bool:
        stat = self._text(f"{marker.pid}/stat")
        if not stat:
            return False
        fields = stat.rpartition(")")[2].split()
        return fields[0] not in "ZX" and int(fields[19]) == marker.start_ticks

    def _text(self, name: str) -> str:
        try:
            with open(f"{self._proc}/{name}", "rb", buffering=0) as file:
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _link(self, name: str) -> str:
        try:
            return os.readlink(self._proc / name)
        except OSError:
            return ""
