"""GPUs as lines of text; whatever is replayed or simulated says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.gpu import GpuHealth, GpuProcess, GpuReading, GpuSnapshot, MigInstance, Source, Value
from mlconsole.domain.gpu_rows import GpuPast, GpuReport, GpuRow
from mlconsole.render import numbers
from mlconsole.render.money_tables import per_hour
from mlconsole.render.sanitise import clean
from mlconsole.render.spark import sparkline
from mlconsole.render.tables import table

FIGURES = {
    "USE": "utilization_percent",
    "MEMORY": "memory_used_mib",
    "POWER": "power_w",
    "TEMP": "temperature_c",
}
OLD_S, FAR_OLD_S = 5.0, 20.0
"""From this age on a state is told with it: this machine's, another host's."""


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about GPUs; None for any other."""
    return _report(result) if isinstance(result, GpuReport) else None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about GPUs; None for any other."""
    if not isinstance(items[0], GpuPast):
        return None
    return [line for past in items if isinstance(past, GpuPast) for line in _past(past)]


def _report(report: GpuReport) -> list[str]:
    out = _standing(report.snapshot, bool(report.rows))
    for far in report.far:
        out += _standing(far.snapshot, bool(far.rows))
    rows = report.all_rows
    if rows:
        out += _table(rows, has_hosts=bool(report.far))
    sources = {row.reading.source for row in rows} - {Source.NVML}
    return out + [f"These figures are {source.value}: no live GPU." for source in sorted(sources)]


def _standing(snapshot: GpuSnapshot, has_rows: bool) -> list[str]:
    """What stands between us and a host's readings; nothing where nothing does."""
    if not has_rows:
        return [clean(f"{snapshot.host}: {snapshot.words}.", 1000)]
    return [] if snapshot.state.has_readings else [clean(f"{snapshot.host}: {snapshot.words}; last known:", 1000)]


def _table(rows: Sequence[GpuRow], *, has_hosts: bool) -> list[str]:
    titles: tuple[str, ...] = ("GPU", "NAME", "USE", "MEMORY", "POWER", "TEMP", "STATE", "RUN", "USER", "COSTS")
    lines, right = [_row(row) for row in rows], {0, 2, 3, 4, 5, 9}
    if has_hosts:
        titles = ("HOST", "AGE", *titles)
        lines = [
            (row.reading.host, numbers.age(row.reading.age_s), *line) for row, line in zip(rows, lines, strict=True)
        ]
        right = {1, *(number + 2 for number in right)}
    out = table(titles, lines, right)
    for row in rows:
        name = f"GPU {row.reading.index}" + (f" of {row.reading.host}" if has_hosts else "")
        if row.keep:
            until = f"{row.keep.until:%Y-%m-%d %H:%M} UTC"
            out.append(clean(f"{name}: kept until {until} by {row.keep.who}: {row.keep.why}", 1000))
        gpu = row.reading
        if gpu.health is GpuHealth.OK and gpu.processes.value is None:
            out.append(clean(f"{name}: its processes cannot be seen: {gpu.processes.why}", 1000))
        out += [clean(f"{name}: {words}", 1000) for words in gpu.troubles]
        out += [clean(f"{name}: {_instance(each)}", 1000) for each in gpu.mig.value or ()]
        out += [clean(f"{name}: {_process(each, gpu.mig_of(each))}", 1000) for each in gpu.processes.value or ()]
    return out + _unknown(rows, has_hosts=has_hosts)


def _unknown(rows: Sequence[GpuRow], *, has_hosts: bool) -> list[str]:
    """Why there is a question mark, for each column and reason once."""
    of: dict[tuple[str, str], list[str]] = {}
    well = [row for row in rows if row.reading.health is GpuHealth.OK]
    for row in well:
        for title, figure in FIGURES.items():
            value = row.reading.figure(figure)
            if value.value is None:
                label = f"{row.reading.host}:{row.reading.index}" if has_hosts else row.label
                of.setdefault((title, value.why), []).append(label)
    found = []
    for (title, why), gpus in of.items():
        which = "every GPU" if len(gpus) == len(well) > 1 else f"GPU {', '.join(gpus)}"
        found.append(clean(f"{title} of {which}: {why}", 1000))
    return found


def _row(row: GpuRow) -> tuple[str, ...]:
    gpu = row.reading
    state = row.idle_class.value.upper() if row.idle_class else ""
    if gpu.health is not GpuHealth.OK:
        state = gpu.health.words
        if gpu.age_s > OLD_S:
            state += f" (for {numbers.age(gpu.age_s)})"
    elif row.away:
        state = "? unreachable"
    elif gpu.age_s > (FAR_OLD_S if row.is_far else OLD_S):
        state = f"{state} {gpu.age_s:.0f} s old".strip()
    run = row.run_name or row.run_id or ("leased" if row.lease else "")
    cost = "" if row.price_microusd_per_h is None else per_hour(row.price_microusd_per_h)
    use, power, temperature = (
        _figure(gpu.utilization_percent, " %"),
        _figure(gpu.power_w, " W"),
        _figure(gpu.temperature_c, " C"),
    )
    return str(gpu.index), gpu.name, use, _memory(gpu), power, temperature, state, run, row.user, cost


def _figure(value: Value[float], unit: str) -> str:
    return f"{value.value:.0f}{unit}" if value.value is not None else "?"


def _memory(gpu: GpuReading) -> str:
    used, whole = gpu.memory_used_mib.value, gpu.memory_total_mib.value
    if used is None:
        return "?"
    return f"{used / 1024:.1f} GiB" if whole is None else f"{used / 1024:.1f}/{whole / 1024:.0f} GiB"


def _instance(each: MigInstance) -> str:
    used, whole = each.memory_used_mib.value, each.memory_total_mib.value
    memory = "" if used is None or whole is None else f", {used / 1024:.1f}/{whole / 1024:.0f} GiB"
    return f"MIG instance {each.profile}{memory}, {each.uuid}"


def _process(process: GpuProcess, profile: str = "") -> str:
    memory = "" if process.memory_mib.value is None else f", {process.memory_mib.value / 1024:.1f} GiB"
    memory += f" in MIG {profile}" if profile else ""
    if not process.visible:
        return f"process {process.pid} (host pid, not visible){memory}"
    whose = f"run {process.run_id}" if process.run_id else "of no run"
    return f"process {process.pid} {process.command} ({process.user}), {whose}{memory}"


def _past(past: GpuPast) -> list[str]:
    label = "" if past.source == Source.NVML.value else f"  [{past.source}]"
    head = clean(f"{past.host} {past.uuid} {past.name}: {past.figure}{label}", 300)
    if not past.points:
        return [head, "  nothing is known of that time"]
    means = [point.mean for point in past.points]
    low, high = min(point.least for point in past.points), max(point.most for point in past.points)
    mean = sum(point.mean * point.count for point in past.points) / sum(point.count for point in past.points)
    said = f"  least {numbers.number(low)}, mean {numbers.number(mean)}, most {numbers.number(high)}"
    return [head, f"  {sparkline(means, 60)}", f"{said}, {len(means)} buckets of {past.width_s} s"]
