"""GPUs of the fixed catalog: a ledger with leases, a recording that stands still, and their past."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mlconsole.catalog import Catalog
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.catalog.leases import Tenant, insert_leases
from mlconsole.catalog.machines import ensure_machine, machine_of, put_rate
from mlconsole.domain.gpu import GpuReading
from mlconsole.domain.gpu_history import Bucket, PastGpu, Stat
from mlconsole.domain.prices import Rate, Tenure
from mlconsole.domain.uptime import Uptime
from mlconsole.telemetry.replay import Recording
from mlconsole.telemetry.simulation import Simulation

HOST, GPUS = "gpu-07", "gpus.jsonl"
BOOTED = Uptime("boot", 10**13)
"""How long the machine was up when its ledger began."""


def fill_ledger(db: Any, begun: datetime, live: int, bad: int) -> None:
    """A machine of eight GPUs since the first run; three of them leased by the newest runs, one was by an older one."""
    at_us = round(begun.timestamp() * 1e6)
    machine = ensure_machine(db, HOST, 8, at_us, BOOTED)
    put_rate(db, machine, Rate(98_320_000, Tenure.OWNED, 8, "a list"), at_us)
    for number, gpus, after in ((bad, (6,), 33), (live, (0, 1), 35), (live - 1, (2,), 36)):
        run_id, name, user = db.execute("SELECT id, name, user FROM run WHERE n = ?", (number,)).fetchone()
        at = begun + timedelta(minutes=after)
        readings = [GpuReading(HOST, gpu, f"SIM-00000000-0000-0000-0000-{gpu:012d}", "H100", at) for gpu in gpus]
        found = machine_of(db, HOST)
        assert found is not None
        insert_leases(db, found, Tenant(number, run_id, name, "vision", user or "ada"), readings, at)
        db.execute("UPDATE run SET gpus = ? WHERE n = ?", (len(gpus), number))


def fill_gpus(home: Path, now: datetime, live: int, bad: int) -> None:
    """A recording of the simulated GPUs that stands still, and twenty minutes of their past."""
    catalog = Catalog(home)
    ids = [run.id for run in catalog.runs.load([live, live, live - 1, live - 2, bad], metrics=())]
    catalog.close()
    runs = [ids[0], ids[0], *ids[-3:-1], "", "", ids[-1]]
    moments = [Simulation(HOST, runs, clock).latest() for clock in (lambda: 0.0, lambda: 1.0)]
    with Recording(home / GPUS) as file:
        file.add(replace(moments[0], number=1), now)
        file.add(replace(moments[1], number=2), now + timedelta(days=1))
    past = GpuHistory(home)
    past.may_record()
    ten_s = int(now.timestamp()) // 10 * 10
    for step in range(120):
        wave = 8 * math.sin(step / 9)
        for gpu in moments[0].gpus[:2]:
            stats = {"utilization_percent": Stat(10, 10 * (90 + wave), 85 + wave, 95 + wave / 2)}
            stats["power_w"] = Stat(10, 10 * (600 + 9 * wave), 580 + 9 * wave, 640 + 9 * wave)
            who = PastGpu(gpu.host, gpu.uuid, gpu.name, gpu.source)
            past.record([Bucket(who, ten_s - 10 * (120 - step), 10, stats)])
    past.close()
