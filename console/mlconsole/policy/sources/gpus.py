"""GPUs that are held for nothing, lost, or too hot. What cannot be read says nothing."""

from __future__ import annotations

from mlconsole.domain.alerts import AlertRules, Severity, Signal, Verdict
from mlconsole.domain.gpu import GpuHealth, GpuReading, Source
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.idle import Step

IDLE_PREFIX = "gpu-idle:"
PREFIXES = (IDLE_PREFIX, "gpu-lost:", "gpu-hot:")
HOT_C, COOL_C = 90.0, 83.0
HEAT = AlertRules(k=3, n=5, m=3, cool_down_s=300.0)
IDLE = AlertRules(cool_down_s=60.0)
GONE = (GpuHealth.LOST, GpuHealth.RESET_REQUIRED)
WASTED = (Step.NOTIFY, Step.COUNTDOWN, Step.STOP, Step.TEARDOWN)


def signals(report: GpuReport) -> list[Signal]:
    """What one look at a host's GPUs says."""
    return [signal for row in report.rows for signal in (_idle(row), _lost(row), _hot(row))]


def _named(row: GpuRow) -> str:
    gpu = row.reading
    note = "" if gpu.source is Source.NVML else f" ({gpu.source.value})"
    return f"GPU {gpu.index} of {gpu.host}{note}"


def _subject(gpu: GpuReading) -> str:
    return f"gpu:{gpu.uuid}" if gpu.uuid else gpu.key


def _data(row: GpuRow) -> dict[str, object]:
    gpu, price = row.reading, row.price_microusd_per_h
    found: dict[str, object] = {"gpu": gpu.key, "index": gpu.index, "host": gpu.host, "run": row.run_id}
    found |= {"user": row.user, "idle_class": row.idle_class.value if row.idle_class else None}
    return found | {"usd_per_h": None if price is None else price / 1e6}


def _idle(row: GpuRow) -> Signal:
    verdict = Verdict.BAD if row.step in WASTED else Verdict.CLEAN
    if row.idle_class is None or row.step is Step.MARK:
        verdict = Verdict.BETWEEN
    what = row.idle_class.value.upper() if row.idle_class else "unknown"
    whose = f" by {row.run_name or row.user}" if row.run_name or row.user else ""
    cost = "" if row.price_microusd_per_h is None else f", ${row.price_microusd_per_h / 1e6:.2f}/h"
    title = f"{_named(row)} is {what}{whose}{cost}: {row.why}"
    gpu = row.reading
    return Signal(
        f"gpu-idle:{gpu.key}", "gpu", _subject(gpu), verdict, title, data=_data(row), rules=IDLE, opens="gpu.idle"
    )


def _lost(row: GpuRow) -> Signal:
    gpu = row.reading
    verdict = {True: Verdict.BAD, False: Verdict.CLEAN if gpu.health is GpuHealth.OK else Verdict.BETWEEN}
    title = f"{_named(row)}: {gpu.health.words}"
    subject = _subject(gpu)
    bad = verdict[gpu.health in GONE]
    return Signal(f"gpu-lost:{gpu.key}", "gpu", subject, bad, title, Severity.CRITICAL, data=_data(row))


def _hot(row: GpuRow) -> Signal:
    gpu, heat = row.reading, row.reading.temperature_c.value
    verdict = Verdict.BETWEEN
    if heat is not None:
        verdict = Verdict.BAD if heat >= HOT_C else Verdict.CLEAN if heat < COOL_C else Verdict.BETWEEN
    title = f"{_named(row)} is at {heat or 0:.0f} °C"
    data = _data(row) | {"temperature_c": heat}
    return Signal(f"gpu-hot:{gpu.key}", "gpu", _subject(gpu), verdict, title, data=data, rules=HEAT)
