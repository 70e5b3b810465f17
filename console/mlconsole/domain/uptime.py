"""How long a machine has been up, and the numbers that stand for nobody and for no GPU in the ledger."""

from __future__ import annotations

from mlconsole.records import record

IDLE = 0
NO_GPU = 0


@record
class Uptime:
    """Which boot of the machine this is, and how long it has run; sleep counts, a change of the clock does not."""

    boot_id: str
    awake_us: int
