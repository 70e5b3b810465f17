"""Leases: which run holds which GPU, and which GPUs are free. What is not known to be free is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mlconsole.domain.gpu import GpuHealth, GpuProcess, GpuReading, GpuSnapshot, ProcessKind
from mlconsole.errors import ActionFailed, NoRoom
from mlconsole.records import record

STALE_S = 60.0
UNSEEN_MIB = 600.0
"""What a driver holds for itself where nobody uses the GPU, at the most."""


@record
class Lease:
    """A run's hold on a GPU. ``until`` is the end that its time limit sets, None where it has none."""

    run_id: str
    run_name: str
    user: str
    host: str
    gpu_uuid: str
    since: datetime
    until: datetime | None = None

    @property
    def words(self) -> str:
        """Whose it is, as messages say it."""
        return f'leased by run "{self.run_name}" ({self.run_id}) of {self.user}'


def why_taken(gpu: GpuReading, lease: Lease | None) -> str:
    """Why a GPU cannot be leased; empty when it can.

    A process that only draws (a display server) holds nobody up. Whatever cannot be seen may be in use: in a container,
    or beside CUDA's multi-process service, the driver lists none of those who hold the memory.
    """
    if lease is not None:
        return lease.words
    if gpu.health is not GpuHealth.OK:
        return gpu.health.words
    if gpu.age_s > STALE_S:
        return f"last seen {gpu.age_s:.0f} s ago"
    if gpu.mig.value:
        return "split into MIG instances, which are not leased"
    if gpu.processes.value is None:
        return f"its processes cannot be seen: {gpu.processes.why}"
    holders = [process for process in gpu.processes.value if process.kind is not ProcessKind.GRAPHICS]
    if holders:
        return f"held by {', '.join(holder_words(process) for process in holders)}"
    unseen = _unseen_mib(gpu, gpu.processes.value)
    return f"held by who cannot be seen: {unseen / 1024:.1f} GiB are in use" if unseen > UNSEEN_MIB else ""


def _unseen_mib(gpu: GpuReading, listed: Sequence[GpuProcess]) -> float:
    """The memory in use that none of these holds; 0 where that cannot be told."""
    told = [process.memory_mib.value for process in listed]
    if gpu.memory_used_mib.value is None or None in told:
        return 0.0
    return gpu.memory_used_mib.value - sum(each for each in told if each is not None)


def holder_words(process: GpuProcess) -> str:
    """A process that holds a GPU, as messages say it."""
    if not process.visible:
        return f"process {process.pid} (host pid, not visible)"
    about = ", ".join(word for word in (process.command, process.user) if word)
    return f"process {process.pid} ({about})" if about else f"process {process.pid}"


def choose(snapshot: GpuSnapshot, leases: Mapping[str, Lease], count: int) -> tuple[GpuReading, ...]:
    """The GPUs to lease: the first ``count`` free ones in the order of their indices.

    Args:
        snapshot: the host's GPUs as they were just seen.
        leases: who leases what, by uuid.
        count: how many are wanted.

    Raises:
        NoRoom: too few are free; the message says why for each one that is taken.
        ActionFailed: there are too few, or none can be seen.
    """
    if not snapshot.gpus or not snapshot.state.has_readings:
        raise ActionFailed(f"{_asked(count)}: {snapshot.words}.", "Look: mlconsole gpu list")
    reasons = {gpu.index: why_taken(gpu, leases.get(gpu.uuid)) for gpu in snapshot.gpus}
    free = [gpu for gpu in snapshot.gpus if not reasons[gpu.index]]
    if len(free) < count:
        taken = "; ".join(f"GPU {gpu.index} is {reasons[gpu.index]}" for gpu in snapshot.gpus if reasons[gpu.index])
        there = f"{len(free)} of {len(snapshot.gpus)} {'is' if len(free) == 1 else 'are'} free"
        hint = "Wait for one, or ask for fewer."
        error = NoRoom if len(snapshot.gpus) >= count else ActionFailed
        raise error(f"{_asked(count)} and {there}: {taken or 'there are no more'}.", hint)
    return tuple(sorted(free, key=lambda gpu: gpu.index)[:count])


def _asked(count: int) -> str:
    return f"{count} GPU{' was' if count == 1 else 's were'} asked for"


def visible_devices(gpus: Sequence[GpuReading]) -> str:
    """The value of CUDA_VISIBLE_DEVICES: uuids, which mean the same in every process and after a restart."""
    return ",".join(gpu.uuid for gpu in gpus)
