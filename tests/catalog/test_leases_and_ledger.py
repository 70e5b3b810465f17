"""Leases end with their runs whatever ends them, and the ledger keeps its sums."""

from __future__ import annotations

import random
import sqlite3
from datetime import datetime, timedelta

import pytest

from catalogkit import NOW, MadeRun, put_runs
from mlconsole.catalog import Catalog
from mlconsole.catalog.leases import Tenant, insert_leases, leases_of_gpus
from mlconsole.catalog.ledger import DAY_KEYS, settle
from mlconsole.catalog.machines import MachineRow, ensure_machine, machine_of, put_rate
from mlconsole.catalog.observations import apply_observation
from mlconsole.catalog.run_changes import delete_run
from mlconsole.domain.costs import Axis
from mlconsole.domain.gpu import GpuReading
from mlconsole.domain.jobs import Observation
from mlconsole.domain.prices import Rate, Tenure
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime
from mlconsole.errors import CatalogError

HOST = "gpu-1"
RATE = Rate(8_000_000, Tenure.ON_DEMAND, 4, "a list")


def up(now: datetime) -> Uptime:
    return Uptime("boot", to_us(now) - to_us(NOW) + 86_400_000_000)


def reading(index: int) -> GpuReading:
    return GpuReading(HOST, index, f"GPU-{index}", "H100", NOW)


class Lab:
    """One machine with four GPUs at $8 an hour, and runs on it."""

    def __init__(self, catalog: Catalog, rate: Rate | None = RATE) -> None:
        self.catalog, self.rate, self.numbers = catalog, rate, iter(range(1000))
        self.write(lambda db: ensure_machine(db, HOST, 4, to_us(NOW), up(NOW)))
        if rate:
            self.write(lambda db: put_rate(db, self.machine(db), rate, to_us(NOW)))

    def write(self, change):  # type: ignore[no-untyped-def]
        return self.catalog.write(change)

    def machine(self, db: sqlite3.Connection) -> MachineRow:
        found = machine_of(db, HOST)
        assert found is not None
        return found

    def start(
        self, at: datetime, *gpus: int | GpuReading, user: str = "ann", tags: dict[str, str] | None = None
    ) -> int:
        name = f"run{next(self.numbers):09}"
        made = MadeRun(
            name, name, state=State.RUNNING, outcome=None, user=user, created=at, started=at, tags=tags or {}
        )
        (number,) = put_runs(self.catalog, [made])
        tenant = Tenant(number, name, name, "default", user)
        held = [gpu if isinstance(gpu, GpuReading) else reading(gpu) for gpu in gpus]
        self.write(lambda db: insert_leases(db, self.machine(db), tenant, held, at))
        return number

    def end(self, number: int, at: datetime, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        seen = Observation("token", State.ENDED, outcome, ended_at=at)
        self.write(lambda db: apply_observation(db, number, seen, at))

    def settle(self, at: datetime, uptime: Uptime | None = None) -> None:
        self.write(lambda db: settle(db, self.machine(db), to_us(at), uptime or up(at)))

    def sums(self, axis: Axis, at: datetime, since: datetime | None = None) -> dict[str, int | None]:
        tail = self.catalog.ledger.tail(at, HOST, up(at))
        return {item.key: item.microusd for item in self.catalog.ledger.sums(axis, since, tail)}

    def totals(self, at: datetime, since: datetime | None = None) -> tuple[int | None, int | None]:
        return self.catalog.ledger.totals(since, self.catalog.ledger.tail(at, HOST, up(at)))


def later(**parts: float) -> datetime:
    return NOW + timedelta(**parts)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_lease_ends_with_its_run_whatever_ends_it(catalog: Catalog, outcome: Outcome) -> None:
    lab = Lab(catalog)
    number = lab.start(NOW, 0, 1)

    lab.end(number, later(hours=1), outcome)

    assert catalog.leases.open() == []
    assert [end for _, _, end in catalog.leases.of_run(number)] == [later(hours=1)] * 2
    assert catalog.runs.load([number])[0].gpu_s == 7200


def test_a_lease_ends_when_its_run_is_deleted(catalog: Catalog) -> None:
    lab = Lab(catalog)
    number = lab.start(NOW, 0)

    lab.write(lambda db: delete_run(db, number))

    assert catalog.leases.open() == []


def test_a_gpu_cannot_be_leased_twice(catalog: Catalog) -> None:
    lab = Lab(catalog)
    lab.start(NOW, 0)

    with pytest.raises(CatalogError, match="UNIQUE"):
        lab.start(NOW, 0)


def test_who_holds_a_gpu_is_known_by_its_uuid(catalog: Catalog) -> None:
    lab = Lab(catalog)
    lab.start(NOW, 2, user="bob")

    held = lab.write(lambda db: leases_of_gpus(db, lab.machine(db)))

    assert {uuid: lease.user for uuid, lease in held.items()} == {"GPU-2": "bob"}


def test_runs_and_idle_are_the_machines_cost_by_every_axis(catalog: Catalog) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    lab, at, live = Lab(catalog), NOW, {}
    for _ in range(60):
        at += timedelta(seconds=rng.randrange(1, 20_000))
        if live and rng.random() < 0.5:
            gpu = rng.choice(list(live))
            lab.end(live.pop(gpu), at - timedelta(seconds=rng.randrange(0, 5)))
        elif len(live) < 4:
            gpu = rng.choice([i for i in range(4) if i not in live])
            live[gpu] = lab.start(at, gpu, user=rng.choice("ab"))
        if rng.random() < 0.6:
            lab.settle(at)

    idle, total = lab.totals(at)
    assert total == (to_us(at) - to_us(NOW)) * 8_000_000 // 3_600_000_000
    assert catalog.ledger.machine_time(catalog.ledger.tail(at, HOST, up(at))) == total
    for axis in set(Axis) - {Axis.TAG}:
        assert sum(value or 0 for value in lab.sums(axis, at).values()) + (idle or 0) == total, axis
    for axis in DAY_KEYS:
        days = catalog.ledger.days(axis, None, catalog.ledger.tail(at, HOST, up(at)))
        assert sum(each.microusd for each in days) == total, axis
        assert sum(each.microusd for each in days if each.key is None) == idle, axis
    assert catalog.ledger.unbalanced() == []


def test_what_is_not_settled_yet_counts_as_if_it_were(catalog: Catalog) -> None:
    lab = Lab(catalog)
    lab.start(NOW, 0, tags={"team": "nlp"})
    before = (lab.totals(later(hours=3)), lab.sums(Axis.TAG, later(hours=3)))

    lab.settle(later(hours=3))

    assert (lab.totals(later(hours=3)), lab.sums(Axis.TAG, later(hours=3))) == before
    assert before == ((18_000_000, 24_000_000), {"team=nlp": 6_000_000})


def test_a_gpu_that_was_replaced_counts_no_more(catalog: Catalog) -> None:
    lab = Lab(catalog)
    lab.end(lab.start(NOW, 0, 1, 2, 3), later(hours=2))
    lab.settle(later(hours=2))
    new = GpuReading(HOST, 0, "GPU-0-new", "H100", NOW)

    number = lab.start(later(hours=2), new)
    lab.end(number, later(hours=3))
    lab.settle(later(hours=3))

    assert catalog.runs.load([number])[0].cost_microusd == 2_000_000
    assert lab.totals(later(hours=3)) == (6_000_000, 24_000_000)


def test_a_sum_begins_where_it_is_asked_to(catalog: Catalog) -> None:
    lab = Lab(catalog)
    lab.start(NOW, 0)
    lab.settle(later(hours=4))

    assert lab.totals(later(hours=4), since=later(hours=3)) == (6_000_000, 8_000_000)
    assert list(lab.sums(Axis.RUN, later(hours=4), since=later(hours=3)).values()) == [2_000_000]


def test_a_machine_without_a_price_costs_an_unknown_sum_not_zero(catalog: Catalog) -> None:
    lab = Lab(catalog, rate=None)
    number = lab.start(NOW, 0)
    lab.settle(later(hours=1))

    assert lab.totals(later(hours=1)) == (None, None)
    assert list(lab.sums(Axis.RUN, later(hours=1)).values()) == [None]
    assert catalog.runs.load([number])[0].cost_microusd is None


def test_the_first_price_also_prices_what_came_before_it(catalog: Catalog) -> None:
    lab = Lab(catalog, rate=None)
    number = lab.start(NOW, 0)

    lab.write(lambda db: put_rate(db, lab.machine(db), RATE, to_us(later(hours=2))))
    lab.settle(later(hours=2))

    assert catalog.runs.load([number])[0].cost_microusd == 4_000_000


def test_a_later_price_holds_from_when_it_was_said(catalog: Catalog) -> None:
    lab = Lab(catalog)
    lab.start(NOW, 0, 1, 2, 3)
    dearer = Rate(16_000_000, Tenure.ON_DEMAND, 4, "another list")

    lab.write(lambda db: put_rate(db, lab.machine(db), dearer, to_us(later(hours=1))))
    lab.settle(later(hours=2))

    assert lab.totals(later(hours=2)) == (0, 24_000_000)


def test_money_outlives_a_deleted_run(catalog: Catalog) -> None:
    lab = Lab(catalog)
    number = lab.start(NOW, 0)
    lab.end(number, later(hours=1))
    lab.settle(later(hours=1))

    lab.write(lambda db: delete_run(db, number))

    assert lab.sums(Axis.USER, later(hours=1)) == {"ann": 2_000_000}


def test_an_end_that_is_told_late_takes_nothing_back(catalog: Catalog) -> None:
    lab = Lab(catalog)
    number = lab.start(NOW, 0)
    lab.settle(later(hours=2))

    lab.end(number, later(hours=1))
    lab.settle(later(hours=3))

    assert catalog.runs.load([number])[0].cost_microusd == 4_000_000
    assert lab.totals(later(hours=3)) == (20_000_000, 24_000_000)
    assert catalog.ledger.unbalanced() == []


def test_a_clock_set_back_adds_nothing_and_loses_nothing(catalog: Catalog) -> None:
    lab = Lab(catalog)
    lab.settle(later(hours=2))
    before = lab.totals(later(hours=2))

    lab.settle(later(hours=1))

    assert lab.totals(later(hours=1)) == before


@pytest.mark.parametrize("change", ["DELETE FROM ledger", "UPDATE ledger SET microusd = 0", "DELETE FROM machine_time"])
def test_the_ledger_is_only_added_to(catalog: Catalog, change: str) -> None:
    lab = Lab(catalog)
    lab.settle(later(hours=1))

    with pytest.raises(CatalogError, match="never"):
        lab.write(lambda db: db.execute(change))
