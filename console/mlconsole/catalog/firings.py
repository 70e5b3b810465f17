"""Firings of policies: recorded with the event that set them off, held back ones too, and begun by one alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from mlconsole.catalog.rows import EPOCH, json_mapping, json_of, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.catalog.watch_lease import require
from mlconsole.domain.events import Event
from mlconsole.domain.policies import Decision, Facts, Firing, FiringState, Past
from mlconsole.domain.times import from_us, to_us
from mlconsole.domain.uptime import Uptime
from mlconsole.domain.watching import Watcher
from mlconsole.errors import LeaseLost, NotFound
from mlconsole.records import asdict

T = TypeVar("T")
LIVE = "('submitting', 'queued', 'starting', 'running', 'stopping')"
COLUMNS = """firing.n, policy.name, firing.key, firing.event, firing.at_us, firing.state, firing.why, firing.action,
       firing.given, firing.chain, firing.tries, firing.begun, firing.run_id, firing.cost_microusd, firing.started_us,
       firing.ended_us, firing.who,
       (SELECT kind || ' ' || subject FROM event WHERE event.n = firing.event)"""
FROM = "FROM firing JOIN policy ON policy.n = firing.policy"
INSERT = """
INSERT OR IGNORE INTO firing (policy, key, event, at_us, boot_id, awake_us, state, why, action, given, chain, ended_us)
VALUES (:policy, :key, :event, :at_us, :boot_id, :awake_us, :state, :why, :action, :given, :chain, :ended_us)
"""
SELECT_KEY = "SELECT n FROM firing WHERE policy = :policy AND key = :key"
SELECT_PAST = "SELECT at_us, boot_id, awake_us, state FROM firing WHERE policy = :policy ORDER BY n DESC LIMIT 1000"
COUNT_IN_FLIGHT = f"""
SELECT count(*) FROM firing
LEFT JOIN run ON run.id = firing.run_id AND firing.run_id != ''
WHERE firing.policy = :policy AND (firing.state IN ('waiting', 'proposed', 'due', 'started') OR run.state IN {LIVE})
"""
SELECT_CAUSE = """
SELECT firing.chain
FROM caused
JOIN firing ON firing.n = caused.firing
WHERE caused.what IN (:event, :subject, :run, :rollout)
ORDER BY firing.n DESC
LIMIT 1
"""
SELECT_STATE = f"SELECT {COLUMNS} {FROM} WHERE firing.state = :state ORDER BY firing.n LIMIT 200"
SELECT_ONE = f"SELECT {COLUMNS} {FROM} WHERE firing.n = :n"
SELECT_OF = f"SELECT {COLUMNS} {FROM} WHERE policy.name = :name ORDER BY firing.n DESC LIMIT :limit"
SELECT_SINCE = f"SELECT {COLUMNS} {FROM} WHERE firing.at_us >= :since ORDER BY firing.n DESC LIMIT :limit"
SELECT_BY_EVENTS = f"""
SELECT {COLUMNS} {FROM} WHERE firing.event IN (SELECT value FROM json_each(:events)) ORDER BY firing.n
"""
SELECT_CAUSED = "SELECT what FROM caused WHERE firing = :n"
SELECT_RULE = """
SELECT policy.name
FROM caused
JOIN firing ON firing.n = caused.firing
JOIN policy ON policy.n = firing.policy
WHERE caused.what = :what
"""
COUNT_PROPOSED = "SELECT count(*) FROM firing WHERE state = 'proposed'"
SELECT_HOLDERS = (
    f"SELECT {COLUMNS}, firing.fence, firing.holder {FROM} WHERE firing.state = 'started' ORDER BY firing.n"
)
CLAIM = """
UPDATE firing
SET state = 'started', fence = :fence, holder = :holder, tries = tries + 1, begun = 0, started_us = :now,
    ended_us = NULL, cost_microusd = :cost, who = :who, why = :why
WHERE n = :n AND state = :before
"""
BEGIN = "UPDATE firing SET begun = 1 WHERE n = :n AND state = 'started' AND holder = :holder AND begun = 0"
IS_BEGUN = "SELECT begun FROM firing WHERE n = :n AND state = 'started' AND holder = :holder"
END = """
UPDATE firing
SET state = :state, why = :why, ended_us = :now, run_id = CASE WHEN :run_id = '' THEN run_id ELSE :run_id END
WHERE n = :n AND state = 'started' AND holder = :holder
"""
MOVE = """
UPDATE firing
SET state = :state, why = :why, who = CASE WHEN :who = '' THEN who ELSE :who END,
    ended_us = CASE WHEN :state IN ('due', 'proposed', 'waiting') THEN NULL ELSE :now END
WHERE n = :n AND state = :before
"""
NEWEST = """
SELECT (SELECT coalesce(max(n), 0) FROM run), (SELECT coalesce(max(n), 0) FROM event),
       (SELECT coalesce(max(n), 0) FROM rollout)
"""
CAUSED_RUNS = """
INSERT OR IGNORE INTO caused (what, firing) SELECT 'run:' || id, :n FROM run WHERE run.n > :after
"""
CAUSED_EVENTS = """
INSERT OR IGNORE INTO caused (what, firing) SELECT 'event:' || event.n, :n FROM event WHERE event.n > :after
"""
CAUSED_ROLLOUTS = """
INSERT OR IGNORE INTO caused (what, firing) SELECT 'rollout:' || rollout.n, :n FROM rollout WHERE rollout.n > :after
"""
SET_RUN = """
UPDATE firing SET run_id = (SELECT id FROM run WHERE run.n > :after ORDER BY run.n LIMIT 1)
WHERE n = :n AND EXISTS (SELECT 1 FROM run WHERE run.n > :after)
"""
SPENT = f"""
SELECT coalesce(sum(max(coalesce(run.cost_microusd, 0),
                        CASE WHEN firing.state = 'started' OR run.state IN {LIVE} THEN coalesce(firing.cost_microusd, 0)
                             ELSE 0 END)), 0)
FROM firing
JOIN policy ON policy.n = firing.policy
LEFT JOIN run ON run.id = firing.run_id AND firing.run_id != ''
WHERE policy.name = :name AND firing.at_us >= :since AND firing.n != :n
      AND firing.state IN ('started', 'done', 'failed', 'stuck')
"""


def chain_of(db: sqlite3.Connection, event: Event) -> tuple[str, ...]:
    """The policies that an event goes back to, through what they did, and the runs and rollouts that they began."""
    values = {"event": f"event:{event.number}", "subject": event.subject}
    values |= {name: f"{name}:{event.data.get(name)}" for name in ("run", "rollout")}
    row = db.execute(SELECT_CAUSE, values).fetchone()
    return tuple(str(name) for name in json_of(row[0])) if row else ()


def facts_of(db: sqlite3.Connection, policy: int, event: Event, now: datetime, uptime: Uptime) -> Facts:
    """What a decision about a policy is made from."""
    rows = db.execute(SELECT_PAST, {"policy": policy}).fetchall()
    past = [Past(from_us(at), Uptime(str(boot), awake), FiringState(state)) for at, boot, awake, state in rows]
    (in_flight,) = db.execute(COUNT_IN_FLIGHT, {"policy": policy}).fetchone()
    return Facts(now, uptime, past, in_flight, chain_of(db, event))


def is_known(db: sqlite3.Connection, policy: int, key: str) -> bool:
    """True when this firing was recorded before."""
    return db.execute(SELECT_KEY, {"policy": policy, "key": key}).fetchone() is not None


def record(
    db: sqlite3.Connection,
    policy: int,
    key: str,
    event: Event | None,
    decision: Decision,
    did: tuple[str, Mapping[str, Any], tuple[str, ...]],
    at: tuple[datetime, Uptime],
) -> bool:
    """Record that a policy fitted, and what becomes of it; False when that was recorded before."""
    (action, given, chain), (now, uptime) = did, at
    is_over = decision.state is FiringState.HELD
    row: dict[str, object] = {
        "policy": policy,
        "key": key,
        "event": event.number if event else None,
        "at_us": to_us(now),
    }
    row |= {"boot_id": uptime.boot_id, "awake_us": uptime.awake_us, "state": decision.state.value}
    row |= {"why": storable(decision.why), "action": action, "given": json.dumps(dict(given), default=str)}
    row |= {"chain": json.dumps(list(chain)), "ended_us": to_us(now) if is_over else None}
    return db.execute(INSERT, row).rowcount > 0


def rule_of(db: sqlite3.Connection, what: str) -> str:
    """The policy that brought something about, for use inside a transaction; see :meth:`Firings.rule_of`."""
    return _rule(db.execute(SELECT_RULE, {"what": what}).fetchall())


def _rule(rows: Sequence[Row]) -> str:
    return str(rows[0][0]) if rows else ""


def move(db: sqlite3.Connection, firing: Firing, state: FiringState, why: str, now: datetime, who: str = "") -> bool:
    """Move a firing on from the state that it was seen in; False when somebody else has."""
    row: dict[str, object] = {"n": firing.number, "state": state.value, "before": firing.state.value}
    return db.execute(MOVE, {**row, "why": storable(why), "now": to_us(now), "who": storable(who)}).rowcount > 0


def spent_microusd(db: sqlite3.Connection, policy: str, since: datetime, without: int) -> int:
    """What a policy's runs have cost since a moment, those that live with what was planned for them."""
    return int(db.execute(SPENT, {"name": storable(policy), "since": to_us(since), "n": without}).fetchone()[0])


class Doing:
    """A firing that is being carried out by one process; the audit log and the catalog know it by this.

    Args:
        firing: which one.
        holder: this process, and a text that no other try has.
        fence: the lease that it needs; None where a person does it.
    """

    def __init__(self, firing: Firing, holder: str, fence: int | None) -> None:
        self._firing, self._holder, self._fence = firing, holder, fence
        self.actor = f"policy:{firing.policy}"
        self.why = ""

    def claim(self, db: sqlite3.Connection, now: datetime, cost: int | None, who: str, why: str) -> bool:
        """Take the firing on; False when somebody else has."""
        if self._fence is not None:
            require(db, self._fence)
        row: dict[str, object] = {"n": self._firing.number, "before": self._firing.state.value, "fence": self._fence}
        row |= {"holder": self._holder, "now": to_us(now), "cost": cost, "who": storable(who), "why": storable(why)}
        return db.execute(CLAIM, row).rowcount > 0

    def wrap(self, change: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """The change with its cause: what it makes goes back to the firing.

        The first one needs the lease. What has begun nobody else repeats while its process lives, so that a process
        which was stopped past its lease carries it to its end.
        """

        def caused(db: sqlite3.Connection) -> T:
            mine = {"n": self._firing.number, "holder": self._holder}
            row = db.execute(IS_BEGUN, mine).fetchone()
            if row is None:
                raise LeaseLost("Another one carries this firing out.")
            if not row[0]:
                if self._fence is not None:
                    require(db, self._fence)
                db.execute(BEGIN, mine)
            runs, events, rollouts = db.execute(NEWEST).fetchone()
            result = change(db)
            db.execute(CAUSED_RUNS, {**mine, "after": runs})
            db.execute(SET_RUN, {**mine, "after": runs})
            db.execute(CAUSED_EVENTS, {**mine, "after": events})
            db.execute(CAUSED_ROLLOUTS, {**mine, "after": rollouts})
            return result

        return caused

    def end(self, db: sqlite3.Connection, state: FiringState, why: str, now: datetime, run_id: str = "") -> bool:
        """Record what came of it; False when it is not ours any more."""
        row: dict[str, object] = {"n": self._firing.number, "holder": self._holder, "state": state.value}
        return db.execute(END, {**row, "why": storable(why), "now": to_us(now), "run_id": run_id}).rowcount > 0


def holder_text(me: Watcher, salt: str) -> str:
    """A process as text, for a row that outlives it; ``salt`` tells its tries apart."""
    return json.dumps([salt, asdict(me)])


def holder_of(text: str) -> Watcher | None:
    """The process of such a text."""
    found = json_of(text)
    try:
        return Watcher(**found[1])
    except (TypeError, IndexError, KeyError):
        return None


class Firings:
    """The firings of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def in_state(self, state: FiringState) -> list[Firing]:
        """Those in a state, the oldest first."""
        return [_firing(row) for row in self._store.read(SELECT_STATE, {"state": state.value})]

    def get(self, number: int) -> Firing:
        """One of them.

        Raises:
            NotFound: there is none of that number.
        """
        rows = self._store.read(SELECT_ONE, {"n": number})
        if not rows:
            raise NotFound(f'No firing "{number}" in this catalog.', "List them: mlconsole policy history")
        return _firing(rows[0])

    def of_policy(self, name: str, limit: int = 100) -> list[Firing]:
        """A policy's firings, the newest first."""
        return [_firing(row) for row in self._store.read(SELECT_OF, {"name": storable(name), "limit": limit})]

    def since(self, at: datetime, limit: int = 500) -> list[Firing]:
        """Every firing from a moment on, the newest first."""
        return [_firing(row) for row in self._store.read(SELECT_SINCE, {"since": to_us(at), "limit": limit})]

    def of_events(self, events: list[int]) -> list[Firing]:
        """The firings that these events set off, the oldest first."""
        return [_firing(row) for row in self._store.read(SELECT_BY_EVENTS, {"events": json.dumps(events)})]

    def caused(self, number: int) -> list[str]:
        """What a firing's own changes brought about: ``event:NUMBER``, ``run:ID`` and ``rollout:NUMBER``."""
        return [str(what) for (what,) in self._store.read(SELECT_CAUSED, {"n": number})]

    def rule_of(self, what: str) -> str:
        """The policy that brought ``event:NUMBER``, ``run:ID`` or ``rollout:NUMBER`` about; empty for none."""
        return _rule(self._store.read(SELECT_RULE, {"what": what}))

    def proposed(self) -> int:
        """How many wait for a person."""
        return int(self._store.read(COUNT_PROPOSED)[0][0])

    def begun(self) -> list[tuple[Firing, int | None, str]]:
        """Those that somebody carries out, with the fence and the holder."""
        return [(_firing(row[:18]), row[18], str(row[19])) for row in self._store.read(SELECT_HOLDERS)]


def _firing(row: Row) -> Firing:
    n, policy, key, event, at, state, why, action, given, chain, tries, begun, run_id, cost, *times, who, told = row
    return Firing(
        n, str(policy), str(key), event, moment(at) or EPOCH, FiringState(state), str(why), str(action),
        json_mapping(given), tuple(json_of(chain)), tries, bool(begun), str(run_id), cost, moment(times[0]),
        moment(times[1]), str(who), str(told or ""),
    )  # fmt: skip
