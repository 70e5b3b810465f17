"""The queue and the machines as people look at them."""

from __future__ import annotations

from datetime import datetime

from mlconsole.domain.jobs import HostStatus
from mlconsole.records import record

__all__ = ["HostStatus", "JobLine"]
#: A run that writes nothing for so long may hang; that is said, and nothing is done about it.
STALL_S = 600.0


@record
class JobLine:
    """A run that waits or is under way, as the queue shows it.

    Attributes:
        id: the run's id, or the sweep's.
        turn: how many go before it, from 1; None for what does not wait here.
        attempt: which try of the run it is.
        why: why it waits, or what is known of it.
        runs: how many runs the line stands for, by state; empty for one run.
        sweep: the sweep that the run is part of, empty for none.
        silent_s: how long a running run has written nothing: no output, no metric, no checkpoint; None: not known.
    """

    id: str
    name: str
    user: str
    backend: str
    host: str
    state: str
    since: datetime
    turn: int | None = None
    priority: int = 0
    cpus: int | None = None
    gpus: int = 0
    attempt: int = 1
    why: str = ""
    runs: str = ""
    sweep: str = ""
    silent_s: float | None = None

    @property
    def is_stalled(self) -> bool:
        """True when it runs and has been silent for long: it may hang."""
        return self.silent_s is not None and self.silent_s >= STALL_S
