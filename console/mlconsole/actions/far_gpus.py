"""The GPUs of hosts elsewhere, as their backends tell of them; what was seen last is kept for while they are away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from mlconsole import backends
from mlconsole.actions.context import Context
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.config import backend_settings
from mlconsole.domain.far_gpus import FarGpu, FarProcess, HostGpus
from mlconsole.domain.gpu import (
    FIGURES,
    NOT_VISIBLE,
    UNREAD,
    DriverState,
    GpuProcess,
    GpuReading,
    GpuSnapshot,
    Value,
    known,
    missing,
)
from mlconsole.errors import CatalogError, MlconsoleError
from mlconsole.plugin_api import HasGpus
from mlconsole.records import asdict, record, replace

#: Between two questions; a backend that was told lately answers from what it knows.
EVERY_S = 2.0
#: What was seen is kept for other processes no more often than this.
KEPT_EVERY_S = 15.0
#: The history of their GPUs is kept by one process, which need not be the one that keeps this machine's.
LOCK = "gpu-far.lock"
FRESH_S = 10.0
SAME_LOOK_S = 1.0
Key = tuple[str, str]


@record
class Known:
    """What was told of a host, and when its readings were taken there, by this process's clock that never jumps.

    ``number`` grows with every other look.
    """

    told: HostGpus
    read_s: float
    number: int = 0

    def after(self, told: HostGpus, now_s: float) -> Known:
        """What is known when a host's word has come; a host that tells no GPUs takes none away."""
        has_told = bool(told.gpus) or (told.reachable and told.state != DriverState.STARTING.value)
        read_s = now_s - told.age_s if has_told else self.read_s
        fresh = replace(told, age_s=0.0, gpus=told.gpus if has_told else self.told.gpus)
        if fresh == self.told and abs(read_s - self.read_s) < SAME_LOOK_S:
            return self
        return Known(fresh, read_s, self.number + 1)


class FarGpus:
    """What is known of GPUs elsewhere; a thread of its own asks, so that a host that is away holds up nobody.

    Args:
        ctx: the session; the catalog is asked in the caller's thread alone.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._asked = threading.Event()
        self._stopped = threading.Event()
        self._known: dict[Key, Known] = {}
        self._names: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._ask, name="mlconsole-far-gpus", daemon=True)

    def start(self) -> FarGpus:
        """Begin to ask; returns at once."""
        self._remember()
        self.see_to_backends()
        self._thread.start()
        return self

    def stop(self) -> None:
        """End soon; does not wait."""
        self._stopped.set()

    def see_to_backends(self) -> None:
        """Ask those backends that somebody has set up, that have live runs, or whose hosts were seen before."""
        live = {job.backend for job in self._ctx.catalog.runs.live_jobs()} if self._ctx.has_catalog else set()
        before = {backend for backend, _ in self._known}
        self._names = tuple(name for name in backends.names() if name in live | before or _is_set_up(name))

    def wait(self, timeout_s: float) -> None:
        """Wait until every backend was asked once, but no longer than this; not at all where there is none to ask."""
        if self._names:
            self._asked.wait(timeout_s)

    def latest(self) -> tuple[GpuSnapshot, ...]:
        """Every host's GPUs with their ages; returns at once."""
        now_s, now, known = time.monotonic(), self._ctx.clock(), self._known
        return tuple(_snapshot(known[key], max(0.0, now_s - known[key].read_s), now) for key in sorted(known))

    def _remember(self) -> None:
        """What other processes have seen, with its age by the wall clock: there is no other one."""
        try:
            history = GpuHistory(self._ctx.settings.home, read_only=True)
        except CatalogError:
            return
        now, now_s = self._ctx.clock().timestamp(), time.monotonic()
        try:
            for backend, host, seen_s, document in history.far():
                told = _parse(document)
                if told is not None and backend in backends.names():
                    told = replace(told, age_s=0.0, state=DriverState.STARTING.value)
                    self._known[backend, host] = Known(told, now_s - max(0.0, now - seen_s))
        finally:
            history.close()

    def _ask(self) -> None:
        keeper = FarKeeper(self._ctx)
        while not self._stopped.is_set() and not self._ctx.cancelled.is_set():
            known = self._known
            for name in self._names:
                known = self._after(known, name)
                self._known = known  # Whole at every moment: others read it without a lock.
            # Kept before anybody is told: a command that lists them ends at once, and this thread with it.
            keeper.keep(known.values(), self.latest())
            self._asked.set()
            self._stopped.wait(EVERY_S)
        keeper.close()

    def _after(self, known: Mapping[Key, Known], name: str) -> dict[Key, Known]:
        """What is known when a backend was asked; a host that it does not name any more goes."""
        hosts = [host for backend, host in known if backend == name]
        try:
            backend = self._ctx.backend(name)
            found = backend.gpus(hosts) if isinstance(backend, HasGpus) else []
        except Exception as error:  # noqa: BLE001  a stranger's code may raise anything
            words = error.message if isinstance(error, MlconsoleError) else repr(error)
            found = [HostGpus(name, host, reachable=False, detail=words) for host in hosts]
        now_s, nothing = time.monotonic(), Known(HostGpus(name, ""), time.monotonic(), -1)
        others = {key: each for key, each in known.items() if key[0] != name}
        return others | {(name, each.host): known.get((name, each.host), nothing).after(each, now_s) for each in found}


class FarKeeper:
    """Keeps what was seen, for when a host is away and for ``gpu history``; nothing in a session that only reads.

    Args:
        ctx: the session.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._history: GpuHistory | None = None
        self._folds: dict[str, Any] = {}
        self._kept: dict[Key, float] = {}

    def keep(self, known: Iterable[Known], snapshots: Iterable[GpuSnapshot]) -> None:
        """Take one round in; what cannot be written is not kept."""
        seen = [each for each in known if each.told.reachable and each.told.gpus]
        if not seen or self._ctx.settings.read_only:
            return
        try:
            self._history = self._history or GpuHistory(self._ctx.settings.home, lock=LOCK)
            self._put_last(self._history, seen)
            if self._history.may_record():
                self._record(self._history, snapshots)
        except CatalogError as error:
            self._ctx.say(f"The GPUs' history is not kept: {error}")

    def _put_last(self, history: GpuHistory, seen: Iterable[Known]) -> None:
        now_s, wall_s = time.monotonic(), self._ctx.clock().timestamp()
        for each in seen:
            told, key = each.told, (each.told.backend, each.told.host)
            if now_s - self._kept.get(key, -KEPT_EVERY_S) >= KEPT_EVERY_S:
                history.put_far(*key, wall_s - (now_s - each.read_s), json.dumps(asdict(told)))
                self._kept[key] = now_s

    def _record(self, history: GpuHistory, snapshots: Iterable[GpuSnapshot]) -> None:
        from mlconsole.telemetry.rollups import Fold  # 3 ms, where there are GPUs

        for each in snapshots:
            fold = self._folds.setdefault(each.host, Fold(FRESH_S))
            history.record(fold.add(each, self._ctx.clock().timestamp()))

    def close(self) -> None:
        """Let another process keep them."""
        if self._history is not None:
            self._history.close()


def _is_set_up(name: str) -> bool:
    try:
        return bool(backend_settings(name))
    except MlconsoleError:
        return False


def _parse(document: str) -> HostGpus | None:
    """What another process kept; None where that cannot be read."""
    try:
        found = json.loads(document)
        gpus = tuple(FarGpu(**{**each, "processes": _processes(each["processes"])}) for each in found.pop("gpus"))
        return HostGpus(**{**found, "gpus": gpus})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _processes(found: Any) -> tuple[FarProcess, ...] | str:
    return found if isinstance(found, str) else tuple(FarProcess(**each) for each in found)


def _snapshot(known: Known, age_s: float, now: datetime) -> GpuSnapshot:
    """A host's word as the readings of this machine's GPUs are."""
    told = known.told
    state = DriverState.UNREACHABLE
    if told.reachable:
        state = DriverState(told.state) if told.state in {each.value for each in DriverState} else DriverState.FAILED
    gpus = tuple(_reading(told.host, each, age_s, now) for each in told.gpus)
    return GpuSnapshot(told.host, state, told.detail, told.driver, gpus, known.number)


def _reading(host: str, gpu: FarGpu, age_s: float, now: datetime) -> GpuReading:
    figures: Any = {name: _value(gpu.figures[name]) for name in FIGURES if name in gpu.figures}
    held = gpu.processes
    processes = missing(held) if isinstance(held, str) else known(tuple(_process(each) for each in held))
    at = now - timedelta(seconds=age_s)
    return GpuReading(host, gpu.index, gpu.uuid, gpu.name, at, age_s=age_s, processes=processes, **figures)


def _value(told: float | str) -> Value[float]:
    return missing(told) if isinstance(told, str) else known(float(told))


def _process(told: FarProcess) -> GpuProcess:
    return GpuProcess(
        told.pid,
        UNREAD if told.memory_mib is None else known(told.memory_mib),
        visible=told.visible,
        started_ticks=told.started_ticks,
        user=told.user,
        command=told.command if told.visible else NOT_VISIBLE,
        run_id=told.run_id,
    )
