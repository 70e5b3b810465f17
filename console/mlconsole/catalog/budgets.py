"""Budgets, how they stand, and which marks they have reached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime

from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.ledger import spent
from mlconsole.catalog.machines import hosts, machine_of
from mlconsole.catalog.rows import moment
from mlconsole.catalog.store import Row, storable
from mlconsole.domain.budgets import PERCENTS, Budget, BudgetState, Commitment, Crossing, Period, Scope, committed
from mlconsole.domain.costs import share_per_h
from mlconsole.domain.times import to_us

SELECT_ALL = "SELECT n, name, microusd, scope, who, period, is_hard FROM budget ORDER BY name"
PUT = """
INSERT INTO budget (name, microusd, scope, who, period, is_hard, set_us)
VALUES (:name, :microusd, :scope, :who, :period, :is_hard, :now)
ON CONFLICT (name) DO UPDATE
SET microusd = excluded.microusd, scope = excluded.scope, who = excluded.who, period = excluded.period,
    is_hard = excluded.is_hard, set_us = excluded.set_us
"""
DELETE = "DELETE FROM budget WHERE name = :name"
FORGET_MARKS = "DELETE FROM budget_mark WHERE budget = (SELECT n FROM budget WHERE name = :name)"
MARK = """
INSERT OR IGNORE INTO budget_mark (budget, period_us, percent, at_us, spent)
VALUES (:budget, :period_us, :percent, :at_us, :spent)
"""
SELECT_LIVE = """
SELECT account.user, account.experiment, count(nullif(lease.gpu, 0)), min(lease.until_us)
FROM lease
JOIN account ON account.n = lease.account
WHERE lease.machine = :machine AND lease.ended_us IS NULL
GROUP BY account.n
"""


def put_budget(db: sqlite3.Connection, budget: Budget, now: datetime) -> None:
    """Set a budget, or set it anew; what it had reached is told again."""
    db.execute(FORGET_MARKS, {"name": storable(budget.name)})
    row = {"name": storable(budget.name), "who": storable(budget.who), "microusd": budget.microusd}
    row |= {"scope": budget.scope.value, "period": budget.period.value, "is_hard": int(budget.is_hard)}
    db.execute(PUT, {**row, "now": to_us(now)})


def remove_budget(db: sqlite3.Connection, name: str) -> bool:
    """Take a budget away; False when there is none of that name."""
    return db.execute(DELETE, {"name": storable(name)}).rowcount > 0


def states(db: sqlite3.Connection, now: datetime, unsettled_rows: str) -> list[BudgetState]:
    """How every budget stands."""
    return [state for _, state in _states(db, now, unsettled_rows)]


def _states(db: sqlite3.Connection, now: datetime, unsettled_rows: str) -> Iterator[tuple[int, BudgetState]]:
    rows = db.execute(SELECT_ALL).fetchall()
    live = list(_live(db)) if rows else []
    for row in rows:
        budget = _budget(row)
        since, until = budget.period.around(now)
        used = spent(db, budget.scope.value, budget.who, since, unsettled_rows)
        yield row[0], BudgetState(budget, since, until, used, committed(budget, live, now, until))


def _live(db: sqlite3.Connection) -> Iterator[Commitment]:
    for host in hosts(db):
        machine = machine_of(db, host)
        if machine is None or machine.rate is None:
            continue
        for user, experiment, gpus, until in db.execute(SELECT_LIVE, {"machine": machine.number}):
            per_h = share_per_h(machine.rate, gpus, machine.count)
            yield Commitment(str(user), str(experiment), per_h, moment(until))


def crossed(db: sqlite3.Connection, now: datetime, unsettled_rows: str) -> list[Crossing]:
    """The marks that were reached since they were last looked at, each one told once a period."""
    found = []
    for number, state in _states(db, now, unsettled_rows):
        new = [percent for percent in PERCENTS if percent <= state.level and _mark(db, number, state, percent, now)]
        found += [Crossing(state.budget, percent, state.spent) for percent in new[-1:]]
    for crossing in found:
        _tell(db, crossing, now)
    return found


def _tell(db: sqlite3.Connection, crossing: Crossing, now: datetime) -> None:
    budget = crossing.budget
    told: dict[str, object] = {"budget": budget.name, "percent": crossing.percent, "scope": budget.scope.value}
    told |= {"who": budget.who, "spent_usd": crossing.spent / 1e6, "limit_usd": budget.microusd / 1e6}
    emit(db, "budget.spent", f"budget:{budget.name}", told, now)


def _mark(db: sqlite3.Connection, budget: int, state: BudgetState, percent: int, now: datetime) -> bool:
    row = {"budget": budget, "period_us": to_us(state.since), "percent": percent}
    return db.execute(MARK, {**row, "at_us": to_us(now), "spent": state.spent}).rowcount > 0


def _budget(row: Row) -> Budget:
    _, name, microusd, scope, who, period, is_hard = row
    return Budget(str(name), microusd, Scope(scope), str(who), Period(period), bool(is_hard))
