"""GPUs as JSON documents: null for a figure that is not known, and under ``missing`` the word why."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.gpu import FIGURES, GpuProcess, MigInstance
from mlconsole.domain.gpu_rows import GpuPast, GpuReport, GpuRow
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about GPUs; None for any other."""
    if not isinstance(result, GpuReport):
        return None
    snapshot = result.snapshot
    return {
        "kind": "gpu",
        "host": snapshot.host,
        "state": snapshot.state.value,
        "detail": snapshot.words,
        "driver": snapshot.driver,
        "items": [_row(row) for row in result.all_rows],
        "hosts": [_host(each, is_far=each is not result) for each in (result, *result.far)],
    }


def _host(report: GpuReport, *, is_far: bool) -> Document:
    snapshot = report.snapshot
    return {
        "host": snapshot.host,
        "is_this": not is_far,
        "state": snapshot.state.value,
        "detail": snapshot.words,
        "driver": snapshot.driver,
        "gpus": len(report.rows),
        "age_s": min((row.reading.age_s for row in report.rows), default=None),
    }


def item(thing: object) -> Document | None:
    """An element of a list about GPUs; None for any other."""
    return _past(thing) if isinstance(thing, GpuPast) else None


def _row(row: GpuRow) -> Document:
    gpu = row.reading
    return {
        "host": gpu.host,
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "health": gpu.health.value,
        **{name: gpu.figure(name).value for name in FIGURES},
        "throttle": gpu.throttle.value,
        "mig": [_instance(each) for each in gpu.mig.value or ()],
        "xids": [{"at": iso(each.at), "code": each.code, "text": each.words} for each in gpu.xids],
        "missing": {name: gpu.figure(name).why for name in FIGURES if not gpu.figure(name).is_known},
        "processes": None if gpu.processes.value is None else [_process(each) for each in gpu.processes.value],
        "run_id": row.run_id or None,
        "run_name": row.run_name or None,
        "user": row.user or None,
        "leased": row.lease is not None,
        "idle_class": row.idle_class.value if row.idle_class else None,
        "why": row.why,
        "step": row.step.value,
        "kept_until": iso(row.keep.until) if row.keep else None,
        "kept_why": f"{row.keep.why} ({row.keep.who})" if row.keep else None,
        "price_usd_per_h": None if row.price_microusd_per_h is None else row.price_microusd_per_h / 1_000_000,
        "age_s": gpu.age_s,
        "source": gpu.source.value,
    }


def _instance(each: MigInstance) -> Document:
    return {
        "uuid": each.uuid,
        "profile": each.profile,
        "memory_used_mib": each.memory_used_mib.value,
        "memory_total_mib": each.memory_total_mib.value,
    }


def _process(process: GpuProcess) -> Document:
    return {
        "pid": process.pid,
        "visible": process.visible,
        "memory_mib": process.memory_mib.value,
        "sm_percent": process.sm_percent.value,
        "kind": process.kind.value,
        "user": process.user or None,
        "command": process.command or None,
        "mig": process.mig or None,
        "run_id": process.run_id or None,
    }


def _past(past: GpuPast) -> Document:
    return {
        "host": past.host,
        "uuid": past.uuid,
        "name": past.name,
        "source": past.source,
        "figure": past.figure,
        "width_s": past.width_s,
        "times": [point.start_s for point in past.points],
        "means": [point.mean for point in past.points],
        "lows": [point.least for point in past.points],
        "highs": [point.most for point in past.points],
    }
