"""What is known of the hosts' GPUs: brought along by the looks at their runs while somebody wants to see them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from mlconsole.plugin_api import FarGpu, FarProcess, HostGpus, record, replace

#: They are brought along this long after somebody asked.
WANTED_S = 30.0
#: Readings younger than this are not asked for again; the far side takes them every five seconds.
FRESH_S = 6.0
WAIT_S = 3.0


@record
class Seen:
    """What a host said last, and when that came, by a clock that never jumps."""

    told: HostGpus
    at_s: float


class Gpus:
    """The last word of each host; what a host said stays when it does not answer.

    Args:
        backend: the backend's name.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._seen: dict[str, Seen] = {}
        self._wanted: dict[str, float] = {}
        self._lock = threading.Lock()

    def want(self, host: str) -> None:
        """Somebody looks at this host's GPUs."""
        self._wanted[host] = time.monotonic()

    def are_wanted(self, host: str) -> bool:
        """Whether the next look at this host's runs is to bring them."""
        return time.monotonic() - self._wanted.get(host, -WANTED_S) < WANTED_S

    def is_fresh(self, host: str) -> bool:
        """Whether there is no need to ask."""
        found = self.of(host)
        return found.reachable and found.state != "starting" and self._since(host) < FRESH_S

    def take(self, host: str, told: Mapping[str, Any] | None) -> None:
        """The host has answered; None: it has not had a look at them yet."""
        with self._lock:
            if told is not None:
                self._seen[host] = Seen(_read(self._backend, host, told), time.monotonic())
            elif host in self._seen:
                before = self._seen[host]
                self._seen[host] = replace(before, told=replace(before.told, reachable=True))

    def lose(self, host: str, why: str) -> None:
        """The host has not answered; what it said last stays."""
        with self._lock:
            before = self._seen.get(host) or Seen(HostGpus(self._backend, host), time.monotonic())
            self._seen[host] = replace(before, told=replace(before.told, reachable=False, detail=why))

    def of(self, host: str) -> HostGpus:
        """What is known now, with its age."""
        found = self._seen.get(host)
        if found is None:
            return HostGpus(self._backend, host)
        return replace(found.told, age_s=found.told.age_s + self._since(host))

    def _since(self, host: str) -> float:
        found = self._seen.get(host)
        return time.monotonic() - found.at_s if found else 0.0


def _read(backend: str, host: str, told: Mapping[str, Any]) -> HostGpus:
    return HostGpus(
        backend,
        host,
        str(told["state"]),
        str(told["detail"]),
        str(told["driver"]),
        age_s=float(told["age_s"]),
        gpus=tuple(_gpu(each) for each in told["gpus"]),
    )


def _gpu(told: Mapping[str, Any]) -> FarGpu:
    held = told["processes"]
    figures = {str(name): value if isinstance(value, float) else str(value) for name, value in told["figures"].items()}
    return FarGpu(
        int(told["index"]),
        str(told["uuid"]),
        str(told["name"]),
        figures,
        held if isinstance(held, str) else tuple(_process(each) for each in held),
    )


def _process(told: Mapping[str, Any]) -> FarProcess:
    memory, ticks = told["memory_mib"], told.get("started_ticks")
    return FarProcess(
        int(told["pid"]),
        bool(told["visible"]),
        memory if isinstance(memory, float) else None,
        int(ticks) if ticks is not None else None,
        str(told["command"]),
        str(told["user"]),
        str(told["run_id"]),
    )
