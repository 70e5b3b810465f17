"""The ledger: machine time and whose it was. Rows are added, never changed or removed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlconsole.catalog.leases import unsettled
from mlconsole.catalog.machines import MachineRow, gpu_numbers, hosts, machine_of
from mlconsole.catalog.store import Row, Store
from mlconsole.domain.costs import Axis, CostItem, DayCost
from mlconsole.domain.ledger import (
    DAY_US,
    Interval,
    billed,
    intervals,
    nothing_survives_a_restart,
)
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import IDLE, Uptime

if TYPE_CHECKING:
    from mlconsole.domain.budgets import BudgetState

Energy = Callable[[str, int, int], float | None]

INSERT_TIME = """
INSERT INTO machine_time (machine, from_us, to_us, microusd) VALUES (:machine, :from_us, :to_us, :microusd)
"""
INSERT_SHARE = """
INSERT INTO ledger (machine_time, machine, day, from_us, to_us, account, gpu, gpu_us, microusd, energy_j)
VALUES (:machine_time, :machine, :day, :from_us, :to_us, :account, :gpu, :gpu_us, :microusd, :energy_j)
"""
SELECT_UUIDS = "SELECT n, uuid FROM gpu WHERE machine = :machine"
SETTLED = "UPDATE machine SET settled_us = :now, boot_id = :boot_id, awake_us = :awake_us WHERE n = :n"
ADD_TO_RUN = """
UPDATE run
SET cost_microusd = coalesce(cost_microusd, 0) + :microusd
WHERE n = (SELECT run FROM account WHERE n = :account)
"""
SELECT_LAST_SEEN = """
SELECT max(ended_us) FROM lease WHERE machine = :machine AND ended_us <= :boot_us
"""
# What is settled, and what is not yet (as JSON): account, gpu, machine, day, gpu_us, microusd, energy_j, each cut at
# the begin of the time that is asked for.
AT_MICROUSD = 7
TAIL = ", ".join(f"json_extract(value, '$[{i}]')" for i in range(8))
ROWS = f"""
WITH part AS (
    SELECT account, gpu, machine, day, from_us, to_us, gpu_us, microusd, energy_j FROM ledger WHERE to_us > :since
    UNION ALL
    SELECT {TAIL}, NULL
    FROM json_each(:tail)
    WHERE json_extract(value, '$[5]') > :since
),
piece AS (
    SELECT account, gpu, machine, day, energy_j * share AS energy_j,
           CASE share WHEN 1.0 THEN gpu_us ELSE CAST(gpu_us * share AS INTEGER) END AS gpu_us,
           CASE share WHEN 1.0 THEN microusd ELSE CAST(microusd * share AS INTEGER) END AS microusd
    FROM (
        SELECT *, CASE WHEN from_us >= :since THEN 1.0 ELSE (to_us - :since) * 1.0 / (to_us - from_us) END AS share
        FROM part
    )
)
"""
SUMS = "sum(microusd), sum(gpu_us), sum(energy_j), count(energy_j)"
SELECT_TOTALS = f"{ROWS} SELECT account = 0, {SUMS} FROM piece GROUP BY account = 0"
BY_ACCOUNT = f"""
{ROWS}
, spent AS (SELECT account, sum(microusd) AS microusd, sum(gpu_us) AS gpu_us, sum(energy_j) AS energy_j
            FROM piece WHERE account != 0 GROUP BY account)
SELECT {{key}}, {{label}}, {SUMS}
FROM spent
JOIN account ON account.n = spent.account
LEFT JOIN run ON run.n = account.run AND run.id = account.run_id
{{joins}}
GROUP BY 1
ORDER BY 3 DESC, 1
"""
TAG_JOINS = "LEFT JOIN tag ON tag.run = run.n LEFT JOIN key ON key.n = tag.key"
TAG_KEY = """CASE WHEN key.name IS NULL THEN '(no tag)' WHEN tag.value = '' THEN key.name
             ELSE key.name || '=' || tag.value END"""
BY_PLACE = f"""
{ROWS}
SELECT {{key}}, {{label}}, {SUMS}
FROM piece
JOIN machine ON machine.n = piece.machine
LEFT JOIN gpu ON gpu.n = piece.gpu
WHERE account != 0
GROUP BY 1
ORDER BY {{order}}
"""
STATEMENTS: Mapping[Axis, str] = {
    Axis.RUN: BY_ACCOUNT.format(key="account.run_id", label="coalesce(run.name, account.name)", joins=""),
    Axis.ATTEMPT: BY_ACCOUNT.format(
        key="account.run_id || '.' || account.attempt", label="coalesce(run.name, account.name)", joins=""
    ),
    Axis.EXPERIMENT: BY_ACCOUNT.format(key="account.experiment", label="account.experiment", joins=""),
    Axis.USER: BY_ACCOUNT.format(key="account.user", label="account.user", joins=""),
    Axis.TAG: BY_ACCOUNT.format(key=TAG_KEY, label=TAG_KEY, joins=TAG_JOINS),
    Axis.GPU: BY_PLACE.format(
        key="coalesce(gpu.uuid, 'no GPU on ' || machine.host)",
        label="CASE WHEN gpu.n IS NULL THEN 'no GPU' ELSE machine.host || ' GPU ' || gpu.place || ' ' || gpu.name END",
        order="3 DESC, 1",
    ),
    Axis.HOST: BY_PLACE.format(key="machine.host", label="machine.host", order="3 DESC, 1"),
    Axis.DAY: BY_PLACE.format(key="date(day * 86400, 'unixepoch')", label="''", order="1"),
}
# IDLE has no key of its own.
SELECT_DAYS = f"""
{ROWS}
SELECT date(piece.day * 86400, 'unixepoch'), CASE piece.account WHEN 0 THEN NULL ELSE {{key}} END, sum(piece.microusd)
FROM piece
JOIN machine ON machine.n = piece.machine
LEFT JOIN account ON account.n = piece.account
WHERE piece.microusd IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
"""
DAY_KEYS: Mapping[Axis, str] = {
    Axis.RUN: "account.run_id",
    Axis.EXPERIMENT: "account.experiment",
    Axis.USER: "account.user",
    Axis.HOST: "machine.host",
}
SELECT_UNBALANCED = """
SELECT machine_time.n
FROM machine_time
LEFT JOIN ledger ON ledger.machine_time = machine_time.n
GROUP BY machine_time.n
HAVING machine_time.microusd != coalesce(sum(ledger.microusd), 0)
"""
SELECT_MACHINE_TIME = "SELECT coalesce(sum(microusd), 0) FROM machine_time"
SELECT_SPENT = f"""
{ROWS}
SELECT coalesce(sum(microusd), 0)
FROM piece
LEFT JOIN account ON account.n = piece.account
WHERE :scope = 'all' OR (:scope = 'user' AND account.user = :who)
   OR (:scope = 'experiment' AND account.experiment = :who)
"""


SELECT_OPEN_TIME = """
SELECT run, account, sum(CASE gpu WHEN 0 THEN 0 ELSE max(0, coalesce(ended_us, :now) - from_us) END)
FROM lease
WHERE machine = :machine AND account IN (SELECT account FROM lease WHERE machine = :machine AND ended_us IS NULL)
GROUP BY run, account
"""
COUNT_OPEN = "SELECT count(nullif(gpu, 0)), count(*) FROM lease WHERE machine = :machine AND ended_us IS NULL"


def due(db: sqlite3.Connection, machine: MachineRow, now_us: int, now: Uptime) -> list[Interval]:
    """The intervals that a machine's ledger lacks up to now, by the last known rate; none while nobody said a price."""
    rates = [(since, rate.microusd_per_h) for since, rate in machine.rates]
    if machine.rate is None or now_us <= machine.settled_us:
        return []
    holds = unsettled(db, machine)
    boot_us = now_us - now.awake_us
    last_up = machine.settled_us
    if now.boot_id != machine.uptime.boot_id and boot_us > machine.settled_us:
        holds = nothing_survives_a_restart(holds, boot_us)
        seen = db.execute(SELECT_LAST_SEEN, {"machine": machine.number, "boot_us": boot_us}).fetchone()[0]
        last_up = max(last_up, seen or 0)
    stops = machine.rate.tenure.stops_when_off
    stretches = billed(machine.settled_us, now_us, machine.uptime, now, last_up, stops_when_off=stops)
    return intervals(stretches, rates, gpu_numbers(db, machine.number), machine.count, holds)


def settle(
    db: sqlite3.Connection, machine: MachineRow, now_us: int, now: Uptime, energy: Energy | None = None
) -> list[Interval]:
    """Write a machine's ledger up to now, inside a write transaction; returns what was added.

    ``energy`` gives the joules that the GPU of a uuid used between two moments, None where that is not known.
    """
    if machine.rate is None or now_us <= machine.settled_us:
        return []
    added = due(db, machine, now_us, now)
    uuids = dict(db.execute(SELECT_UUIDS, {"machine": machine.number})) if energy else {}
    for interval in added:
        used = {gpu: energy(uuid, interval.from_us, interval.to_us) for gpu, uuid in uuids.items()} if energy else {}
        _insert(db, machine.number, interval, used)
    for account, microusd in _by_account(added, {hold.account for hold in unsettled(db, machine)}).items():
        db.execute(ADD_TO_RUN, {"account": account, "microusd": microusd})
    row = {"n": machine.number, "now": now_us, "boot_id": now.boot_id, "awake_us": now.awake_us}
    db.execute(SETTLED, row)
    return added


def _by_account(added: Iterable[Interval], held: set[int]) -> dict[int, int]:
    sums = dict.fromkeys(held, 0)
    for share in (share for interval in added for share in interval.shares if share.account != IDLE):
        sums[share.account] = sums.get(share.account, 0) + share.microusd
    return sums


def _insert(db: sqlite3.Connection, machine: int, interval: Interval, used: Mapping[int, float | None]) -> None:
    times = {"machine": machine, "from_us": interval.from_us, "to_us": interval.to_us}
    number = db.execute(INSERT_TIME, {**times, "microusd": interval.microusd}).lastrowid
    row = {**times, "machine_time": number, "day": interval.from_us // DAY_US}
    shares = [
        {**row, "account": share.account, "gpu": share.gpu, "gpu_us": share.gpu_us, "microusd": share.microusd}
        | {"energy_j": _part(used.get(share.gpu), share.gpu_us, interval)}
        for share in interval.shares
    ]
    db.executemany(INSERT_SHARE, shares)


def _part(energy_j: float | None, gpu_us: int, interval: Interval) -> int | None:
    return None if energy_j is None else round(energy_j * gpu_us / (interval.to_us - interval.from_us))


def tail(db: sqlite3.Connection, now_us: int, host: str, now: Uptime) -> str:
    """What is not settled yet on any machine, as the sums' statements want it; of an unpriced one time alone."""
    rows: list[list[int | None]] = []
    for name in hosts(db):
        machine = machine_of(db, name)
        if machine is None:
            continue
        here = _uptime(machine, now_us, host, now)
        for interval in due(db, machine, now_us, here) or _unpriced(db, machine, now_us):
            times = (machine.number, interval.from_us // DAY_US, interval.from_us, interval.to_us)
            rows += [
                [share.account, share.gpu, *times, share.gpu_us, share.microusd if machine.rate else None]
                for share in interval.shares
            ]
    return json.dumps(rows)


def _unpriced(db: sqlite3.Connection, machine: MachineRow, now_us: int) -> list[Interval]:
    if machine.rate is not None or now_us <= machine.settled_us:
        return []
    holds, gpus = unsettled(db, machine), gpu_numbers(db, machine.number)
    return intervals([(machine.settled_us, now_us)], [(machine.settled_us, 0)], gpus, machine.count, holds)


def live_costs(db: sqlite3.Connection, now_us: int, host: str, now: Uptime) -> dict[int, tuple[int | None, int]]:
    """(unsettled micro-dollars, leased GPU microseconds in all) of every run with an open lease, by its number."""
    found: dict[int, tuple[int | None, int]] = {}
    for name in hosts(db):
        machine = machine_of(db, name)
        if machine is None:
            continue
        costs = _by_account(due(db, machine, now_us, _uptime(machine, now_us, host, now)), set())
        for run, account, gpu_us in db.execute(SELECT_OPEN_TIME, {"machine": machine.number, "now": now_us}):
            found[run] = (costs.get(account, 0) if machine.rate else None, gpu_us)
    return found


def _uptime(machine: MachineRow, now_us: int, host: str, now: Uptime) -> Uptime:
    """Of another machine than ``host`` it is not known how long it was up: it is taken to have been up all the time."""
    if machine.host == host:
        return now
    return Uptime(machine.uptime.boot_id, machine.uptime.awake_us + max(0, now_us - machine.settled_us))


def spent(db: sqlite3.Connection, scope: str, who: str, since: datetime, unsettled_rows: str) -> int:
    """Micro-dollars since a moment of everything (IDLE too), of a user, or of an experiment."""
    values = {"since": to_us(since), "tail": unsettled_rows, "scope": scope, "who": who}
    return int(db.execute(SELECT_SPENT, values).fetchone()[0])


class Ledger:
    """The ledger of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sums(self, axis: Axis, since: datetime | None, unsettled_rows: str) -> list[CostItem]:
        """Costs by an axis, the dearest first, days in their order; IDLE is in none of them."""
        return [_item(row) for row in self._store.read(STATEMENTS[axis], _values(since, unsettled_rows))]

    def days(self, axis: Axis, since: datetime | None, unsettled_rows: str) -> list[DayCost]:
        """What each key of an axis cost on each day, IDLE with it; by run, experiment, user or host."""
        statement = SELECT_DAYS.format(key=DAY_KEYS[axis])
        rows = self._store.read(statement, _values(since, unsettled_rows))
        return [DayCost(str(day), None if key is None else str(key), int(cost)) for day, key, cost in rows]

    def totals(self, since: datetime | None, unsettled_rows: str) -> tuple[int | None, int | None]:
        """(IDLE, all) in micro-dollars; None where nothing was ever priced."""
        found = {bool(row[0]): row[1] for row in self._store.read(SELECT_TOTALS, _values(since, unsettled_rows))}
        known = [microusd for microusd in found.values() if microusd is not None]
        return (found.get(True) or 0, sum(known)) if known else (None, None)

    def machine_time(self, unsettled_rows: str) -> int:
        """What the machines' own time cost, from the intervals themselves and not from whose they were."""
        ((settled,),) = self._store.read(SELECT_MACHINE_TIME)
        return int(settled) + sum(row[AT_MICROUSD] or 0 for row in json.loads(unsettled_rows))

    def tail(self, now: datetime, host: str, uptime: Uptime) -> str:
        """What is not settled yet, for :meth:`sums` and :meth:`totals`."""
        return tail(self._store.connection(), to_us(now), host, uptime)

    def machines(self) -> list[MachineRow]:
        """Every machine that the ledger knows."""
        db = self._store.connection()
        found = [machine_of(db, host) for host in hosts(db)]
        return [machine for machine in found if machine is not None]

    def live_costs(self, now: datetime, host: str, uptime: Uptime) -> dict[int, tuple[int | None, int]]:
        """What live runs cost beyond what is settled, and their GPU time; see :func:`live_costs`."""
        return live_costs(self._store.connection(), to_us(now), host, uptime)

    def in_use(self, machine: MachineRow) -> tuple[int, int]:
        """How many GPUs of a machine are leased now, and how many leases there are in all."""
        ((gpus, leases),) = self._store.read(COUNT_OPEN, {"machine": machine.number})
        return gpus, leases

    def budgets(self, now: datetime, host: str, uptime: Uptime) -> list[BudgetState]:
        """How every budget stands."""
        from mlconsole.catalog.budgets import states

        return states(self._store.connection(), now, self.tail(now, host, uptime))

    def unbalanced(self) -> Sequence[int]:
        """Numbers of machine intervals whose shares do not add up to their cost: none, unless the file was damaged."""
        return [int(row[0]) for row in self._store.read(SELECT_UNBALANCED)]


def _values(since: datetime | None, unsettled_rows: str) -> dict[str, object]:
    return {"since": to_us(since) if since else -1, "tail": unsettled_rows}


def _item(row: Row) -> CostItem:
    key, label, microusd, gpu_us, energy_j, measured = row
    kwh = energy_j / 3_600_000 if measured else None
    return CostItem(str(key), str(label or ""), microusd, (gpu_us or 0) / 3_600_000_000, kwh)
