"""What the tests of the sampler share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mlconsole.telemetry.sampler import Sampler, Timing

#: Times short enough for a test and long enough for a busy machine.
QUICK = Timing(
    interval_s=0.03,
    medium_s=0.06,
    slow_s=0.12,
    first_turn_s=10.0,
    turn_s=10.0,
    first_pause_s=0.03,
    longest_pause_s=0.1,
    avoid_s=60.0,
)
Samplers = Callable[..., Sampler]


def children(of: int | None = None) -> list[int]:
    """The pids of the sampler children of a process, of this one if none is named."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path("/proc", name, "stat").read_text()
            line = Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == (of or os.getpid()) and b"mlconsole.telemetry.child" in line:
            found.append(int(name))
    return found
