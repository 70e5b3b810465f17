"""Readings as JSON objects: what the sampler says through its pipe, and what a recording holds.

A figure is ``[value, age_s]``, or the word why it is missing. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from mlconsole.domain.gpu import (
    FIGURES,
    GpuHealth,
    GpuProcess,
    GpuReading,
    MigInstance,
    ProcessKind,
    Source,
    Value,
    XidEvent,
    known,
    missing,
)

T = TypeVar("T")
Json = dict[str, Any]


def encode(reading: GpuReading) -> Json:
    """A reading as a JSON object."""
    return {
        "host": reading.host,
        "index": reading.index,
        "uuid": reading.uuid,
        "name": reading.name,
        "at": round(reading.at.timestamp(), 3),
        "source": reading.source.value,
        "health": reading.health.value,
        "figures": {name: _value(reading.figure(name), _number) for name in FIGURES},
        "throttle": _value(reading.throttle, list),
        "processes": _value(reading.processes, lambda all_: [_process(each) for each in all_]),
        "mig": _value(reading.mig, lambda all_: [_instance(each) for each in all_]),
        "xids": [[round(each.at.timestamp(), 3), each.code] for each in reading.xids],
    }


def decode(data: Mapping[str, Any]) -> GpuReading:
    """The reading of a JSON object.

    Raises:
        ValueError: it is none, or lacks what every reading has.
    """
    try:
        figures: Any = {name: _known(data["figures"].get(name, ""), float) for name in FIGURES}
        return GpuReading(
            str(data["host"]),
            int(data["index"]),
            str(data["uuid"]),
            str(data["name"]),
            _time(data["at"]),
            Source(data["source"]),
            GpuHealth(data["health"]),
            throttle=_known(data["throttle"], lambda words: tuple(str(each) for each in words)),
            processes=_known(data["processes"], lambda all_: tuple(_to_process(each) for each in all_)),
            mig=_known(data["mig"], lambda all_: tuple(_to_instance(each) for each in all_)),
            xids=tuple(XidEvent(_time(at), int(code)) for at, code in data["xids"]),
            **figures,
        )
    except (KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise ValueError(f"not a reading of a GPU: {error!r}") from error


def _value(value: Value[T], write: Callable[[T], object]) -> object:
    return value.why if value.value is None else [write(value.value), value.age_s]


def _known(data: Any, read: Callable[[Any], T]) -> Value[T]:
    if isinstance(data, str):
        return missing(data) if data else Value()
    value, age_s = data
    return known(read(value), float(age_s))


def _number(value: float) -> float:
    return int(value) if value == int(value) else round(value, 3)


def _process(each: GpuProcess) -> Json:
    return {
        "pid": each.pid,
        "memory_mib": _value(each.memory_mib, _number),
        "sm_percent": _value(each.sm_percent, _number),
        "kind": each.kind.value,
        "visible": each.visible,
        "started_ticks": each.started_ticks,
        "user": each.user,
        "command": each.command,
        "mig": each.mig,
        "run_id": each.run_id,
    }


def _to_process(data: Mapping[str, Any]) -> GpuProcess:
    ticks = data["started_ticks"]
    return GpuProcess(
        int(data["pid"]),
        _known(data["memory_mib"], float),
        _known(data["sm_percent"], float),
        ProcessKind(data["kind"]),
        bool(data["visible"]),
        None if ticks is None else int(ticks),
        str(data["user"]),
        str(data["command"]),
        str(data["mig"]),
        str(data["run_id"]),
    )


def _instance(each: MigInstance) -> Json:
    return {
        "index": each.index,
        "uuid": each.uuid,
        "profile": each.profile,
        "memory_used_mib": _value(each.memory_used_mib, _number),
        "memory_total_mib": _value(each.memory_total_mib, _number),
    }


def _to_instance(data: Mapping[str, Any]) -> MigInstance:
    return MigInstance(
        int(data["index"]),
        str(data["uuid"]),
        str(data["profile"]),
        _known(data["memory_used_mib"], float),
        _known(data["memory_total_mib"], float),
    )


def _time(seconds: Any) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
