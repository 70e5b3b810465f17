"""Lineage: nodes and edges, written with what they are about, and the closure upwards or downwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store, Values, storable
from mlconsole.domain.lineage import Edge, Lineage, LineageDiff, LineagePath, Node, NodeKind, Way, shortest_path
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, AmbiguousName, Interrupted, NotFound

INSERT_NODE = """
INSERT INTO node (kind, key, label, at_us) VALUES (:kind, :key, :label, :at_us) ON CONFLICT DO NOTHING
"""
INSERT_EDGE = """
INSERT INTO edge (below, above, role)
SELECT below.n, above.n, :role FROM node AS below JOIN node AS above
WHERE below.key = :below AND above.key = :above AND below.n != above.n
ON CONFLICT DO NOTHING
"""
INSERT_INNER = """
INSERT INTO logged_file (digest, node, path) SELECT :digest, n, :path FROM node WHERE key = :key ON CONFLICT DO NOTHING
"""
SELECT_WITH_FILE = """
SELECT DISTINCT node.key
FROM json_each(:digests) AS wanted
CROSS JOIN logged_file ON logged_file.digest = wanted.value
JOIN node ON node.n = logged_file.node
"""
SELECT_MADE = """
SELECT 1
FROM edge
JOIN node AS below ON below.n = edge.below
JOIN node AS above ON above.n = edge.above
WHERE below.key = :below AND above.key = :above
"""
USED_MODEL = "used_model"
"""The kind of a run's artifact that it did not make, but began from."""
SELECT_RUN = "SELECT 'run:' || id, name, created_us FROM run WHERE n = :run"
SELECT_KEY = "SELECT n, kind, key, label, at_us FROM node WHERE key = :word"
SELECT_PREFIX = "SELECT n, kind, key, label, at_us FROM node WHERE key >= :word AND key < :after LIMIT 3"
SELECT_LABEL = "SELECT n, kind, key, label, at_us FROM node WHERE label = :word ORDER BY n DESC LIMIT 3"
SELECT_NEWEST = """
SELECT n, kind, key, label, at_us
FROM node
WHERE key >= :word AND key < :after AND kind = 'deployment'
ORDER BY n DESC
LIMIT 1
"""
SELECT_KEYS = """
SELECT node.n, node.kind, node.key, node.label, node.at_us
FROM json_each(:keys) AS wanted
CROSS JOIN node ON node.key = wanted.value
"""
SELECT_STARTING = "SELECT n, kind, key, label, at_us FROM node WHERE key >= :word AND key < :after ORDER BY n"
SELECT_NODES = """
SELECT node.n, node.kind, node.key, node.label, node.at_us
FROM json_each(:numbers) AS wanted
CROSS JOIN node ON node.n = wanted.value
"""
SELECT_UP = """
SELECT edge.below, edge.above, edge.role
FROM json_each(:numbers) AS wanted
CROSS JOIN edge ON edge.below = wanted.value
LIMIT :most
"""
SELECT_DOWN = """
SELECT edge.below, edge.above, edge.role
FROM json_each(:numbers) AS wanted
CROSS JOIN edge ON edge.above = wanted.value
LIMIT :most
"""
SELECT_ABOVE = """
SELECT edge.below, edge.above, edge.role FROM edge WHERE edge.below = :n ORDER BY edge.above DESC LIMIT :most
"""
SELECT_BELOW = """
SELECT edge.below, edge.above, edge.role FROM edge WHERE edge.above = :n ORDER BY edge.below DESC LIMIT :most
"""
COUNT_EDGES = """
SELECT
    wanted.value,
    (SELECT count(*) FROM (SELECT 1 FROM edge WHERE below = wanted.value LIMIT :most)),
    (SELECT count(*) FROM (SELECT 1 FROM edge WHERE above = wanted.value LIMIT :most))
FROM json_each(:numbers) AS wanted
"""
SELECT_LATEST = "SELECT n, kind, key, label, at_us FROM node ORDER BY n DESC LIMIT :most"
MOST_COUNTED = 10_000
PREFIXES = ("", "run:", "git:", "blake3:", "sha256:")
HEXADECIMAL = frozenset("0123456789abcdef")
FEWEST_CHARACTERS = 4
MOST_NODES = 10_000
MOST_EDGES = 50_000
AT_ONCE = 500
LAST_CHARACTER = "\U0010ffff"


def put_node(db: sqlite3.Connection, kind: NodeKind, key: str, label: str, at_us: int) -> str:
    """Add a node unless its key is there; returns the key as it is kept. For a write transaction."""
    kept = storable(key)
    db.execute(INSERT_NODE, {"kind": kind.value, "key": kept, "label": storable(label), "at_us": at_us})
    return kept


def put_edge(db: sqlite3.Connection, below: str, above: str, role: str) -> None:
    """Say that ``below`` was made from ``above``, both given by key. For a write transaction."""
    db.execute(INSERT_EDGE, {"below": storable(below), "above": storable(above), "role": role})


def put_run(db: sqlite3.Connection, run: int) -> str:
    """The key of a run's node, added unless it is there. For a write transaction."""
    key, name, created_us = db.execute(SELECT_RUN, {"run": run}).fetchone()
    return put_node(db, NodeKind.RUN, key, name, created_us)


def note_file(db: sqlite3.Connection, run: int, kind: str, name: str, digest: str, at: datetime) -> None:
    """Say that a run used a dataset or a model, or made a model or an artifact; one without a digest proves nothing."""
    if kind == USED_MODEL:
        _note_used_model(db, run, name, digest, at)
        return
    if not digest:
        return
    mine = put_run(db, run)
    file = put_node(db, NodeKind(kind), file_key(kind, name, digest), name, to_us(at))
    if kind == NodeKind.DATASET.value:
        put_edge(db, mine, file, "used")
    else:
        put_edge(db, file, mine, "made")


def _note_used_model(db: sqlite3.Connection, run: int, name: str, digest: str, at: datetime) -> None:
    """Say that a run began from a model: by its bytes, or by the name of a registered version."""
    if digest:
        model = put_node(db, NodeKind.MODEL, file_key("model", name, digest), name, to_us(at))
    else:
        model = version_key(name)
    mine = put_run(db, run)
    # A run that goes on from what it made itself, as one that was resumed does, is not its own past.
    if db.execute(SELECT_MADE, {"below": storable(model), "above": mine}).fetchone() is None:
        put_edge(db, mine, model, "used")


def note_inner_files(db: sqlite3.Connection, key: str, files: Iterable[tuple[str, str]]) -> None:
    """Keep which files a folder holds, by path and digest; for a write transaction."""
    rows = [{"key": storable(key), "path": storable(path), "digest": storable(digest)} for path, digest in files]
    db.executemany(INSERT_INNER, rows)


def version_key(label: str) -> str:
    """The key of a registered model's version, as ``NAME@VERSION``."""
    return f"version:{label}"


def file_key(kind: str, name: str, digest: str) -> str:
    """The key of a file's node: its digest, or what a run calls it where that is no digest of content.

    A run's log can say anything here; none of it is the key of another kind of node.
    """
    how, _, digits = digest.partition(":")
    is_digest = how in ("sha256", "blake3") or how.startswith("sha256-")
    if is_digest and len(digits) == 64 and set(digits) <= HEXADECIMAL:
        return digest
    return f"{kind}:{name}@{digest}"


def note_code(db: sqlite3.Connection, run: int, commit: str, is_dirty: bool | None, at: datetime) -> None:
    """Say which commit a run's code was, and whether it had changes beyond it; None where git did not tell."""
    if commit:
        mine = put_run(db, run)
        code = put_node(db, NodeKind.CODE, f"git:{commit}", f"commit {commit[:12]}", to_us(at))
        role = "code, changes unknown" if is_dirty is None else "code with changes" if is_dirty else "code"
        put_edge(db, mine, code, role)


def note_environment(db: sqlite3.Connection, run: int, environment: Mapping[str, object], at: datetime) -> None:
    """Say which interpreter and packages a run had; the machine's own facts are no part of it."""
    python, packages = environment.get("python"), environment.get("packages")
    if not isinstance(python, Mapping) or not isinstance(packages, (Mapping, list)):
        return
    from hashlib import sha256  # 5 ms: it loads OpenSSL

    version, implementation = str(python.get("version")), str(python.get("implementation"))
    text = json.dumps([version, implementation, environment.get("architecture"), packages], sort_keys=True)
    label = f"Python {version}, {len(packages)} packages"
    key = f"environment:{sha256(text.encode()).hexdigest()}"
    put_edge(db, put_run(db, run), put_node(db, NodeKind.ENVIRONMENT, key, label, to_us(at)), "environment")


class Closure:
    """What lies up or down of a start, level by level; capped, and given up when nobody wants it any more.

    Attributes:
        depths: the distance of every node found, in order of finding.
        edges: the edges between them.
        is_cut: whether there was more than the caps allow.
    """

    def __init__(self, store: Store, most: int, depth: int | None, cancelled: Callable[[], bool]) -> None:
        self._store = store
        self._most = most
        self._depth = depth
        self._cancelled = cancelled
        self.depths: dict[int, int] = {}
        self.edges: list[Edge] = []
        self.is_cut = False

    def grow(self, start: int, way: Way, until: int | None = None) -> Closure:
        """Look from the start until nothing is new, a cap is reached, or ``until`` was found."""
        self.depths[start] = 0
        level, depth = [start], 0
        while level and not self.is_cut and until not in self.depths:
            if depth == self._depth:
                self.is_cut = bool(self._edges(level, way, 1))
                break
            depth += 1
            level = self._next(level, way, depth)
        return self

    def _next(self, level: Sequence[int], way: Way, depth: int) -> list[int]:
        found: list[int] = []
        for begin in range(0, len(level), AT_ONCE):
            left = MOST_EDGES - len(self.edges)
            rows = self._edges(level[begin : begin + AT_ONCE], way, left + 1)
            for row in rows[:left]:
                if not self._take(Edge(*row), way, depth, found):
                    return []
            if len(rows) > left:
                self.is_cut = True
                return []
        return found

    def _take(self, edge: Edge, way: Way, depth: int, found: list[int]) -> bool:
        """Add an edge and the node behind it; False when there is no room for the node."""
        number = edge.above if way is Way.UP else edge.below
        if number not in self.depths:
            if len(self.depths) >= self._most:
                self.is_cut = True
                return False
            self.depths[number] = depth
            found.append(number)
        self.edges.append(edge)
        return True

    def _edges(self, numbers: Sequence[int], way: Way, most: int) -> list[Row]:
        if self._cancelled():
            raise Interrupted("Interrupted.")
        sql = SELECT_UP if way is Way.UP else SELECT_DOWN
        return self._store.read(sql, {"numbers": json.dumps(list(numbers)), "most": most})


class LineageGraph:
    """The lineage of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, word: str) -> Node:
        """The node with this key, label, or unique start of a key; ``run:``, ``git:`` and digest kinds may be left out.

        Raises:
            NotFound: nothing answers to it.
            AmbiguousName: several nodes do.
        """
        kept = storable(word)
        for prefix in PREFIXES:
            if rows := self._store.read(SELECT_KEY, {"word": prefix + kept}):
                return _node(rows[0])
        rows = self._store.read(SELECT_LABEL, {"word": kept})
        if not rows and len(kept) >= FEWEST_CHARACTERS:
            for prefix in PREFIXES:
                at: Values = {"word": prefix + kept, "after": prefix + kept + LAST_CHARACTER}
                rows += self._store.read(SELECT_PREFIX, at)
        if not rows:
            raise NotFound(f'Nothing in the lineage is called "{word}".', "Give a run, a dataset, a model or a commit.")
        if len(rows) > 1:
            keys = ", ".join(str(row[2])[:40] for row in rows[:3])
            raise AmbiguousName(f'"{word}" fits several things: {keys}.', "Give more of the key.")
        return _node(rows[0])

    def newest_deployment(self, environment: str) -> Node | None:
        """The last deployment of an environment; None where there was none."""
        begin = f"deployment:{storable(environment)}:"
        rows = self._store.read(SELECT_NEWEST, {"word": begin, "after": begin + LAST_CHARACTER})
        return _node(rows[0]) if rows else None

    def closure(
        self,
        start: Node,
        way: Way,
        *,
        most: int = MOST_NODES,
        depth: int | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Lineage:
        """What lies up or down of a node, the nearest first.

        Args:
            start: where to begin.
            way: in which direction.
            most: the most nodes.
            depth: the most edges in a row; None for no end.
            cancelled: asked before each query.

        Raises:
            Interrupted: nobody wants the answer any more.
        """
        found = Closure(self._store, most, depth, cancelled).grow(start.number, way)
        nodes = self._nodes(list(found.depths))
        return Lineage(
            start,
            way,
            tuple(nodes[n] for n in found.depths if n in nodes),
            tuple(found.edges),
            tuple(depth for n, depth in found.depths.items() if n in nodes),
            found.is_cut,
        )

    def latest(self, most: int) -> list[Node]:
        """The things that came last, the newest first."""
        return [_node(row) for row in self._store.read(SELECT_LATEST, {"most": most})]

    def beside(self, number: int, way: Way, most: int) -> list[Edge]:
        """At most so many edges of one node in a direction, those to the newest first."""
        sql = SELECT_ABOVE if way is Way.UP else SELECT_BELOW
        return [Edge(*row) for row in self._store.read(sql, {"n": number, "most": most})]

    def edges(self, numbers: Sequence[int], way: Way) -> list[Edge]:
        """All edges of these nodes in a direction."""
        sql = SELECT_UP if way is Way.UP else SELECT_DOWN
        return [Edge(*row) for row in self._store.read(sql, {"numbers": json.dumps(list(numbers)), "most": -1})]

    def by_key(self, keys: Sequence[str]) -> dict[str, Node]:
        """Nodes by key, those that there are."""
        rows = self._store.read(SELECT_KEYS, {"keys": json.dumps([storable(key) for key in keys])})
        return {str(row[2]): _node(row) for row in rows}

    def with_file(self, digests: Iterable[str]) -> list[str]:
        """The keys of folders that runs logged and that hold a file of one of these digests."""
        rows = self._store.read(SELECT_WITH_FILE, {"digests": json.dumps(list(digests))})
        return [str(row[0]) for row in rows]

    def starting(self, prefix: str) -> list[Node]:
        """All nodes whose key starts so, the oldest first."""
        values: Values = {"word": prefix, "after": prefix + LAST_CHARACTER}
        return [_node(row) for row in self._store.read(SELECT_STARTING, values)]

    def degrees(self, numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        """How many edges lead up and down from each node, counted as far as ten thousand."""
        rows = self._store.read(COUNT_EDGES, {"numbers": json.dumps(list(numbers)), "most": MOST_COUNTED})
        return {int(number): (int(up), int(down)) for number, up, down in rows}

    def nodes(self, numbers: Sequence[int]) -> dict[int, Node]:
        """Nodes by number."""
        return self._nodes(numbers)

    def path(self, one: Node, other: Node, cancelled: Callable[[], bool] = lambda: False) -> LineagePath:
        """A shortest way between two nodes of which one was made from the other.

        Raises:
            NotFound: neither was made from the other.
            ActionFailed: there is too much between them to tell.
        """
        is_cut = False
        for below, above in ((one, other), (other, one)):
            found = Closure(self._store, MOST_NODES, None, cancelled).grow(below.number, Way.UP, above.number)
            if above.number in found.depths:
                edges = shortest_path(found.edges, above.number, below.number)
                nodes = self._nodes([above.number, *(edge.below for edge in edges)])
                return LineagePath(tuple(nodes.values()), tuple(edges))
            is_cut = is_cut or found.is_cut
        if is_cut:
            raise ActionFailed("There is too much above them to tell in time.")
        raise NotFound(f'Neither of "{one.label}" and "{other.label}" was made from the other.')

    def diff(self, before: Node, after: Node, cancelled: Callable[[], bool] = lambda: False) -> LineageDiff:
        """What only one of two nodes was made from."""
        found = [Closure(self._store, MOST_NODES, None, cancelled).grow(n.number, Way.UP) for n in (before, after)]
        old, new = (set(one.depths) - {node.number} for one, node in zip(found, (before, after), strict=True))
        gone = self._nodes([n for n in found[0].depths if n in old - new])
        come = self._nodes([n for n in found[1].depths if n in new - old])
        is_cut = any(one.is_cut for one in found)
        return LineageDiff(before, after, tuple(gone.values()), tuple(come.values()), len(old & new), is_cut)

    def _nodes(self, numbers: Sequence[int]) -> dict[int, Node]:
        rows = self._store.read(SELECT_NODES, {"numbers": json.dumps(list(numbers))})
        return {int(row[0]): _node(row) for row in rows}


def _node(row: Row) -> Node:
    number, kind, key, label, at = row
    return Node(number, str(kind), str(key), str(label), moment(at) or EPOCH)
