"""What a run's GPUs did, kept with the run for good: the GPUs' own history forgets its narrow buckets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mlconsole.actions.context import Context
from mlconsole.actions.files import write_text
from mlconsole.catalog.gpu_rollups import KEPT_S, GpuHistory
from mlconsole.domain.gpu import Source
from mlconsole.domain.gpu_history import KEPT_FIGURES, WIDTHS_S, PastGpu, PastPoint, thinned
from mlconsole.records import record

FILE = "gpus.json"
MOST_POINTS = 360
#: The last bucket of a run is written some seconds after it.
SETTLED = timedelta(seconds=60)


@record
class GpuUse:
    """The past of a run's GPUs, as :class:`GpuHistory` gives it; ``width_s`` is the width of its buckets."""

    width_s: int
    figures: tuple[tuple[PastGpu, Mapping[str, Sequence[PastPoint]]], ...]

    def gpus(self) -> list[PastGpu]:
        """The GPUs that it has a past of."""
        return [gpu for gpu, _ in self.figures]

    def points(self, gpu: PastGpu, figure: str, since_s: int, until_s: int, width_s: int = 0) -> list[PastPoint]:
        """A figure of one GPU between two times."""
        found = next((figures for each, figures in self.figures if each == gpu), {})
        return [point for point in found.get(figure, ()) if since_s <= point.start_s < until_s]


def keep_uses(ctx: Context, past: GpuHistory) -> None:
    """Write what the GPUs of ended runs did beside those runs, where that was not done yet and is still known.

    Raises:
        ActionFailed: a file cannot be written.
    """
    if not ctx.has_catalog:
        return
    now = ctx.clock()
    since = now - timedelta(seconds=KEPT_S[WIDTHS_S[1]])
    for run_id, uuids, begin, end in ctx.catalog.leases.ended_runs(since, now - SETTLED):
        folder = ctx.settings.runs / run_id
        if folder.is_dir() and not _is_kept(folder / FILE, end):
            document = _document(past, uuids, begin, end, now)
            write_text(str(folder / FILE), json.dumps(document, separators=(",", ":")))


def _is_kept(path: Path, end: datetime) -> bool:
    """Whether it was written after the run's end; a run that was requeued has ended again since."""
    try:
        return path.stat().st_mtime >= end.timestamp()
    except OSError:
        return False


def use_of(folder: Path) -> GpuUse | None:
    """What is kept in a run's folder; None where nothing is, or nothing that can be read."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        gpus = tuple(
            (_gpu(each), {name: _points(rows) for name, rows in each["figures"].items()}) for each in found["gpus"]
        )
        return GpuUse(int(found["width_s"]), gpus) if gpus else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _document(past: GpuHistory, uuids: Sequence[str], begin: datetime, end: datetime, now: datetime) -> dict[str, Any]:
    start_s, end_s = int(begin.timestamp()), int(end.timestamp()) + 1
    kept = [width for width in WIDTHS_S if now.timestamp() - start_s <= KEPT_S[width]] or [WIDTHS_S[-1]]
    width_s = next((width for width in kept if (end_s - start_s) / width <= 10 * MOST_POINTS), kept[-1])
    parts = -(-(end_s - start_s) // (width_s * MOST_POINTS))
    gpus: list[dict[str, Any]] = []
    for gpu in past.gpus():
        if gpu.uuid in uuids and gpu.source is Source.NVML:
            points = {
                name: past.points(gpu, name, start_s // width_s * width_s, end_s, width_s) for name in KEPT_FIGURES
            }
            rows = {name: [_row(point) for point in thinned(found, width_s, parts)] for name, found in points.items()}
            gpus.append({"host": gpu.host, "uuid": gpu.uuid, "name": gpu.name, "figures": rows})
    return {"width_s": width_s * parts, "gpus": [each for each in gpus if any(each["figures"].values())]}


def _row(point: PastPoint) -> list[float]:
    return [point.start_s, *(round(value, 3) for value in (point.mean, point.least, point.most)), point.count]


def _gpu(found: dict[str, Any]) -> PastGpu:
    return PastGpu(str(found["host"]), str(found["uuid"]), str(found["name"]), Source.NVML)


def _points(rows: Any) -> list[PastPoint]:
    return [
        PastPoint(int(start), float(mean), float(least), float(most), int(count))
        for start, mean, least, most, count in rows
    ]
