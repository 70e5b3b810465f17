"""Where an earlier process of a run left off."""

from __future__ import annotations

import os
from time import monotonic
from typing import Optional

from mlconsole.recorder.forking import importing
from mlconsole.recorder.layout import SUFFIX

_PIECE = 4 << 20
_WHOLE = 256 << 20
_TAIL = 16 << 20
_DEADLINE_S = 3.0


def last_step(directory: str) -> Optional[int]:
    """The largest step in a run's logs, None when there is none.

    Logs of more than 256 MiB together, or longer than 3 s, are read at their beginning, where schemas are defined,
    and at their end.
    """
    folder = os.path.join(directory, "log")
    try:
        paths = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(SUFFIX))
        sizes = [os.path.getsize(path) for path in paths]
    except OSError:
        return None
    whole = sum(sizes) <= _WHOLE
    deadline = monotonic() + _DEADLINE_S
    steps = [_last_step(path, size, whole, deadline) for path, size in zip(paths, sizes)]
    return max((step for step in steps if step is not None), default=None)


def _last_step(path: str, size: int, whole: bool, deadline: float) -> Optional[int]:
    with importing:
        from mlconsole.recorder.reader import Reader  # 2 ms, for runs that are resumed

    reader = Reader()
    largest: Optional[int] = None
    at = 0
    try:
        with open(path, "rb") as file:
            while at < size:
                if at and at < size - _TAIL and (not whole or monotonic() > deadline):
                    at = size - _TAIL
                file.seek(at)
                batch = reader.read(file.read(_PIECE), at, final=at + _PIECE >= size)
                if not batch.consumed:
                    at = at + _PIECE if at + _PIECE < size else size
                at += batch.consumed
                found = [max(series.steps) for series in batch.series.values() if series.steps]
                largest = max([*found, *([] if largest is None else [largest])], default=None)
    except OSError:
        return largest
    return largest
