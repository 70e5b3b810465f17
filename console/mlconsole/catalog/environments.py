"""Environments: their pointers and the one transaction that moves one, their history, pins and freezes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from mlconsole.catalog import audit
from mlconsole.catalog.lineage import put_edge, put_node
from mlconsole.catalog.releases import Releases
from mlconsole.catalog.rows import EPOCH, json_mapping, json_of, moment
from mlconsole.catalog.store import Row, Store, Values, storable
from mlconsole.domain.contracts import Axis
from mlconsole.domain.environments import Environment, Freeze, Move, Observed, Pin, Pointer, rules
from mlconsole.domain.gates import Gate, GateKind
from mlconsole.domain.lineage import NodeKind
from mlconsole.domain.releases import short
from mlconsole.domain.rollouts import Rollout
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, NotFound
from mlconsole.records import replace

INSERT = """
INSERT INTO environment (name, target, settings, host, allowed, is_production, gates, bake_us, created_us, created_by)
VALUES (:name, :target, :settings, :host, :allowed, :is_production, :gates, :bake_us, :at_us, :by)
ON CONFLICT DO NOTHING
"""
SET = """
UPDATE environment
SET settings = :settings, allowed = :allowed, is_production = :is_production, gates = :gates, bake_us = :bake_us
WHERE n = :n
"""
COLUMNS = """
SELECT environment.n, environment.name, environment.target, environment.settings, environment.host,
       environment.allowed, environment.is_production, environment.gates, environment.bake_us,
       environment.created_us, environment.created_by, release.id, environment.generation, environment.observed,
       environment.observed_us, environment.breaker, environment.withdrawn
FROM environment
LEFT JOIN release ON release.n = environment.release
"""
SELECT_ALL = f"{COLUMNS} ORDER BY environment.name"
SELECT_NAMED = f"{COLUMNS} WHERE environment.name = :name"
SELECT_NUMBER = f"{COLUMNS} WHERE environment.n = :n"
SELECT_DUE = f"""{COLUMNS}
WHERE environment.host = :host AND environment.generation > 0 AND environment.withdrawn = ''
    AND environment.next_look_us <= :now
ORDER BY environment.n
"""
MOVE = """
UPDATE environment
SET release = (SELECT n FROM release WHERE id = :release), generation = :generation, next_look_us = 0,
    withdrawn = ''
WHERE n = :environment AND generation = :generation - 1
"""
SELECT_POINTER = """
SELECT environment.generation, release.id
FROM environment
LEFT JOIN release ON release.n = environment.release
WHERE environment.n = :environment
"""
INSERT_MOVE = """
INSERT INTO pointer_move (environment, generation, release, before, rollout, at_us, actor, reason)
VALUES (:environment, :generation, (SELECT n FROM release WHERE id = :release),
        (SELECT n FROM release WHERE id = :before), :rollout, :at_us, :actor, :reason)
"""
INSERT_OUTBOX = """
INSERT INTO outbox (environment, generation, rollout, made_us) VALUES (:environment, :generation, :rollout, :at_us)
"""
DELIVERED = """
UPDATE outbox SET delivered_us = :now WHERE environment = :environment AND generation <= :generation
    AND delivered_us IS NULL
"""
SELECT_MOVES = """
SELECT move.generation, release.id, before.id, move.at_us, move.actor, move.rollout, move.reason, release.name,
       rollout.state
FROM pointer_move AS move
JOIN release ON release.n = move.release
LEFT JOIN release AS before ON before.n = move.before
JOIN rollout ON rollout.n = move.rollout
WHERE move.environment = :n AND move.at_us <= :until
ORDER BY move.generation DESC
LIMIT :limit
"""
LOOKED = """
UPDATE environment
SET observed = :observed, observed_us = :now, next_look_us = :next
WHERE n = :n AND generation = :generation AND (observed_us IS NULL OR observed_us <= :now)
"""
WITHDRAW = """
UPDATE environment
SET withdrawn = :words, observed = '', observed_us = NULL
WHERE n = :n AND generation = :generation
"""
SET_BREAKER = "UPDATE environment SET breaker = :words WHERE n = :n"
PUT_PIN = """
INSERT INTO pin (environment, axis, actor, at_us, reason) VALUES (:environment, :axis, :by, :at_us, :reason)
ON CONFLICT DO UPDATE SET actor = excluded.actor, at_us = excluded.at_us, reason = excluded.reason
"""
TAKE_PIN = "DELETE FROM pin WHERE environment = :environment AND axis = :axis"
SELECT_PINS = "SELECT axis, actor, at_us, reason FROM pin WHERE environment = :environment ORDER BY axis"
PUT_FREEZE = """
INSERT INTO freeze (environment, since_us, until_us, actor, reason)
VALUES (:environment, :since, :until, :by, :reason)
"""
THAW = "UPDATE freeze SET until_us = :now WHERE environment = :environment AND until_us > :now AND since_us <= :now"
CANCEL = "DELETE FROM freeze WHERE environment = :environment AND since_us > :now"
SELECT_FREEZES = """
SELECT n, since_us, until_us, actor, reason FROM freeze WHERE environment = :environment AND until_us > :now
ORDER BY since_us
"""
PREPARED = """
INSERT INTO deployment (environment, generation, release)
VALUES (:environment, :generation, (SELECT n FROM release WHERE id = :release))
ON CONFLICT DO UPDATE SET release = excluded.release
"""
RELEASED = "DELETE FROM deployment WHERE environment = :environment AND generation = :generation"
SELECT_DEPLOYED = """
SELECT deployment.generation, release.id
FROM deployment
JOIN release ON release.n = deployment.release
WHERE deployment.environment = :environment
ORDER BY deployment.generation
"""
LAST = 1 << 62
LOOK_AGAIN_US = 30_000_000


def put_environment(db: sqlite3.Connection, new: Environment) -> None:
    """Make an environment. For a write transaction.

    Raises:
        ActionFailed: there is one of that name.
    """
    row = {"name": storable(new.name), "target": storable(new.target), "host": storable(new.host)}
    at = {"at_us": to_us(new.created_at), "by": storable(new.created_by)}
    if not db.execute(INSERT, {**row, **_changeable(new), **at}).rowcount:
        raise ActionFailed(f'There is an environment "{new.name}" already.', f"See: mlconsole env show {new.name}")
    put_node(db, NodeKind.ENVIRONMENT, f"slot:{new.name}", new.name, to_us(new.created_at))


def set_environment(db: sqlite3.Connection, changed: Environment) -> None:
    """Keep what may be changed of an environment: settings, who may move it, gates."""
    db.execute(SET, {"n": changed.number, **_changeable(changed)})


def _changeable(environment: Environment) -> dict[str, object]:
    return {
        "settings": json.dumps(dict(environment.settings)),
        "allowed": json.dumps(environment.allowed),
        "is_production": int(environment.is_production),
        "gates": json.dumps([list(gate) for gate in environment.gates]),
        "bake_us": round(environment.bake_s * 1e6),
    }


class Mover(NamedTuple):
    """Who carries a move out, where, when, and why."""

    user: str
    host: str
    at: datetime
    reason: str


def move_pointer(db: sqlite3.Connection, rollout: Rollout, mover: Mover) -> bool:
    """Move the pointer by one generation, with its history, audit row, outbox and lineage.

    False, and nothing changed, when it no longer points to where the rollout began. For a durable write transaction.
    """
    at_us = to_us(mover.at)
    row: dict[str, object] = {"environment": rollout.environment, "generation": rollout.generation}
    row |= {"release": rollout.release_id, "before": rollout.before_id, "rollout": rollout.number, "at_us": at_us}
    if not db.execute(MOVE, row).rowcount:
        return False
    db.execute(INSERT_MOVE, {**row, "actor": storable(rollout.asked_by), "reason": storable(mover.reason)})
    db.execute(INSERT_OUTBOX, row)
    params = {"generation": rollout.generation, "release": rollout.release_id, "before": rollout.before_id}
    params |= {"rollout": rollout.number, "kind": rollout.kind.value, "asked_by": rollout.asked_by}
    what = {"action": "env move", "effect": "destroy", "phase": "end", "target": rollout.name}
    who = {"at": mover.at, "actor": mover.user, "host": mover.host}
    result = f"generation {rollout.generation} is {short(rollout.release_id)}"
    audit.append(db, audit.Entry(**who, **what, params=params, result=result))  # type: ignore[arg-type]
    key, label = f"deployment:{rollout.name}:{rollout.generation}", f"{rollout.name} #{rollout.generation}"
    mine = put_node(db, NodeKind.DEPLOYMENT, key, label, at_us)
    put_edge(db, mine, f"release:{rollout.release_id}", "deployed")
    return True


def delivered(db: sqlite3.Connection, environment: int, generation: int, now: datetime) -> None:
    """Record that a target has what the pointer says; older orders are settled by it."""
    db.execute(DELIVERED, {"environment": environment, "generation": generation, "now": to_us(now)})


def looked(db: sqlite3.Connection, environment: Environment, seen: Observed, now: datetime) -> None:
    """Record what was seen of an environment, unless its pointer was moved meanwhile."""
    fields = [seen.release_id, seen.generation, seen.healthy, seen.endpoint, seen.words, seen.unreachable]
    row = {"n": environment.number, "generation": environment.pointer.generation, "now": to_us(now)}
    db.execute(LOOKED, {**row, "observed": json.dumps(fields), "next": to_us(now) + LOOK_AGAIN_US})


def set_breaker(db: sqlite3.Connection, environment: int, words: str) -> None:
    """Open the circuit breaker, with the reason; close it without one."""
    db.execute(SET_BREAKER, {"n": environment, "words": storable(words)})


def put_withdrawal(db: sqlite3.Connection, environment: Environment, words: str) -> bool:
    """Record who took down what was live; False when it was moved meanwhile."""
    row = {"n": environment.number, "generation": environment.pointer.generation, "words": storable(words)}
    return db.execute(WITHDRAW, row).rowcount > 0


def put_pin(db: sqlite3.Connection, environment: int, pin: Pin) -> None:
    """Let an axis, or with None every axis, stay as it is."""
    row = {"environment": environment, "axis": pin.axis.value if pin.axis else "", "by": storable(pin.by)}
    db.execute(PUT_PIN, {**row, "at_us": to_us(pin.at), "reason": storable(pin.reason)})


def take_pin(db: sqlite3.Connection, environment: int, axis: Axis | None) -> bool:
    """Let an axis change again; False when it was not pinned."""
    return db.execute(TAKE_PIN, {"environment": environment, "axis": axis.value if axis else ""}).rowcount > 0


def put_freeze(db: sqlite3.Connection, environment: int, freeze: Freeze) -> None:
    """Let an environment not be moved for a time."""
    row = {"environment": environment, "since": to_us(freeze.since), "until": to_us(freeze.until)}
    db.execute(PUT_FREEZE, {**row, "by": storable(freeze.by), "reason": storable(freeze.reason)})


def thaw(db: sqlite3.Connection, environment: int, now: datetime) -> int:
    """End the freezes that hold and take away those to come; returns how many there were."""
    row = {"environment": environment, "now": to_us(now)}
    return db.execute(THAW, row).rowcount + db.execute(CANCEL, row).rowcount


def note_prepared(db: sqlite3.Connection, environment: int, generation: int, release_id: str) -> None:
    """Record, before it is asked to, that a target may hold something for a generation."""
    db.execute(PREPARED, {"environment": environment, "generation": generation, "release": release_id})


def note_released(db: sqlite3.Connection, environment: int, generation: int) -> None:
    """Record that a target holds nothing for a generation any more."""
    db.execute(RELEASED, {"environment": environment, "generation": generation})


def pointer_of(db: sqlite3.Connection, environment: int) -> Pointer:
    """Where a pointer stands, as a transaction sees it."""
    generation, release_id = db.execute(SELECT_POINTER, {"environment": environment}).fetchone()
    return Pointer(str(release_id or ""), generation)


def held_back(db: sqlite3.Connection, environment: int, changed: Collection[Axis], now: datetime) -> list[str]:
    """The pins and freezes that a change of these axes runs into, in words, as a transaction sees them."""
    values = {"environment": environment, "now": to_us(now)}
    pins = _pins(db.execute(SELECT_PINS, values).fetchall())
    freezes = _freezes(db.execute(SELECT_FREEZES, values).fetchall())
    return rules(pins, freezes, changed, now)


class Environments:
    """The environments of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._releases = Releases(store)

    def all(self) -> list[Environment]:
        """Every environment, by name."""
        return [self._environment(row) for row in self._store.read(SELECT_ALL)]

    def get(self, name: str) -> Environment:
        """The environment of that name.

        Raises:
            NotFound: there is none.
        """
        rows = self._store.read(SELECT_NAMED, {"name": storable(name)})
        if not rows:
            raise NotFound(f'No environment "{name}" in this catalog.', "List them: mlconsole env list")
        return self._environment(rows[0])

    def numbered(self, number: int) -> Environment:
        """The environment of that number."""
        return self._environment(self._store.read(SELECT_NUMBER, {"n": number})[0])

    def due(self, host: str, now: datetime) -> list[Environment]:
        """Those of a host that have not been looked at for a while."""
        rows = self._store.read(SELECT_DUE, {"host": storable(host), "now": to_us(now)})
        return [self._environment(row) for row in rows]

    def moves(self, number: int, *, limit: int = -1, until: datetime | None = None) -> list[Move]:
        """How the pointer was moved, the newest first; with ``until``, as it was then."""
        values: Values = {"n": number, "limit": limit, "until": LAST if until is None else to_us(until)}
        return [_move(row) for row in self._store.read(SELECT_MOVES, values)]

    def pins(self, number: int) -> tuple[Pin, ...]:
        """What may not change."""
        return _pins(self._store.read(SELECT_PINS, {"environment": number}))

    def freezes(self, number: int, now: datetime) -> tuple[Freeze, ...]:
        """The freezes that hold now or will."""
        return _freezes(self._store.read(SELECT_FREEZES, {"environment": number, "now": to_us(now)}))

    def deployed(self, number: int) -> list[tuple[int, str]]:
        """(generation, release id) of everything that a target may hold something for."""
        rows = self._store.read(SELECT_DEPLOYED, {"environment": number})
        return [(generation, str(release_id)) for generation, release_id in rows]

    def _environment(self, row: Row) -> Environment:
        found = _environment(row)
        release_id = found.pointer.release_id
        return replace(found, release=self._releases.by_id(release_id)) if release_id else found


def _pins(rows: Sequence[Row]) -> tuple[Pin, ...]:
    return tuple(
        Pin(Axis(axis) if axis else None, str(by), moment(at) or EPOCH, str(why)) for axis, by, at, why in rows
    )


def _freezes(rows: Sequence[Row]) -> tuple[Freeze, ...]:
    return tuple(
        Freeze(n, moment(since) or EPOCH, moment(until) or EPOCH, str(by), str(why))
        for n, since, until, by, why in rows
    )


def _environment(row: Row) -> Environment:
    (n, name, target, settings, host, allowed, is_production, gates, bake, created, by, release_id, generation,
     observed, observed_at, breaker, withdrawn) = row  # fmt: skip
    return Environment(
        number=n,
        name=str(name),
        target=str(target),
        settings={key: str(value) for key, value in json_mapping(settings).items()},
        host=str(host),
        allowed=tuple(str(word) for word in json_of(allowed)),
        is_production=bool(is_production),
        gates=tuple(Gate(GateKind(kind), text) for kind, text in json_of(gates)),
        bake_s=bake / 1e6,
        created_at=moment(created) or EPOCH,
        created_by=str(by),
        pointer=Pointer(str(release_id or ""), generation),
        observed=_observed(observed, observed_at),
        breaker=str(breaker),
        withdrawn=str(withdrawn),
    )


def _observed(text: str, at: int | None) -> Observed:
    found = json_of(text)
    if not isinstance(found, list) or len(found) != 6:
        return Observed()
    release_id, generation, healthy, endpoint, words, unreachable = found
    return Observed(release_id, generation, healthy, endpoint, words, unreachable, moment(at))


def _move(row: Sequence[object]) -> Move:
    generation, release_id, before, at, by, rollout, reason, name, outcome = row
    assert isinstance(generation, int) and isinstance(at, int) and isinstance(rollout, int)
    when = moment(at) or EPOCH
    return Move(
        generation, str(release_id), str(before or ""), when, str(by), rollout, str(reason), str(name), str(outcome)
    )
