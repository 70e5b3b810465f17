"""What a live run shows of its headway beside the GPU: its output, its metrics, its checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

from mlconsole.actions.context import Context
from mlconsole.catalog.activity import artifact_age_s, metric_pace_s
from mlconsole.config import CHECKPOINTS
from mlconsole.domain.gpu import UNREAD, Value, known
from mlconsole.domain.jobs import Handle
from mlconsole.domain.runs import Run
from mlconsole.errors import MlconsoleError
from mlconsole.plugin_api import KeepsLogs
from mlconsole.records import record

LOOKED_FOR_S = 10.0
"""A look for checkpoints holds for so long; a folder may hold many."""
MOST_FILES = 2000


@record
class Signs:
    """Ages in seconds; None: the run has no such thing. ``gap_s`` is the usual time between two of its steps."""

    log_age_s: Value[float] | None
    metric_age_s: Value[float] | None
    metric_gap_s: float | None
    checkpoint_age_s: Value[float] | None


class RunSigns:
    """Looks at the signs of runs.

    Args:
        ctx: the session.
        is_far: the runs are on another machine, whose files are not here.
    """

    def __init__(self, ctx: Context, *, is_far: bool = False) -> None:
        self._ctx = ctx
        self._is_far = is_far
        self._looks: dict[str, tuple[float, float | None]] = {}

    def of(self, run: Run, now_s: float) -> Signs:
        """The signs of a run; ``now_s`` is a clock that never jumps."""
        age_s, gap_s = metric_pace_s(self._ctx.catalog.store, run.number, self._ctx.clock())
        metric_age = None if age_s is None else known(age_s)
        log_age = UNREAD if self._is_far else self._log_age(run)
        return Signs(log_age, metric_age, gap_s, self._checkpoint_age(run, now_s))

    def _log_age(self, run: Run) -> Value[float] | None:
        job = self._ctx.catalog.runs.job(run.number)
        if job is None or job.handle is None:
            return None
        try:
            backend = self._ctx.backend(job.backend)
            handle = Handle(job.backend, job.token, job.handle)
            path = backend.log_path(handle, "output") if isinstance(backend, KeepsLogs) else None
            return known(self._since(os.stat(path).st_mtime)) if path else None
        except (OSError, MlconsoleError):
            return UNREAD

    def _checkpoint_age(self, run: Run, now_s: float) -> Value[float] | None:
        """Of the newest file in its folder of checkpoints, or of the newest artifact that it logged."""
        looked_s, written_s = self._looks.get(run.id, (now_s - LOOKED_FOR_S, None))
        if now_s - looked_s >= LOOKED_FOR_S:
            written_s = None if self._is_far else last_written_s(self._ctx.settings.runs / run.id / CHECKPOINTS)
            self._looks[run.id] = (now_s, written_s)
        logged_s = artifact_age_s(self._ctx.catalog.store, run.number, self._ctx.clock())
        ages = [*([] if written_s is None else [self._since(written_s)]), *([] if logged_s is None else [logged_s])]
        return known(min(ages)) if ages else None

    def _since(self, at_s: float) -> float:
        return max(0.0, self._ctx.clock().timestamp() - at_s)


def last_written_s(folder: Path) -> float | None:
    """When a file anywhere below a folder was last written, in seconds since the epoch; None where there is none.

    Links are not followed, and of a folder with very many files the first ones speak.
    """
    newest, seen = None, 0
    for place, _, names in os.walk(folder):
        for name in names[: MOST_FILES - seen]:
            try:
                newest = max(newest or 0.0, os.lstat(os.path.join(place, name)).st_mtime)
            except OSError:
                continue  # It was renamed or removed meanwhile.
        seen += len(names)
        if seen >= MOST_FILES:
            break
    return newest
