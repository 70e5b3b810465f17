"""The last minutes of every GPU's figures, for sparklines."""

from __future__ import annotations

import math
from collections import deque

from mlconsole.domain.gpu import GpuSnapshot
from mlconsole.domain.gpu_history import KEPT_FIGURES

FRESH_S = 3.0


class Ring:
    """Keeps as many values a GPU and figure as there is room for; what was not known is NaN, never zero.

    Args:
        room: how many values.
        figures: the names of the figures.
    """

    def __init__(self, room: int = 240, figures: tuple[str, ...] = KEPT_FIGURES) -> None:
        self._room, self._figures = room, figures
        self._values: dict[str, dict[str, deque[float]]] = {}

    def add(self, snapshot: GpuSnapshot) -> None:
        """Take what is known now; call it at even intervals."""
        seen = {reading.uuid: reading for reading in snapshot.gpus if reading.uuid}
        for uuid in seen.keys() | self._values.keys():
            reading = seen.get(uuid)
            is_fresh = reading is not None and reading.age_s <= FRESH_S
            of_gpu = self._values.setdefault(uuid, {name: deque(maxlen=self._room) for name in self._figures})
            for name, values in of_gpu.items():
                value = reading.figure(name).value if reading is not None and is_fresh else None
                values.append(math.nan if value is None else value)

    def series(self, uuid: str, figure: str) -> tuple[float, ...]:
        """The values of a figure, oldest first; empty when there are none."""
        return tuple(self._values.get(uuid, {}).get(figure, ()))
