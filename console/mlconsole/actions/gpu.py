"""Looking at GPUs: now, as they change, and back in time."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.gpu_rows import FarFollowers, Follower
from mlconsole.actions.gpu_sources import FIRST_LOOK_S, one_look, readings
from mlconsole.actions.gpu_use import keep_uses
from mlconsole.actions.sync import refresh
from mlconsole.actions.targets import gpu_named
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.catalog.keeps import put_keep
from mlconsole.catalog.machines import count_gpus
from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot
from mlconsole.domain.gpu_history import KEPT_FIGURES, PastGpu
from mlconsole.domain.gpu_rows import GpuPast, GpuReport, Keep
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done, Listing, Updates
from mlconsole.domain.times import parse_duration, parse_when
from mlconsole.errors import ActionFailed, CatalogError, NotFound, UsageError
from mlconsole.records import record, replace

if TYPE_CHECKING:
    from mlconsole.actions.far_gpus import FarGpus

REFRESH_S = 10.0
INDEXED = "gpu:"
KEEP_USES_S = 600.0
"""So often the use of ended runs is put beside them; the history forgets no sooner than after an hour."""
#: So long a list waits for hosts elsewhere; what was known of them is shown all the same.
FAR_S = 5.0
LONGEST_KEEP_S = 7 * 86_400
#: Buckets of each width are shown for spans up to this long.
SPANS_S = ((10, 3 * 3600), (300, 7 * 86_400), (3600, 10**10))


@record
class ListParams:
    """Once, or as they change."""

    watch: bool = param(False, help="show them again whenever they change")
    interval: float = param(1.0, help="seconds between two looks, with --watch", metavar="SECONDS")


def list_gpus(ctx: Context, params: ListParams) -> GpuReport | Updates:
    """The GPUs of this machine and of the backends' hosts with the runs that hold them, or the words why none.

    Raises:
        UsageError: the interval is none.
    """
    if not 0.2 <= params.interval <= 3600:
        raise UsageError(f'"{params.interval}" is no interval.', "Give 0.2 to 3600 seconds.")
    if params.watch:
        return Updates(watch(ctx, params.interval, has_far=True))
    refresh(ctx)
    far = _far(ctx)
    report = Follower(ctx).report(one_look(ctx))
    if far is None:
        return report
    far.wait(FAR_S)
    far.stop()
    return replace(report, far=FarFollowers(ctx).reports(far.latest()))


def _far(ctx: Context) -> FarGpus | None:
    """Those who look at hosts elsewhere; nobody beside a recording or a simulation."""
    from mlconsole.actions.far_gpus import FarGpus  # 5 ms, for those who look at GPUs

    return None if ctx.settings.gpus else FarGpus(ctx).start()


def watch(
    ctx: Context, interval_s: float, *, has_far: bool = False, patience_s: float = FIRST_LOOK_S
) -> Iterator[GpuReport]:
    """Look after look, on wish with the hosts elsewhere; what was seen is kept for ``gpu history``.

    A first look that takes longer than ``patience_s`` is given as far as it has come.
    """
    from mlconsole.telemetry.cpu import CpuMeter
    from mlconsole.telemetry.processes import ProcessTable

    ctx = ctx.seldom()
    follower = Follower(ctx, cpu_of=CpuMeter(ProcessTable()).percent)
    source = readings(ctx, interval_s, patience_s)
    keeper = Keeper(ctx)
    far, far_followers = _far(ctx) if has_far else None, FarFollowers(ctx)
    refresh_at, shown = 0.0, tuple[int, ...]()
    try:
        while not ctx.cancelled.is_set():
            if time.monotonic() >= refresh_at:
                refresh(ctx)
                refresh_at = time.monotonic() + REFRESH_S
                if far is not None:
                    far.see_to_backends()
            snapshot, elsewhere = source.latest(), far.latest() if far is not None else ()
            keeper.keep(snapshot)
            numbers = (snapshot.number, *(number for each in elsewhere for number in _numbers(each)))
            if numbers != shown:
                shown = numbers
                yield replace(follower.report(snapshot), far=far_followers.reports(elsewhere))
            ctx.cancelled.wait(interval_s)
    finally:
        source.stop()
        if far is not None:
            far.stop()
        keeper.close()


def _numbers(snapshot: GpuSnapshot) -> tuple[int, ...]:
    """What tells a look at another host from the one before; the ages of one that is away go on, coarsely."""
    return (snapshot.number, *(int(gpu.age_s // (5 if gpu.age_s < 60 else 60)) for gpu in snapshot.gpus[:1]))


class Keeper:
    """Keeps what is seen of GPUs in their history, unless another process does or it cannot be written."""

    def __init__(self, ctx: Context) -> None:
        from mlconsole.telemetry.rollups import Fold

        self._ctx, self._fold, self._counted, self._kept_s = ctx, Fold(), 0, float("-inf")
        self._history = None if ctx.settings.read_only else GpuHistory(ctx.settings.home)

    def keep(self, snapshot: GpuSnapshot) -> None:
        """Take one look in."""
        if self._history is None:
            return
        try:
            self._count(snapshot)
            if not self._history.may_record():
                return
            if time.monotonic() - self._kept_s >= KEEP_USES_S:
                self._kept_s = time.monotonic()
                keep_uses(self._ctx, self._history)
            self._history.record(self._fold.add(snapshot, self._ctx.clock().timestamp()))
        except (CatalogError, ActionFailed) as error:
            self._ctx.say(f"The GPUs' history is not kept: {error}")
            self.close()

    def _count(self, snapshot: GpuSnapshot) -> None:
        """Let the ledger know of GPUs that it has not heard of: they share the machine's price."""
        count = len(snapshot.gpus)
        if snapshot.state is not DriverState.OK or count <= self._counted:
            return
        self._counted = count
        if self._ctx.has_catalog:
            self._ctx.catalog.write(lambda db: count_gpus(db, snapshot.host, count))

    def close(self) -> None:
        """Keep what is still open, and let go."""
        history, self._history = self._history, None
        if history is None:
            return
        try:
            if history.may_record():
                history.record(self._fold.close())
        except CatalogError as error:
            self._ctx.say(f"The last seconds of the GPUs' history are lost: {error}")
        history.close()


@record
class HistoryParams:
    """Which figure of which GPU, and since when."""

    gpu: str | None = param(
        None, help="gpu:0, or the begin of a uuid; all when left out", positional=True, metavar="GPU"
    )
    figure: str = param("utilization_percent", help="which figure", choices=KEPT_FIGURES)
    since: str = param("1h", help="from when on, as in 10m, 7d or 2025-06-01", metavar="WHEN")


def history(ctx: Context, params: HistoryParams) -> Listing[GpuPast]:
    """A figure's past: a mean, a least and a most for each bucket of time.

    Raises:
        UsageError: ``--since`` is no moment.
        NotFound: no such GPU has a past.
    """
    now = ctx.clock()
    since = parse_when(params.since, now)
    if since is None:
        raise UsageError(f'"{params.since}" is no moment.', "Write 10m, 7d or 2025-06-01.")
    past = GpuHistory(ctx.settings.home, read_only=True)
    try:
        known = past.gpus()
        uuid = params.gpu or ""
        if uuid.startswith(INDEXED):
            uuid = gpu_named(uuid, one_look(ctx)).uuid
        found = [gpu for gpu in known if gpu.uuid.lower().startswith(uuid.lower())]
        if params.gpu is not None and not found:
            raise NotFound(f'No GPU "{params.gpu}" has a past.', "It is kept while: mlconsole gpu list --watch")
        start_s, end_s = int(since.timestamp()), int(now.timestamp()) + 1
        width_s = next(width for width, span_s in SPANS_S if end_s - start_s <= span_s)
        return Listing("gpu_history", [_past(past, gpu, params.figure, start_s, end_s, width_s) for gpu in found])
    finally:
        past.close()


def _past(past: GpuHistory, gpu: PastGpu, figure: str, start_s: int, end_s: int, width_s: int) -> GpuPast:
    points = past.points(gpu, figure, start_s // width_s * width_s, end_s, width_s)
    return GpuPast(gpu.host, gpu.uuid, gpu.name, gpu.source.value, figure, width_s, points)


@record
class KeepParams:
    """Which GPU, for how long, and why."""

    gpu: str = param(help="gpu:0, or the begin of a uuid", positional=True, metavar="GPU", cursor="gpu")
    time: str = param("2h", help="for how long, as in 30m or 2h; 0 takes it back", positional=True, metavar="DURATION")
    why: str = param("", help="why it is to be left alone", metavar="TEXT")


def _kept(ctx: Context, params: KeepParams) -> tuple[GpuReading, Keep]:
    seconds = parse_duration(params.time)
    if seconds is None or not 0 <= seconds <= LONGEST_KEEP_S:
        raise UsageError(f'"{params.time}" is no time to keep a GPU.', "Write 30m or 2h, a week at the most.")
    if seconds and not params.why.strip():
        raise UsageError("Why is it to be left alone?", "Say it: --why 'debugging until lunch'")
    gpu = gpu_named(params.gpu, one_look(ctx))
    return gpu, Keep(ctx.clock() + timedelta(seconds=seconds), params.why, ctx.settings.user)


def plan_keep(ctx: Context, params: KeepParams) -> Plan:
    """What would be left alone."""
    gpu, keep = _kept(ctx, params)
    step = Step(f"leave GPU {gpu.index} alone until {keep.until:%Y-%m-%d %H:%M} UTC, however idle it looks", gpu.uuid)
    command = shlex.join(["mlconsole", "gpu", "keep", params.gpu, params.time, f"--why={params.why}"])
    return Plan("gpu keep", Effect.WRITE, (step,), command=command)


def keep(ctx: Context, params: KeepParams) -> Done:
    """Ask that a GPU be left alone for a while, however idle it looks.

    Raises:
        UsageError: the time is none or beyond a week, or there is no reason.
        NotFound: there is no such GPU.
    """
    gpu, wanted = _kept(ctx, params)
    ctx.write(lambda db: put_keep(db, ctx.settings.host, gpu.uuid, wanted), durable=True)
    text = f"GPU {gpu.index} is kept until {wanted.until:%Y-%m-%d %H:%M} UTC."
    return Done("gpu", text, fields={"uuid": gpu.uuid, "until": wanted.until})


LIST = Action("gpu list", "Show GPUs, who holds them and what they cost", ListParams, Effect.READ, list_gpus)
HISTORY = Action("gpu history", "Show what a GPU did, back in time", HistoryParams, Effect.READ, history)
KEEP = Action(
    "gpu keep",
    "Leave a GPU alone for a while, however idle it looks",
    KeepParams,
    Effect.WRITE,
    keep,
    plan_keep,
    target=lambda p: p.gpu,
    key="K",
    examples=("mlconsole gpu keep gpu:4 2h --why 'debugging by hand'",),
)
