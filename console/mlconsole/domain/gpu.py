"""GPUs as they were read: every figure with its age, or the word why there is none."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, Never, TypeVar

from mlconsole.records import fields, record, replace

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

NOT_READ = "not read yet"
NOT_SUPPORTED = "not supported"
NO_PERMISSION = "no permission"
NOT_VISIBLE = "host pid, not visible"


@record
class Value(Generic[T_co]):
    """A figure and its age in seconds, or None and the word why it is missing. Unknown is never zero."""

    value: T_co | None = None
    age_s: float = 0.0
    why: str = NOT_READ

    @property
    def is_known(self) -> bool:
        """True when there is a figure."""
        return self.value is not None


UNREAD: Value[Never] = Value()


def known(value: T, age_s: float = 0.0) -> Value[T]:
    """A figure that was read ``age_s`` ago."""
    return Value(value, age_s, "")


def missing(why: str) -> Value[Never]:
    """No figure, and why."""
    return Value(None, 0.0, why)


class Source(StrEnum):
    """Where readings come from; whatever is not ``NVML`` must say so wherever it is shown."""

    NVML = "nvml"
    REPLAY = "replay"
    SIMULATED = "simulated"


class GpuHealth(StrEnum):
    """What the driver says of one GPU."""

    OK = "ok"
    LOST = "lost"
    RESET_REQUIRED = "reset_required"
    NO_PERMISSION = "no_permission"
    HUNG = "hung"
    FAILING = "failing"

    @property
    def words(self) -> str:
        """The state as people read it."""
        return _HEALTH_WORDS[self][1]

    @property
    def word(self) -> str:
        """The state where there is room for one word."""
        return _HEALTH_WORDS[self][0]


_HEALTH_WORDS = {
    GpuHealth.OK: ("ok", "ok"),
    GpuHealth.LOST: ("LOST", "GPU lost"),
    GpuHealth.RESET_REQUIRED: ("RESET", "GPU needs a reset"),
    GpuHealth.NO_PERMISSION: ("REFUSED", "permission refused"),
    GpuHealth.HUNG: ("HUNG", "the driver does not answer for this GPU"),
    GpuHealth.FAILING: ("FAILING", "the driver fails for this GPU"),
}


class DriverState(StrEnum):
    """What stands between us and the readings of a host."""

    STARTING = "starting"
    OK = "ok"
    NO_DRIVER = "no_driver"
    NO_GPU = "no_gpu"
    VERSION_MISMATCH = "version_mismatch"
    NO_PERMISSION = "no_permission"
    HUNG = "hung"
    FAILED = "failed"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"
    REPLAYED = "replayed"
    SIMULATED = "simulated"

    @property
    def words(self) -> str:
        """The state as people read it."""
        return _STATE_WORDS[self]

    @property
    def has_readings(self) -> bool:
        """True while what is shown is as fresh as it gets."""
        return self in (DriverState.OK, DriverState.REPLAYED, DriverState.SIMULATED)


_STATE_WORDS = {
    DriverState.STARTING: "reading the GPUs for the first time",
    DriverState.OK: "ok",
    DriverState.NO_DRIVER: "no NVIDIA driver on this host",
    DriverState.NO_GPU: "an NVIDIA driver, but no GPU",
    DriverState.VERSION_MISMATCH: "the driver was updated under its library; restart the host or reload the driver",
    DriverState.NO_PERMISSION: "permission to the NVIDIA driver refused",
    DriverState.HUNG: "the NVIDIA driver does not answer",
    DriverState.FAILED: "the NVIDIA driver fails",
    DriverState.STOPPED: "not sampled any more",
    DriverState.UNREACHABLE: "cannot be reached",
    DriverState.REPLAYED: "replayed from a recording",
    DriverState.SIMULATED: "simulated, no real GPU",
}


class ProcessKind(StrEnum):
    """What a process uses a GPU for."""

    COMPUTE = "compute"
    GRAPHICS = "graphics"
    BOTH = "both"


@record
class GpuProcess:
    """A process that holds GPU memory.

    ``visible`` False: the pid is the host's, or hidden from us, and tells nothing here. ``started_ticks`` (clock ticks
    since boot, proc(5) stat field 22) makes with the pid an identity that survives the pid's reuse. ``sm_percent`` is
    the share of the multiprocessors' time, 0-100. ``mig`` is the uuid of its MIG instance. ``user`` is the owner's
    name; ``run_id`` is empty until it is attributed.
    """

    pid: int
    memory_mib: Value[float] = UNREAD
    sm_percent: Value[float] = UNREAD
    kind: ProcessKind = ProcessKind.COMPUTE
    visible: bool = True
    started_ticks: int | None = None
    user: str = ""
    command: str = ""
    mig: str = ""
    run_id: str = ""


@record
class MigInstance:
    """One slice of a GPU in MIG mode; ``profile`` as NVIDIA writes it, such as ``1g.10gb``."""

    index: int
    uuid: str
    profile: str
    memory_used_mib: Value[float] = UNREAD
    memory_total_mib: Value[float] = UNREAD


@record
class XidEvent:
    """An error that the driver reported for a GPU while we watched it."""

    at: datetime
    code: int

    @property
    def words(self) -> str:
        """The code with its meaning, where it is a well-known one (NVIDIA, "XID Errors")."""
        meaning = _XID.get(self.code, "")
        return f"Xid {self.code}: {meaning}" if meaning else f"Xid {self.code}"


_XID = {
    13: "a kernel faulted on the graphics engine",
    31: "a kernel touched memory that it does not own",
    43: "a program's channel was stopped after its fault",
    45: "a program's channel was cleaned up early",
    48: "uncorrectable memory error",
    63: "a memory row or page was retired",
    64: "retiring a memory row or page failed",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    92: "many correctable memory errors",
    94: "memory error, contained to one program",
    95: "memory error, not contained",
    109: "a context switch timed out",
    119: "the GPU's own processor does not answer",
    120: "the GPU's own processor failed",
    154: "the GPU asks for a recovery action",
}


#: What holds clocks back that is a fault; the rest of the reasons is how GPUs are run.
FAULTS = ("hardware slowdown", "too hot, slowed by the driver", "too hot, slowed by the hardware", "power brake")
XID_TOLD_FOR = timedelta(hours=1)


@record
class GpuReading:
    """One look at one GPU.

    ``at`` is when the look began; ``age_s`` how long ago that was when this was handed out, by a clock that never
    jumps. Each value's own age is added to it. ``utilization_percent`` is the part of the last sample period with a
    kernel running (nvidia-smi ``utilization.gpu``), ``memory_used_mib`` excludes what the driver reserves
    (``memory.used``), ``power_w`` is instantaneous where the GPU tells that (``power.draw.instant``),
    ``power_limit_w`` the enforced one (``enforced.power.limit``), ``energy_j`` counts since the driver was loaded.
    ECC errors count since the driver was loaded, too. ``throttle`` says what holds the clocks back, in words.
    """

    host: str
    index: int
    uuid: str
    name: str
    at: datetime
    source: Source = Source.NVML
    health: GpuHealth = GpuHealth.OK
    age_s: float = 0.0
    utilization_percent: Value[float] = UNREAD
    memory_used_mib: Value[float] = UNREAD
    memory_total_mib: Value[float] = UNREAD
    power_w: Value[float] = UNREAD
    power_limit_w: Value[float] = UNREAD
    energy_j: Value[float] = UNREAD
    temperature_c: Value[float] = UNREAD
    memory_temperature_c: Value[float] = UNREAD
    sm_clock_mhz: Value[float] = UNREAD
    memory_clock_mhz: Value[float] = UNREAD
    ecc_corrected: Value[float] = UNREAD
    ecc_uncorrected: Value[float] = UNREAD
    pcie_tx_bytes_per_s: Value[float] = UNREAD
    pcie_rx_bytes_per_s: Value[float] = UNREAD
    nvlink_tx_bytes_per_s: Value[float] = UNREAD
    nvlink_rx_bytes_per_s: Value[float] = UNREAD
    throttle: Value[tuple[str, ...]] = UNREAD
    processes: Value[tuple[GpuProcess, ...]] = UNREAD
    mig: Value[tuple[MigInstance, ...]] = UNREAD
    xids: tuple[XidEvent, ...] = ()

    def figure(self, name: str) -> Value[float]:
        """The figure of that field name, one of :data:`FIGURES`."""
        value: Value[float] = getattr(self, name)
        return value

    @property
    def key(self) -> str:
        """What tells it from the others of its host: its uuid, or ``gpu:0`` while the driver has not told that."""
        return self.uuid or f"gpu:{self.index}"

    @property
    def troubles(self) -> tuple[str, ...]:
        """What the driver reports and nobody should overlook: the last error of this hour, clocks held back by a fault,
        memory errors that could not be mended. A power cap is no trouble.
        """
        found = [event.words for event in self.xids[-1:] if self.at - event.at < XID_TOLD_FOR]
        held = [words for words in self.throttle.value or () if words in FAULTS]
        found += [f"clocks held back: {', '.join(held)}"] if held else []
        lost = self.ecc_uncorrected.value
        return (*found, f"{lost:.0f} memory errors that were not corrected") if lost else tuple(found)

    def mig_of(self, process: GpuProcess) -> str:
        """The profile of the MIG instance that a process runs in; empty where it runs in none."""
        return next((each.profile for each in self.mig.value or () if process.mig and each.uuid == process.mig), "")

    def aged(self, by_s: float) -> GpuReading:
        """The same reading, handed out ``by_s`` later."""
        return replace(self, age_s=self.age_s + by_s)


#: The names of the figures that are single numbers, in the order of the fields.
FIGURES: tuple[str, ...] = tuple(f.name for f in fields(GpuReading) if f.type == "Value[float]")


@record
class GpuSnapshot:
    """What is known of a host's GPUs now.

    ``detail`` adds to ``state`` what was found; ``driver`` is its version. ``number`` grows with every change, so that
    a screen can tell that there is nothing new. ``calls`` counts the driver calls of the last round of readings.
    """

    host: str
    state: DriverState
    detail: str = ""
    driver: str = ""
    gpus: tuple[GpuReading, ...] = ()
    number: int = 0
    calls: int = 0

    @property
    def words(self) -> str:
        """The state as people read it, with what was found."""
        return f"{self.state.words} ({self.detail})" if self.detail else self.state.words
