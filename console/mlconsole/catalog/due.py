"""Whether anything waits to be done after a look at the live runs, in one statement that every refresh can pay."""

from __future__ import annotations

from datetime import datetime

from mlconsole.catalog.store import Store, storable
from mlconsole.domain.times import to_us
from mlconsole.records import record

SETTLE_AFTER_US = 3_600_000_000
SELECT_DUE = """
SELECT EXISTS (SELECT 1 FROM machine
               WHERE host = :host AND settled_us < :now
                     AND (:is_priced OR EXISTS (SELECT 1 FROM rate WHERE rate.machine = machine.n))
                     AND (settled_us < :long_ago
                          OR NOT EXISTS (SELECT 1 FROM rate WHERE rate.machine = machine.n)
                          OR EXISTS (SELECT 1 FROM lease WHERE lease.machine = machine.n AND ended_us > settled_us))),
       EXISTS (SELECT 1 FROM teardown WHERE state = 'pending'),
       EXISTS (SELECT 1 FROM finaliser CROSS JOIN run ON run.n = finaliser.run
               WHERE finaliser.state != 'done' AND run.state = 'ended'),
       EXISTS (SELECT 1 FROM run WHERE cleanup != ''),
       EXISTS (SELECT 1 FROM rollout JOIN environment ON environment.n = rollout.environment
               WHERE rollout.is_over = 0 AND rollout.next_us <= :now AND rollout.asked_by = :user
                     AND environment.host = :host)
       OR EXISTS (SELECT 1 FROM environment WHERE host = :host AND generation > 0 AND next_look_us <= :now),
       EXISTS (SELECT 1 FROM job WHERE host = :host AND waits = 1 AND claim IS NULL)
           OR EXISTS (SELECT 1 FROM job WHERE host = :host AND claim IS NOT NULL)
"""


ANY_HARD = "SELECT EXISTS (SELECT 1 FROM budget WHERE is_hard)"


@record
class Due:
    """What waits: the ledger of this machine, teardowns that nobody has seen done, ends that something is left of,
    rollouts to be carried on and environments to be looked at, and runs whose turn may have come.
    """

    ledger: bool
    teardowns: bool
    endings: bool
    rollouts: bool
    turns: bool


def due(store: Store, now: datetime, host: str, user: str, *, is_priced: bool) -> Due:
    """What waits now; ``is_priced`` says that the settings name a price for this machine."""
    values: dict[str, object] = {"host": storable(host), "user": storable(user)}
    values |= {"now": to_us(now), "long_ago": to_us(now) - SETTLE_AFTER_US}
    (row,) = store.read(SELECT_DUE, {**values, "is_priced": int(is_priced)})
    ledger, teardowns, finalisers, leftovers, rollouts, turns = (bool(value) for value in row)
    return Due(ledger, teardowns, finalisers or leftovers, rollouts, turns)


def any_hard_budget(store: Store) -> bool:
    """True when some budget refuses launches."""
    return bool(store.read(ANY_HARD)[0][0])
