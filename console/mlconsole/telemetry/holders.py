"""The processes that hold memory of one GPU, and their share of its multiprocessors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from mlconsole.domain.gpu import NOT_VISIBLE, UNREAD, GpuProcess, ProcessKind, Value, known, missing
from mlconsole.telemetry.mig import Slice, Slices
from mlconsole.telemetry.nvml import Held, Nvml, Refusal
from mlconsole.telemetry.processes import Identity, ProcessTable

MIB = 1 << 20
SHARES_OVER_S = 5.0
Once = Callable[[str, Callable[[], Any]], Any]


class Holders:
    """Lists the processes on every turn, and looks closer at them on the medium ones.

    Args:
        nvml: the driver.
        once: makes a call unless what it names was refused for good before.
        table: the machine's process table.
    """

    def __init__(self, nvml: Nvml, once: Once, table: ProcessTable) -> None:
        self._nvml, self._once, self._table = nvml, once, table
        self._graphics: list[Held] = []
        self._shares: dict[int, tuple[int, int]] | Refusal | None = None
        self._shared_at_s = 0.0
        self._listed: set[int] = set()
        self._known: dict[int, Identity | None] = {}

    def look_closer(self, handle: object, now_s: float, at: datetime) -> None:
        """Read the graphics processes and everybody's share of the last seconds, and forget who they were."""
        graphics = self._once("graphics", lambda: self._nvml.processes(handle, "Graphics"))
        self._graphics = [] if isinstance(graphics, Refusal) else graphics
        since_us = round((at.timestamp() - SHARES_OVER_S) * 1e6)
        self._shares = self._once("sm shares", lambda: self._nvml.sm_shares(handle, since_us))
        self._shared_at_s = now_s
        self._listed.clear()
        self._known.clear()

    def read(self, handle: object, slices: Slices, now_s: float) -> Refusal | tuple[GpuProcess, ...]:
        """The processes now."""
        listed = self._once("processes", lambda: self._nvml.processes(handle, "Compute"))
        if isinstance(listed, Refusal):
            # Without the right to list a whole GPU in MIG mode, its instances may still be asked one by one.
            listed = self._by_slice(slices) if slices.found else listed
        if isinstance(listed, Refusal):
            return listed
        if self._shared_at_s == now_s:
            self._listed = {each.pid for each in (*listed, *self._graphics)}
        compute = {each.pid for each in listed}
        graphics = {each.pid for each in self._graphics}
        alone = [each for each in self._graphics if each.pid not in compute]
        return tuple(
            self._process(each, _kind(each.pid, compute, graphics), slices, now_s) for each in (*listed, *alone)
        )

    def _by_slice(self, slices: Slices) -> Refusal | list[Held]:
        found: list[Held] = []
        for each in slices.found:
            listed = self._of_slice(each)
            if isinstance(listed, Refusal):
                return listed
            found += [Held(held.pid, held.memory_bytes, each.instance) for held in listed]
        return found

    def _of_slice(self, each: Slice) -> Any:
        return self._once("slice processes", lambda: self._nvml.processes(each.handle, "Compute"))

    def _process(self, each: Held, kind: ProcessKind, slices: Slices, now_s: float) -> GpuProcess:
        if each.pid not in self._known:
            self._known[each.pid] = self._table.look_on_gpu(each.pid)
        who = self._known[each.pid]
        memory: Value[float] = missing("not told by the driver")
        return GpuProcess(
            each.pid,
            memory if each.memory_bytes is None else known(each.memory_bytes / MIB),
            self._share(each.pid, now_s),
            kind,
            visible=who is not None,
            started_ticks=who.started_ticks if who else None,
            user=who.user if who else "",
            command=who.command if who else NOT_VISIBLE,
            mig=slices.uuid_of(each.instance),
        )

    def _share(self, pid: int, now_s: float) -> Value[float]:
        if isinstance(self._shares, Refusal):
            return missing(self._shares.word)
        if self._shares is None or pid not in self._listed:
            return UNREAD
        # The driver names only processes that ran a kernel in the period: one that it leaves out ran none.
        return known(float(self._shares.get(pid, (0, 0))[1]), round(now_s - self._shared_at_s, 3))


def _kind(pid: int, compute: set[int], graphics: set[int]) -> ProcessKind:
    if pid in compute and pid in graphics:
        return ProcessKind.BOTH
    return ProcessKind.COMPUTE if pid in compute else ProcessKind.GRAPHICS
