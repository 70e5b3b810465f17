"""Leases and the accounts that they charge. Their ends are written by the catalog itself, with the end of the run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlconsole.catalog.machines import MachineRow, gpu_number
from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import NO_GPU
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.domain.gpu import GpuReading
    from mlconsole.domain.leases import Lease
    from mlconsole.domain.ledger import Hold

INSERT_ACCOUNT = """
INSERT INTO account (run, run_id, attempt, name, experiment, user)
VALUES (:run, :run_id, :attempt, :name, :experiment, :user)
"""
INSERT_LEASE = """
INSERT INTO lease (account, run, machine, gpu, from_us, until_us)
VALUES (:account, :run, :machine, :gpu, :from_us, :until_us)
"""
SELECT_OPEN = """
SELECT account.run_id, coalesce(run.name, account.name), account.user, machine.host, coalesce(gpu.uuid, ''),
       lease.from_us, lease.until_us
FROM lease
JOIN account ON account.n = lease.account
JOIN machine ON machine.n = lease.machine
LEFT JOIN gpu ON gpu.n = lease.gpu
LEFT JOIN run ON run.n = lease.run
WHERE lease.ended_us IS NULL
ORDER BY machine.host, gpu.place
"""
SELECT_OPEN_GPUS = """
SELECT account.run_id, account.name, account.user, :host, gpu.uuid, lease.from_us, lease.until_us
FROM lease
JOIN account ON account.n = lease.account
JOIN gpu ON gpu.n = lease.gpu
WHERE lease.machine = :machine AND lease.ended_us IS NULL
"""
SELECT_UNSETTLED = """
SELECT account, gpu, from_us, NULL FROM lease WHERE machine = :machine AND ended_us IS NULL
UNION ALL
SELECT account, gpu, from_us, ended_us FROM lease WHERE machine = :machine AND ended_us > :settled
ORDER BY 3
"""
SELECT_RUN_LEASES = """
SELECT gpu.uuid, lease.from_us, lease.ended_us
FROM lease
JOIN gpu ON gpu.n = lease.gpu
WHERE lease.run = :run
ORDER BY lease.n
"""
SELECT_ENDED_RUNS = """
SELECT run.id, group_concat(DISTINCT gpu.uuid), min(lease.from_us), max(lease.ended_us)
FROM lease
JOIN gpu ON gpu.n = lease.gpu
JOIN run ON run.n = lease.run
WHERE run.state = 'ended' AND lease.ended_us > :since
GROUP BY run.n
HAVING max(lease.ended_us) < :until
"""
SELECT_UNREACHABLE = """
SELECT min(run.reach_since_us)
FROM lease
JOIN run ON run.n = lease.run
WHERE lease.machine = :machine AND lease.ended_us IS NULL AND run.reach = 'unreachable'
"""


@record
class Tenant:
    """A run on its way to a lease: what its account is called, and until when its time limit lets it run."""

    run: int
    run_id: str
    name: str
    experiment: str
    user: str
    attempt: int = 1
    until_us: int | None = None


def insert_leases(
    db: sqlite3.Connection, machine: MachineRow, tenant: Tenant, gpus: Sequence[GpuReading], now: datetime
) -> None:
    """Lease GPUs to a run, or its part of a machine where it wants none; for use inside a write transaction."""
    account = {"run": tenant.run, "run_id": tenant.run_id, "attempt": tenant.attempt}
    texts = {"name": tenant.name, "experiment": tenant.experiment, "user": tenant.user}
    number = db.execute(INSERT_ACCOUNT, {**account, **{key: storable(text) for key, text in texts.items()}}).lastrowid
    numbers = [gpu_number(db, machine.number, gpu.uuid, gpu.name, gpu.index) for gpu in gpus] or [NO_GPU]
    row = {"account": number, "run": tenant.run, "machine": machine.number, "from_us": to_us(now)}
    db.executemany(INSERT_LEASE, [{**row, "until_us": tenant.until_us, "gpu": gpu} for gpu in numbers])


def leases_of_gpus(db: sqlite3.Connection, machine: MachineRow) -> Mapping[str, Lease]:
    """Who leases which GPU of a machine now, by uuid."""
    rows = db.execute(SELECT_OPEN_GPUS, {"machine": machine.number, "host": machine.host})
    return {row[4]: _lease(row) for row in rows}


def unsettled(db: sqlite3.Connection, machine: MachineRow) -> list[Hold]:
    """The holds that reach beyond what the ledger has settled."""
    rows = db.execute(SELECT_UNSETTLED, {"machine": machine.number, "settled": machine.settled_us})
    from mlconsole.domain.ledger import Hold  # 6 ms, where something is charged

    return [Hold(*row) for row in rows]


def unreachable_since(db: sqlite3.Connection, machine: MachineRow) -> int | None:
    """When the first of the runs that hold a machine's leases was lost from sight; None when all can be seen."""
    found: int | None = db.execute(SELECT_UNREACHABLE, {"machine": machine.number}).fetchone()[0]
    return found


class Leases:
    """Leases of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self) -> list[Lease]:
        """Every lease that goes on; one with an empty ``gpu_uuid`` is of a run without a GPU."""
        return [_lease(row) for row in self._store.read(SELECT_OPEN)]

    def of_run(self, number: int) -> list[tuple[str, datetime, datetime | None]]:
        """The GPUs that a run had: uuid, since when, until when."""
        rows = self._store.read(SELECT_RUN_LEASES, {"run": number})
        return [(str(uuid), moment(start) or EPOCH, moment(end)) for uuid, start, end in rows]

    def ended_runs(self, since: datetime, until: datetime) -> list[tuple[str, list[str], datetime, datetime]]:
        """The runs that gave their last GPU back between two moments: id, the GPUs' uuids, since when, until when."""
        rows = self._store.read(SELECT_ENDED_RUNS, {"since": to_us(since), "until": to_us(until)})
        return [(str(n), str(uuids).split(","), moment(a) or EPOCH, moment(b) or EPOCH) for n, uuids, a, b in rows]


def _lease(row: Row) -> Lease:
    from mlconsole.domain.leases import Lease  # 5 ms, where GPUs are leased

    run_id, name, user, host, uuid, since, until = row
    return Lease(str(run_id), str(name), str(user), str(host), str(uuid), moment(since) or EPOCH, moment(until))
