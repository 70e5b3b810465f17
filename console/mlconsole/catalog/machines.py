"""Machines that the ledger knows: their GPUs, their rates, and up to where they are settled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from mlconsole.catalog.store import storable
from mlconsole.domain.prices import Rate, Tenure
from mlconsole.domain.uptime import Uptime
from mlconsole.records import record

SELECT_MACHINE = "SELECT n, gpus, settled_us, boot_id, awake_us FROM machine WHERE host = :host"
SELECT_HOSTS = "SELECT host FROM machine ORDER BY n"
INSERT_MACHINE = """
INSERT INTO machine (host, gpus, settled_us, boot_id, awake_us) VALUES (:host, :gpus, :now, :boot_id, :awake_us)
"""
SET_GPUS = "UPDATE machine SET gpus = max(gpus, :gpus) WHERE n = :n"
SELECT_GPU = "SELECT n FROM gpu WHERE machine = :machine AND uuid = :uuid"
# Of two that were ever seen in one place the later one has replaced the other.
SELECT_GPUS = "SELECT max(n) AS n FROM gpu WHERE machine = :machine GROUP BY place ORDER BY n"
INSERT_GPU = "INSERT INTO gpu (machine, uuid, name, place) VALUES (:machine, :uuid, :name, :place)"
SELECT_RATES = """
SELECT from_us, microusd_per_h, tenure, gpus, source
FROM rate
WHERE machine = :machine
ORDER BY n
"""
INSERT_RATE = """
INSERT INTO rate (machine, from_us, microusd_per_h, tenure, gpus, source)
VALUES (:machine, :from_us, :microusd_per_h, :tenure, :gpus, :source)
"""


@record
class MachineRow:
    """A machine as the ledger knows it: ``rates`` by the moment each one began, the earliest first."""

    number: int
    host: str
    gpus: int
    settled_us: int
    uptime: Uptime
    rates: tuple[tuple[int, Rate], ...] = ()

    @property
    def rate(self) -> Rate | None:
        """What it costs now, as far as anybody said."""
        return self.rates[-1][1] if self.rates else None

    @property
    def count(self) -> int:
        """How many GPUs it has."""
        return max(self.gpus, self.rate.gpus if self.rate else 0)


def machine_of(db: sqlite3.Connection, host: str) -> MachineRow | None:
    """The machine of that name, None when nothing was ever leased or priced on it."""
    row = db.execute(SELECT_MACHINE, {"host": storable(host)}).fetchone()
    if row is None:
        return None
    n, gpus, settled, boot_id, awake = row
    return MachineRow(n, host, gpus, settled, Uptime(boot_id, awake), tuple(_rates(db, n)))


def hosts(db: sqlite3.Connection) -> list[str]:
    """The names of all machines."""
    return [str(row[0]) for row in db.execute(SELECT_HOSTS)]


def _rates(db: sqlite3.Connection, machine: int) -> Iterable[tuple[int, Rate]]:
    for from_us, microusd, tenure, gpus, source in db.execute(SELECT_RATES, {"machine": machine}):
        yield from_us, Rate(microusd, Tenure(tenure), gpus, str(source))


def ensure_machine(db: sqlite3.Connection, host: str, gpus: int, now_us: int, uptime: Uptime) -> MachineRow:
    """The machine of that name, added when it is new; its ledger begins then."""
    found = machine_of(db, host)
    if found is None:
        row = {"host": storable(host), "gpus": gpus, "now": now_us}
        db.execute(INSERT_MACHINE, {**row, "boot_id": uptime.boot_id, "awake_us": uptime.awake_us})
    elif gpus > found.gpus:
        db.execute(SET_GPUS, {"n": found.number, "gpus": gpus})
    else:
        return found
    made = machine_of(db, host)
    assert made is not None
    return made


def count_gpus(db: sqlite3.Connection, host: str, gpus: int) -> None:
    """Note how many GPUs a machine was seen to have, if the ledger knows it."""
    found = machine_of(db, host)
    if found is not None and gpus > found.gpus:
        db.execute(SET_GPUS, {"n": found.number, "gpus": gpus})


def gpu_number(db: sqlite3.Connection, machine: int, uuid: str, name: str, place: int) -> int:
    """The number of a GPU, added when it is new."""
    row = db.execute(SELECT_GPU, {"machine": machine, "uuid": uuid}).fetchone()
    if row is not None:
        return int(row[0])
    values = {"machine": machine, "uuid": uuid, "name": storable(name), "place": place}
    number = db.execute(INSERT_GPU, values).lastrowid
    assert number is not None
    return number


def gpu_numbers(db: sqlite3.Connection, machine: int) -> Sequence[int]:
    """The numbers of the GPUs that a machine has now."""
    return [int(row[0]) for row in db.execute(SELECT_GPUS, {"machine": machine})]


def put_rate(db: sqlite3.Connection, machine: MachineRow, rate: Rate, now_us: int) -> MachineRow:
    """Note what a machine costs from now on; its first rate also prices all that is not settled yet."""
    if machine.rate == rate:
        return machine
    values = {"machine": machine.number, "from_us": now_us if machine.rates else machine.settled_us}
    values |= {"microusd_per_h": rate.microusd_per_h, "gpus": rate.gpus}
    db.execute(INSERT_RATE, {**values, "tenure": rate.tenure.value, "source": storable(rate.source)})
    found = machine_of(db, machine.host)
    assert found is not None
    return found
