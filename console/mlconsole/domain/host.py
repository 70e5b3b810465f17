"""A host's processors, memory and load as they were read."""

from __future__ import annotations

from mlconsole.domain.gpu import UNREAD, Value
from mlconsole.records import record


@record
class HostReading:
    """One look at a host. ``cpu_percent`` is 0-100 over all processors since the look before.

    ``memory_used_mib`` is what a new program could not have (total less ``MemAvailable``).
    """

    cpu_percent: Value[float] = UNREAD
    memory_used_mib: Value[float] = UNREAD
    memory_total_mib: Value[float] = UNREAD
    load_1m: Value[float] = UNREAD
