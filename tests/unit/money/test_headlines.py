"""What the overview says of GPUs in one line."""

from __future__ import annotations

from datetime import UTC, datetime

from mlconsole.domain.evidence import Holder
from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.idle import IdleClass, Step
from mlconsole.tui.headlines import gpu_spans

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_zombie_stands_first_however_many_work() -> None:
    classes = [IdleClass.BUSY, IdleClass.EMPTY, IdleClass.HELD, IdleClass.BUSY, IdleClass.ZOMBIE]
    rows = [
        GpuRow(
            GpuReading("lab", i, f"GPU-{i}", "H100", NOW), None, "", "", "", Holder.OTHER, one, "", Step.NOTIFY, None
        )
        for i, one in enumerate(classes)
    ]
    text = "".join(words for words, _ in gpu_spans(GpuReport(GpuSnapshot("lab", DriverState.OK), rows)))
    assert text.split()[:5] == ["GPUs", "4", "ZOMBIE", "2", "HELD"]
