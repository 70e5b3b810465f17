"""Joins what the driver shows with what the catalog knows: GPU, process, run, user, class, price."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property

from mlconsole.actions.attribution import Marks
from mlconsole.actions.context import Context
from mlconsole.actions.rates import machine_here, rate_now
from mlconsole.actions.run_signs import RunSigns
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.catalog.keeps import keeps_on
from mlconsole.domain.costs import share_per_h
from mlconsole.domain.evidence import Facts, Holder, Look, look_at
from mlconsole.domain.gpu import UNREAD, GpuProcess, GpuReading, GpuSnapshot, ProcessKind, Source, Value
from mlconsole.domain.gpu_history import PastGpu
from mlconsole.domain.gpu_rows import GpuReport, GpuRow, Keep
from mlconsole.domain.idle import IdleClass, Step, Track, Verdict, follow
from mlconsole.domain.leases import Lease
from mlconsole.domain.prices import Rate
from mlconsole.domain.runs import Run
from mlconsole.errors import CatalogError, MlconsoleError
from mlconsole.records import replace

IDLE_POWER_HOLDS_S = 600.0
IDLE_POWER_OF_S = 14 * 86_400
"""The least that was drawn in so long is what a GPU draws when it does nothing."""
SIMULATED_IDLE_S = 2460.0
"""A simulation does not begin with ten minutes in which nothing can be said."""
CpuOf = Callable[[str, list[int], float], Value[float]]


def _unread(key: str, pids: list[int], now_s: float) -> Value[float]:
    return UNREAD


class Follower:
    """Follows a host's GPUs from look to look.

    Args:
        ctx: the session.
        marks: finds the runs of processes.
        cpu_of: the CPU share of a family of processes since the look before.
        clock_s: a clock that never jumps.
        is_far: the host is another machine: its processes, leases, prices and keeps are none of this one's.
    """

    def __init__(
        self,
        ctx: Context,
        marks: Marks | None = None,
        cpu_of: CpuOf = _unread,
        clock_s: Callable[[], float] = time.monotonic,
        *,
        is_far: bool = False,
    ) -> None:
        self.ctx = ctx
        self.marks = marks or Marks()
        self.cpu_of = cpu_of
        self.clock_s = clock_s
        self.is_far = is_far
        self._tracks: dict[str, Track] = {}
        self._signs = RunSigns(ctx, is_far=is_far)
        self._idle_powers: dict[str, tuple[float, float | None]] = {}

    def report(self, snapshot: GpuSnapshot) -> GpuReport:
        """What is known of each GPU after one more look."""
        leases = {} if self.is_far else self._leases(snapshot.host)
        gpus = [self._attributed(gpu) for gpu in snapshot.gpus]
        runs = self._runs({lease.run_id for lease in leases.values()} | _run_ids(gpus))
        price, keeps = (None, {}) if self.is_far else (self._price(len(gpus)), self._keeps(snapshot.host))
        rows = [self._row(gpu, leases.get(gpu.uuid), runs, price, keeps.get(gpu.uuid)) for gpu in gpus]
        return GpuReport(snapshot, rows)

    def _leases(self, host: str) -> dict[str, Lease]:
        found = self.ctx.catalog.leases.open() if self.ctx.has_catalog else []
        return {lease.gpu_uuid: lease for lease in found if lease.host == host and lease.gpu_uuid}

    def _keeps(self, host: str) -> dict[str, Keep]:
        return keeps_on(self.ctx.catalog.store, host, self.ctx.clock()) if self.ctx.has_catalog else {}

    def _attributed(self, gpu: GpuReading) -> GpuReading:
        if gpu.processes.value is None or gpu.source is Source.SIMULATED or self.is_far:
            return gpu
        found = tuple(
            replace(each, run_id=self.marks.run_of(each.pid, each.started_ticks)) if each.visible else each
            for each in gpu.processes.value
        )
        return replace(gpu, processes=replace(gpu.processes, value=found))

    def _runs(self, ids: set[str]) -> dict[str, Run]:
        found = {}
        for run_id in ids:
            try:
                found[run_id] = self.ctx.catalog.runs.get(run_id)
            except MlconsoleError:
                continue  # A run of another catalog, or one that was deleted.
        return found

    def _price(self, gpus: int) -> int | None:
        machine = machine_here(self.ctx)
        rate = (machine.rate if machine else None) or self._settings_rate
        if rate is None or not max(machine.count if machine else 0, gpus):
            return None
        return share_per_h(rate, 1, max(machine.count if machine else 0, rate.gpus, gpus))

    @cached_property
    def _settings_rate(self) -> Rate | None:
        """What the settings say, before the first run has begun this machine's account."""
        return rate_now(self.ctx)[0]

    def _row(
        self, gpu: GpuReading, lease: Lease | None, runs: Mapping[str, Run], price: int | None, keep: Keep | None
    ) -> GpuRow:
        holders = _holders(gpu)
        held_by = {each.run_id for each in holders if each.run_id}
        run_id = lease.run_id if lease else held_by.pop() if len(held_by) == 1 else ""
        run = runs.get(run_id)
        holder = _holder(gpu, runs)
        facts = replace(self._facts(gpu, holder, run, price), keep_until=keep.until if keep else None)
        verdict = self._verdict(gpu, facts, _ended_at(holders, runs) if holder is Holder.ENDED_RUN else None)
        users = {each.user for each in holders if each.user}
        user = run.user if run else lease.user if lease else ", ".join(sorted(users))
        name = run.name if run else lease.run_name if lease else ""
        is_unused = lease is not None and verdict.idle_class is IdleClass.EMPTY
        return GpuRow(
            gpu,
            lease,
            run_id,
            name,
            user,
            holder,
            verdict.idle_class,
            "leased, and its run holds no memory of it" if is_unused else verdict.why,
            verdict.step,
            price,
            keep,
            verdict.evidence,
            verdict.for_s,
            verdict.left_s,
        )

    def _facts(self, gpu: GpuReading, holder: Holder, run: Run | None, price: int | None) -> Facts:
        pids = [each.pid for each in _holders(gpu) if each.visible]
        has_cpu = pids and gpu.source is not Source.SIMULATED
        cpu = (UNREAD if self.is_far else self.cpu_of(gpu.key, pids, self.clock_s())) if has_cpu else None
        if run is None or holder is not Holder.RUN:
            return Facts(holder, cpu_percent=cpu, price_microusd_per_h=price)
        signs = self._signs.of(run, self.clock_s())
        return Facts(
            *(holder, cpu, signs.log_age_s, signs.metric_age_s, signs.metric_gap_s, signs.checkpoint_age_s),
            price_microusd_per_h=price,
        )

    def _idle_power_w(self, gpu: GpuReading) -> float | None:
        """What this GPU was seen to draw when it did nothing; asked of its history now and then."""
        if self.is_far or gpu.source is not Source.NVML or not _holders(gpu):
            return None
        asked_s, found = self._idle_powers.get(gpu.key, (self.clock_s() - IDLE_POWER_HOLDS_S, None))
        if self.clock_s() - asked_s >= IDLE_POWER_HOLDS_S:
            found = _least_power_w(self.ctx, gpu)
            self._idle_powers[gpu.key] = (self.clock_s(), found)
        return found

    def _verdict(self, gpu: GpuReading, facts: Facts, ended_at: datetime | None) -> Verdict:
        look = look_at(gpu, facts, self.clock_s(), self.ctx.clock(), self._idle_power_w(gpu))
        track = self._tracks.get(gpu.key) or _first(look)
        if gpu.source is Source.SIMULATED and gpu.key not in self._tracks:
            track = replace(track, idle_since_s=look.at_s - SIMULATED_IDLE_S)
        if ended_at is not None and track.ended_since_s is None:
            age_s = max(0.0, (look.now - ended_at).total_seconds())
            track = replace(track, ended_since_s=look.at_s - age_s)
        self._tracks[gpu.key] = follow(track, look)
        return self._tracks[gpu.key].verdict


def _least_power_w(ctx: Context, gpu: GpuReading) -> float | None:
    past = GpuHistory(ctx.settings.home, read_only=True)
    try:
        who = PastGpu(gpu.host, gpu.uuid, gpu.name, gpu.source)
        return past.least_power_w(who, int(ctx.clock().timestamp()) - IDLE_POWER_OF_S)
    except CatalogError:
        return None
    finally:
        past.close()


def _first(look: Look) -> Track:
    return Track(look.at_s, look.now, Verdict(None, Step.NONE, "", ()), look.at_s)


def _run_ids(gpus: list[GpuReading]) -> set[str]:
    return {each.run_id for gpu in gpus for each in gpu.processes.value or () if each.run_id}


def _holders(gpu: GpuReading) -> list[GpuProcess]:
    return [each for each in gpu.processes.value or () if each.kind is not ProcessKind.GRAPHICS]


def _holder(gpu: GpuReading, runs: Mapping[str, Run]) -> Holder:
    """Who holds a GPU's memory: a live run goes before an ended one, and what cannot be seen may be anybody's."""
    if gpu.processes.value is None:
        return Holder.UNSEEN
    holders = _holders(gpu)
    if not holders:
        return Holder.NOBODY
    states = [runs[each.run_id].state.is_live for each in holders if each.run_id in runs]
    if any(states):
        return Holder.RUN
    if not all(each.visible for each in holders):
        return Holder.UNSEEN
    return Holder.ENDED_RUN if len(states) == len(holders) else Holder.OTHER


def _ended_at(holders: list[GpuProcess], runs: Mapping[str, Run]) -> datetime | None:
    """When the last of the runs that these processes are of ended."""
    return max((ended for each in holders if (ended := runs[each.run_id].ended_at)), default=None)


class FarFollowers:
    """Follows the GPUs of hosts elsewhere, each host's by itself.

    Args:
        ctx: the session.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._of: dict[str, Follower] = {}

    def reports(self, snapshots: Iterable[GpuSnapshot]) -> tuple[GpuReport, ...]:
        """What is known of each host after one more look."""
        return tuple(self._report(each) for each in snapshots)

    def _report(self, snapshot: GpuSnapshot) -> GpuReport:
        follower = self._of.setdefault(snapshot.host, Follower(self._ctx, is_far=True))
        away = "" if snapshot.state.has_readings else snapshot.words
        rows = [
            replace(row, step=Step.NONE, left_s=None, is_far=True, away=away) for row in follower.report(snapshot).rows
        ]
        return GpuReport(snapshot, rows)


def wasted_microusd_per_h(report: GpuReport) -> int:
    """What GPUs cost an hour of which nothing comes, as far as that is known."""
    return sum(row.price_microusd_per_h or 0 for row in report.rows if row.is_wasted)
