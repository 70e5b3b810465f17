"""GPUs as people ask about them: which run, whose, what it does, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.evidence import Evidence, Holder
from mlconsole.domain.gpu import GpuReading, GpuSnapshot
from mlconsole.domain.gpu_history import PastPoint
from mlconsole.domain.idle import IdleClass, Step
from mlconsole.domain.leases import Lease
from mlconsole.records import record


@record
class Keep:
    """Somebody's word that a GPU is to be left alone until a moment, however idle it looks."""

    until: datetime
    why: str
    who: str


@record
class GpuRow:
    """One GPU with what the catalog knows of it.

    Attributes:
        reading: the last look at it; its processes have the ids of their runs where they are of one.
        lease: who leases it.
        run_id: the run that holds it, by its lease or by its processes; empty for none or more than one.
        run_name: what that run is called.
        user: whose it is: of the run, else of the processes.
        holder: who holds its memory.
        idle_class: what it does; None: too early to say.
        why: why it is taken for that.
        step: what is proposed.
        price_microusd_per_h: its part of the machine's price; None: not known.
        keep: who asked to leave it alone, until when and why.
        evidence: what speaks for and against its being at work.
        for_s: how long it has been of that class.
        left_s: what is left of a countdown; None: none is under way.
        is_far: it is in another machine, where nothing is leased, kept or proposed from here.
        away: why that machine does not tell of it now, in words; empty while it does.
    """

    reading: GpuReading
    lease: Lease | None
    run_id: str
    run_name: str
    user: str
    holder: Holder
    idle_class: IdleClass | None
    why: str
    step: Step
    price_microusd_per_h: int | None
    keep: Keep | None = None
    evidence: tuple[Evidence, ...] = ()
    for_s: float = 0.0
    left_s: float | None = None
    is_far: bool = False
    away: str = ""

    @property
    def label(self) -> str:
        """Its number, with its host where that is another machine."""
        return f"{self.reading.host}:{self.reading.index}" if self.is_far else f"{self.reading.index}"

    @property
    def is_wasted(self) -> bool:
        """True when it costs and nothing comes of it, as far as is known."""
        return self.idle_class in (IdleClass.EMPTY, IdleClass.HELD, IdleClass.ZOMBIE, IdleClass.STALLED)


@record
class GpuReport:
    """A host's GPUs, or in ``snapshot`` the words why there is nothing to show; ``far``: those of hosts elsewhere."""

    snapshot: GpuSnapshot
    rows: Sequence[GpuRow]
    far: tuple[GpuReport, ...] = ()

    @property
    def all_rows(self) -> list[GpuRow]:
        """The GPUs of this machine, then those of the others."""
        return [*self.rows, *(row for report in self.far for row in report.rows)]


@record
class GpuPast:
    """One figure of one GPU over time, in buckets of ``width_s``. ``source`` must be said unless it is ``nvml``."""

    host: str
    uuid: str
    name: str
    source: str
    figure: str
    width_s: int
    points: Sequence[PastPoint]
