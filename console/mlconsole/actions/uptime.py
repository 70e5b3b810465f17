"""This machine's own clock."""

from __future__ import annotations

import time

from mlconsole.domain.uptime import Uptime

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def uptime() -> Uptime:
    """Which boot this is and for how long, by the clock that nobody sets and that sleep does not stop."""
    awake_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return Uptime(file.read().strip(), awake_us)
    except OSError:
        return Uptime("", awake_us)
