"""How much processor time the holders of a GPU spend, their children included."""

from __future__ import annotations

from collections.abc import Collection

from mlconsole.domain.gpu import NOT_VISIBLE, UNREAD, Value, known, missing
from mlconsole.telemetry.processes import ProcessTable

Spent = dict[tuple[int, int], float]


class CpuMeter:
    """Compares what processes have spent between one look and the next.

    A child that ends between two looks is counted through its parent, and so for once twice: a figure that decides
    whether something is idle had better be too high than too low.

    Args:
        table: the machine's process table.
    """

    def __init__(self, table: ProcessTable) -> None:
        self._table = table
        self._before: dict[str, tuple[float, Spent]] = {}

    def percent(self, key: str, pids: Collection[int], now_s: float) -> Value[float]:
        """What these processes and all below them have spent since the last look under this key; 100 is one core.

        Args:
            key: what the processes belong to.
            pids: the processes.
            now_s: a clock that never jumps.
        """
        family = self._table.family(pids)
        if not pids or not {each.pid for each in family}.issuperset(pids):
            self._before.pop(key, None)
            return missing(NOT_VISIBLE)
        spent = {(each.pid, each.started_ticks): each.cpu_s for each in family}
        before = self._before.get(key)
        self._before[key] = (now_s, spent)
        if before is None or now_s <= before[0]:
            return UNREAD
        grown = (max(0.0, cpu_s - before[1].get(name, 0.0)) for name, cpu_s in spent.items())
        return known(100.0 * sum(grown) / (now_s - before[0]))

    def forget(self, key: str) -> None:
        """What it belongs to is gone."""
        self._before.pop(key, None)
