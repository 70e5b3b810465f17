"""Rollouts: intents first, then every state they came to, by compare-and-swap."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.firings import rule_of
from mlconsole.catalog.rows import EPOCH, json_of, moment
from mlconsole.catalog.store import Row, Store, Values, storable
from mlconsole.domain.gates import Answer, GateAnswer
from mlconsole.domain.rollouts import Rollout, RolloutKind, RolloutPage, RolloutState, RolloutStep
from mlconsole.domain.times import to_us
from mlconsole.errors import NotFound

INSERT = """
INSERT INTO rollout (environment, kind, release, before, before_generation, state, asked_by, asked_us, state_us,
                     override, message, parent)
VALUES (:environment, :kind, (SELECT n FROM release WHERE id = :release),
        (SELECT n FROM release WHERE id = :before), :generation, 'planned', :by, :now, :now, :override, '', :parent)
"""
COLUMNS = """
SELECT rollout.n, rollout.environment, environment.name, rollout.kind, release.id, before.id,
       rollout.before_generation, rollout.state, rollout.asked_by, rollout.asked_us, rollout.state_us, rollout.intent,
       rollout.override, rollout.accepted, rollout.message, rollout.answers, rollout.bake_until_us, rollout.tries,
       rollout.parent, rollout.held
FROM rollout
JOIN environment ON environment.n = rollout.environment
JOIN release ON release.n = rollout.release
LEFT JOIN release AS before ON before.n = rollout.before
"""
SELECT_ONE = f"{COLUMNS} WHERE rollout.n = :n"
SELECT_OPEN = f"{COLUMNS} WHERE rollout.is_over = 0 ORDER BY rollout.n"
SELECT_OPEN_OF = f"{COLUMNS} WHERE rollout.is_over = 0 AND rollout.environment = :environment ORDER BY rollout.n"
SELECT_DUE = f"""{COLUMNS}
WHERE rollout.is_over = 0 AND rollout.next_us <= :now AND environment.host = :host AND rollout.asked_by = :user
ORDER BY rollout.n
"""
SELECT_LAST = f"{COLUMNS} WHERE rollout.environment = :environment ORDER BY rollout.n DESC LIMIT 1"
SELECT_STEPS = "SELECT state, at_us, words FROM rollout_step WHERE rollout = :n ORDER BY n"
SELECT_HOLDER = "SELECT holder FROM rollout WHERE n = :n AND is_over = 0"
HOLD = "UPDATE rollout SET holder = :mine WHERE n = :n AND holder = :seen AND is_over = 0"
LET_GO = "UPDATE rollout SET holder = '' WHERE n = :n AND holder = :mine"
ENTER = """
UPDATE rollout
SET state = :after, state_us = :now, message = :message, tries = 0, next_us = :next, held = 0, is_over = :is_over,
    bake_until_us = coalesce(:bake_until, bake_until_us)
WHERE n = :n AND state = :before AND is_over = 0 AND (intent = :intent OR :any_intent)
"""
INSERT_STEP = "INSERT INTO rollout_step (rollout, state, at_us, words) VALUES (:n, :state, :now, :words)"
WAIT = """
UPDATE rollout
SET message = :message, answers = :answers, next_us = :next, held = :held, tries = tries + :tried
WHERE n = :n AND state = :state AND is_over = 0
"""
ABORT = "UPDATE rollout SET intent = 'abort', held = 0, next_us = 0 WHERE n = :n AND is_over = 0 AND intent = 'go'"
ACCEPT = "UPDATE rollout SET accepted = :by, held = 0, next_us = 0 WHERE n = :n AND is_over = 0 AND state = 'verifying'"
SELECT_HEALTHY = """
SELECT release.id, max(rollout.n)
FROM rollout
JOIN release ON release.n = rollout.release
WHERE rollout.environment = :environment AND rollout.state = 'done'
GROUP BY release.id
ORDER BY 2 DESC
"""
# Not what was left by going back since it was good: going back once more goes further back.
SELECT_GOOD = f"""
SELECT good.id
FROM ({SELECT_HEALTHY.replace("max(rollout.n)", "max(rollout.n) AS n")}) AS good
WHERE NOT EXISTS (SELECT 1
                  FROM rollout
                  JOIN release AS before ON before.n = rollout.before
                  WHERE rollout.environment = :environment AND rollout.state = 'done' AND before.id = good.id
                        AND rollout.kind IN ('rollback', 'automatic') AND rollout.n > good.n)
ORDER BY good.n DESC
"""
SELECT_CHILD = f"{COLUMNS} WHERE rollout.parent = :n ORDER BY rollout.n LIMIT 1"
SELECT_NEXT = "SELECT next_us FROM rollout WHERE n = :n"
COUNT_AUTOMATIC = """
SELECT count(*) FROM rollout WHERE environment = :environment AND kind = 'automatic' AND asked_us > :since
"""


def insert_rollout(db: sqlite3.Connection, new: Rollout) -> int:
    """Record the intent of a rollout; returns its number. For a durable write transaction."""
    row = {"environment": new.environment, "kind": new.kind.value, "release": new.release_id, "before": new.before_id}
    row |= {"generation": new.before_generation, "by": storable(new.asked_by), "now": to_us(new.asked_at)}
    number = db.execute(INSERT, {**row, "override": storable(new.override), "parent": new.parent}).lastrowid
    assert number is not None
    _step(db, number, RolloutState.PLANNED, new.asked_at, "")
    return number


def enter(
    db: sqlite3.Connection,
    rollout: Rollout,
    after: RolloutState,
    now: datetime,
    words: str = "",
    *,
    bake_until: datetime | None = None,
    whatever_intent: bool = False,
) -> bool:
    """Bring a rollout from the state it was read in to the next one, with its line in the journal.

    False, and nothing changed, when it is elsewhere by now, or is no longer wanted.
    """
    row: Values = {"n": rollout.number, "before": rollout.state.value, "after": after.value, "now": to_us(now)}
    row |= {"message": storable(words), "next": 0, "is_over": int(after.is_over), "intent": rollout.intent}
    bake_us = to_us(bake_until) if bake_until else None
    row |= {"bake_until": bake_us, "any_intent": int(whatever_intent)}
    if not db.execute(ENTER, row).rowcount:
        return False
    _step(db, rollout.number, after, now, words)
    return True


def _step(db: sqlite3.Connection, number: int, state: RolloutState, now: datetime, words: str) -> None:
    db.execute(INSERT_STEP, {"n": number, "state": state.value, "now": to_us(now), "words": storable(words)})


def wait(
    db: sqlite3.Connection,
    rollout: Rollout,
    until: datetime,
    message: str,
    *,
    answers: Sequence[GateAnswer] = (),
    held: bool = False,
    tried: bool = False,
) -> bool:
    """Record why a rollout stays where it is, and when to look again."""
    row = {"n": rollout.number, "state": rollout.state.value, "message": storable(message), "next": to_us(until)}
    told = json.dumps([[one.gate, one.answer.value, storable(one.words)] for one in answers])
    return db.execute(WAIT, {**row, "answers": told, "held": int(held), "tried": int(tried)}).rowcount > 0


def tell_done(db: sqlite3.Connection, rollout: Rollout, now: datetime) -> None:
    """Tell whoever waits for it that an environment serves another release."""
    emit(db, "rollout.done", f"environment:{rollout.name}", _told(db, rollout), now)


def tell_failed(db: sqlite3.Connection, rollout: Rollout, why: str, now: datetime) -> None:
    """Tell whoever waits for it that a rollout did not reach its goal."""
    emit(db, "rollout.failed", f"environment:{rollout.name}", {**_told(db, rollout), "reason": storable(why)}, now)


def _told(db: sqlite3.Connection, rollout: Rollout) -> dict[str, object]:
    told: dict[str, object] = {"environment": rollout.name, "release": rollout.release_id}
    told |= {
        "generation": rollout.generation,
        "before": rollout.before_id,
        "user": rollout.asked_by,
        "kind": rollout.kind.value,
    }
    return told | {"rollout": rollout.parent or rollout.number, "policy": rule_of(db, f"rollout:{rollout.number}")}


def rewrite_intent(db: sqlite3.Connection, number: int) -> bool:
    """Say that a rollout is to be undone; False when it is over or that was said."""
    return db.execute(ABORT, {"n": number}).rowcount > 0


def accept(db: sqlite3.Connection, number: int, by: str) -> bool:
    """Take the answers of the gates as they are; False when nothing is asked any more."""
    return db.execute(ACCEPT, {"n": number, "by": storable(by)}).rowcount > 0


def hold(db: sqlite3.Connection, number: int, seen: str, mine: str) -> bool:
    """Take a rollout to carry it on, from a holder who was seen to be gone; False when another was quicker."""
    return db.execute(HOLD, {"n": number, "seen": seen, "mine": mine}).rowcount > 0


def let_go(db: sqlite3.Connection, number: int, mine: str) -> None:
    """Give a rollout free."""
    db.execute(LET_GO, {"n": number, "mine": mine})


def open_of(db: sqlite3.Connection, environment: int) -> list[Rollout]:
    """The rollouts of an environment that are not over, as a transaction sees them."""
    return [_rollout(row) for row in db.execute(SELECT_OPEN_OF, {"environment": environment}).fetchall()]


class Rollouts:
    """The rollouts of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, number: int) -> Rollout:
        """One of them.

        Raises:
            NotFound: there is none of that number.
        """
        rows = self._store.read(SELECT_ONE, {"n": number})
        if not rows:
            raise NotFound(f'No rollout "{number}" in this catalog.', "See: mlconsole env list")
        return _rollout(rows[0])

    def page(self, number: int) -> RolloutPage:
        """One of them with its journal."""
        steps = self._store.read(SELECT_STEPS, {"n": number})
        told = tuple(RolloutStep(RolloutState(state), moment(at) or EPOCH, str(words)) for state, at, words in steps)
        return RolloutPage(self.get(number), told)

    def open(self) -> list[Rollout]:
        """Those that are not over, the oldest first."""
        return [_rollout(row) for row in self._store.read(SELECT_OPEN)]

    def open_of(self, environment: int) -> list[Rollout]:
        """Those of an environment that are not over, the oldest first."""
        return [_rollout(row) for row in self._store.read(SELECT_OPEN_OF, {"environment": environment})]

    def due(self, host: str, user: str, now: datetime) -> list[Rollout]:
        """Those that someone asked for and that have to be carried on now from this host.

        A rollout runs the commands of its environment's gates: nobody's are run in the name of another.
        """
        values = {"host": storable(host), "user": storable(user), "now": to_us(now)}
        return [_rollout(row) for row in self._store.read(SELECT_DUE, values)]

    def last(self, environment: int) -> Rollout | None:
        """The newest one of an environment."""
        rows = self._store.read(SELECT_LAST, {"environment": environment})
        return _rollout(rows[0]) if rows else None

    def holder(self, number: int) -> str | None:
        """Who carries a rollout on, empty for nobody; None when it is over."""
        rows = self._store.read(SELECT_HOLDER, {"n": number})
        return str(rows[0][0]) if rows else None

    def healthy(self, environment: int) -> list[str]:
        """The ids of releases that were rolled out to an environment and passed, the latest first."""
        return [str(row[0]) for row in self._store.read(SELECT_HEALTHY, {"environment": environment})]

    def child(self, number: int) -> Rollout | None:
        """The rollout that undoes another; None where there is none."""
        rows = self._store.read(SELECT_CHILD, {"n": number})
        return _rollout(rows[0]) if rows else None

    def pause_s(self, number: int, now: datetime) -> float:
        """How long until a rollout is to be looked at again, in seconds."""
        rows = self._store.read(SELECT_NEXT, {"n": number})
        return max(0.0, (rows[0][0] - to_us(now)) / 1e6) if rows else 0.0

    def good(self, environment: int) -> list[str]:
        """The healthy releases that were not left by going back since, the latest first."""
        return [str(row[0]) for row in self._store.read(SELECT_GOOD, {"environment": environment})]

    def automatic_since(self, environment: int, since: datetime) -> int:
        """How many rollbacks an environment has begun by itself since then."""
        values: Values = {"environment": environment, "since": to_us(since)}
        return int(self._store.read(COUNT_AUTOMATIC, values)[0][0])


def _rollout(row: Row) -> Rollout:
    (n, environment, name, kind, release_id, before, generation, state, by, asked, at, intent, override, accepted,
     message, answers, bake, tries, parent, held) = row  # fmt: skip
    return Rollout(
        number=n,
        environment=environment,
        name=str(name),
        kind=RolloutKind(kind),
        release_id=str(release_id),
        before_id=str(before or ""),
        before_generation=generation,
        state=RolloutState(state),
        asked_by=str(by),
        asked_at=moment(asked) or EPOCH,
        state_at=moment(at) or EPOCH,
        intent=str(intent),
        override=str(override),
        accepted=str(accepted),
        message=str(message),
        answers=tuple(GateAnswer(gate, Answer(answer), words) for gate, answer, words in json_of(answers)),
        bake_until=moment(bake),
        tries=tries,
        parent=parent,
        held=bool(held),
    )
