"""Which live deployments came of something: answered from the ancestors of what is live, kept when first asked for.

The ancestry of a deployment is found once, and again only when something that it came from has got a further past: a
trigger on new edges forgets that it is complete. Where there was more than the cap, that is kept, and said.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable

from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store
from mlconsole.domain.lineage import Node
from mlconsole.errors import Interrupted

LIVE_LINEAGE = """
CREATE TABLE deployed_from (
    node INTEGER NOT NULL REFERENCES node(n),
    deployment INTEGER NOT NULL REFERENCES node(n),
    PRIMARY KEY (node, deployment)
) STRICT, WITHOUT ROWID;
CREATE INDEX deployed_from_of ON deployed_from(deployment);
CREATE TABLE deployed_whole (
    deployment INTEGER PRIMARY KEY REFERENCES node(n),
    is_cut INTEGER NOT NULL
) STRICT;
CREATE TRIGGER edge_widens_a_past AFTER INSERT ON edge
WHEN EXISTS (SELECT 1 FROM deployed_from WHERE node = NEW.below)
BEGIN
    DELETE FROM deployed_whole WHERE deployment IN (SELECT deployment FROM deployed_from WHERE node = NEW.below);
END;
"""
LIVE = """
FROM environment
JOIN node ON node.key = 'deployment:' || environment.name || ':' || environment.generation
WHERE environment.generation > 0
"""
COLUMNS = "SELECT node.n, node.kind, node.key, node.label, node.at_us"
SELECT_UNKNOWN = f"""
{COLUMNS} {LIVE}
  AND NOT EXISTS (SELECT 1 FROM deployed_whole WHERE deployed_whole.deployment = node.n)
"""
SELECT_CUT = f"""
{COLUMNS} {LIVE}
  AND EXISTS (SELECT 1 FROM deployed_whole WHERE deployed_whole.deployment = node.n AND is_cut)
"""
SELECT_CAME = f"""
{COLUMNS} {LIVE}
  AND EXISTS (SELECT 1 FROM deployed_from WHERE deployed_from.node = :n AND deployed_from.deployment = node.n)
ORDER BY environment.name
"""
SELECT_ABOVE = """
SELECT DISTINCT edge.above FROM json_each(:numbers) AS wanted CROSS JOIN edge ON edge.below = wanted.value
"""
FORGET_FROM = f"DELETE FROM deployed_from WHERE deployment NOT IN (SELECT node.n {LIVE}) OR deployment = :n"
FORGET_WHOLE = f"DELETE FROM deployed_whole WHERE deployment NOT IN (SELECT node.n {LIVE})"
INSERT_FROM = "INSERT OR IGNORE INTO deployed_from (node, deployment) VALUES (?, ?)"
SELECT_OPEN = """
SELECT 1
FROM deployed_from AS mine
JOIN edge ON edge.below = mine.node
WHERE mine.deployment = :n
  AND NOT EXISTS (SELECT 1 FROM deployed_from AS kept WHERE kept.node = edge.above AND kept.deployment = :n)
LIMIT 1
"""
INSERT_WHOLE = "INSERT OR REPLACE INTO deployed_whole (deployment, is_cut) VALUES (?, ?)"
MOST = 250_000
AT_ONCE = 2_000


class LiveLineage:
    """What is live, and what it came from.

    Args:
        store: the catalog's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def came_of(self, number: int) -> list[Node]:
        """The live deployments that came of a node, by environment; of those that :meth:`unknown` does not name."""
        return [_node(row) for row in self._store.read(SELECT_CAME, {"n": number})]

    def unknown(self) -> list[Node]:
        """The live deployments whose ancestors are not kept, or not all of them."""
        return [_node(row) for row in self._store.read(SELECT_UNKNOWN)]

    def cut(self) -> list[Node]:
        """The live deployments that came from more than was looked at."""
        return [_node(row) for row in self._store.read(SELECT_CUT)]

    def ancestors(self, number: int, cancelled: Callable[[], bool], most: int = MOST) -> tuple[set[int], bool]:
        """The numbers of what a node came from, its own too, and whether there was more than ``most``.

        Raises:
            Interrupted: nobody wants the answer any more.
        """
        found, level = {number}, [number]
        while level:
            new: set[int] = set()
            for begin in range(0, len(level), AT_ONCE):
                if cancelled():
                    raise Interrupted("Interrupted.")
                wanted = json.dumps(level[begin : begin + AT_ONCE])
                new.update(row[0] for row in self._store.read(SELECT_ABOVE, {"numbers": wanted}))
            new -= found
            if len(found) + len(new) > most:
                return found, True
            found |= new
            level = sorted(new)
        return found, False


def keep_ancestors(db: sqlite3.Connection, deployment: int, numbers: Iterable[int], is_cut: bool) -> None:
    """Keep what a deployment came from, and forget the same of what is no longer live. For a write transaction.

    An edge that another process wrote since it was looked at leaves it unknown: the next who asks looks again.
    """
    db.execute(FORGET_FROM, {"n": deployment})
    db.execute(FORGET_WHOLE)
    db.executemany(INSERT_FROM, [(number, deployment) for number in sorted(numbers)])
    if is_cut or db.execute(SELECT_OPEN, {"n": deployment}).fetchone() is None:
        db.execute(INSERT_WHOLE, (deployment, is_cut))


def _node(row: Row) -> Node:
    number, kind, key, label, at = row
    return Node(number, str(kind), str(key), str(label), moment(at) or EPOCH)
