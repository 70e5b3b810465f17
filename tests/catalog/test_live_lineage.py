"""What is live and what it came from: kept when first asked for, and right whatever is written meanwhile."""

from __future__ import annotations

import random
import sqlite3

import pytest

from mlconsole.catalog import Catalog
from mlconsole.catalog.lineage import put_edge, put_node
from mlconsole.catalog.live_lineage import keep_ancestors
from mlconsole.domain.lineage import Node, NodeKind, Way
from mlconsole.errors import Interrupted

ENVIRONMENT = """
INSERT INTO environment (name, target, settings, host, allowed, is_production, gates, bake_us, created_us, created_by,
                         generation)
VALUES (?, '', '', '', '', 0, '', 0, 1, 'ann', ?)
"""


def put(catalog: Catalog, *edges: tuple[str, str]) -> None:
    """Put edges in, each (above, below); ``env:N`` is the N-th deployment of an environment."""

    def write(db: sqlite3.Connection) -> None:
        for edge in edges:
            for key in edge:
                put_node(db, NodeKind.ARTIFACT, key, key, 1)
            put_edge(db, edge[1], edge[0], "made")

    catalog.write(write)


def go_live(catalog: Catalog, name: str, generation: int) -> None:
    """Make an environment with a generation, or move the one there is."""

    def write(db: sqlite3.Connection) -> None:
        if generation == 1:
            db.execute(ENVIRONMENT, (name, 0))
        db.execute("UPDATE environment SET generation = ? WHERE name = ?", (generation, name))

    catalog.write(write)


def keep(catalog: Catalog, node: Node, most: int = 1000) -> None:
    numbers, is_cut = catalog.live_lineage.ancestors(node.number, lambda: False, most)
    catalog.write(lambda db: keep_ancestors(db, node.number, numbers, is_cut))


def came_of(catalog: Catalog, key: str) -> list[str]:
    for node in catalog.live_lineage.unknown():
        keep(catalog, node)
    return [node.key for node in catalog.live_lineage.came_of(catalog.lineage.find(key).number)]


def test_only_what_is_live_now_counts(catalog: Catalog) -> None:
    put(catalog, ("data", "run"), ("run", "deployment:prod:1"), ("new", "deployment:prod:2"), ("x", "y"))
    go_live(catalog, "prod", 1)
    assert [came_of(catalog, key) for key in ("data", "new", "x")] == [["deployment:prod:1"], [], []]

    go_live(catalog, "prod", 2)

    assert [came_of(catalog, key) for key in ("data", "new", "x")] == [[], ["deployment:prod:2"], []]
    assert catalog.store.read("SELECT DISTINCT deployment FROM deployed_from") == catalog.store.read(
        "SELECT n FROM node WHERE key = 'deployment:prod:2'"
    )


def test_a_past_that_becomes_known_later_is_found(catalog: Catalog) -> None:
    put(catalog, ("model", "deployment:prod:1"))
    go_live(catalog, "prod", 1)
    assert came_of(catalog, "model") == ["deployment:prod:1"]

    put(catalog, ("run", "model"), ("data", "run"), ("other", "unrelated"))

    assert [came_of(catalog, key) for key in ("data", "other")] == [["deployment:prod:1"], []]
    put(catalog, ("data", "another run"))
    assert catalog.live_lineage.unknown() == []


def test_an_edge_that_comes_between_looking_and_keeping_is_not_lost(catalog: Catalog) -> None:
    put(catalog, ("model", "deployment:prod:1"))
    go_live(catalog, "prod", 1)
    (node,) = catalog.live_lineage.unknown()
    numbers, is_cut = catalog.live_lineage.ancestors(node.number, lambda: False)
    put(catalog, ("data", "model"))

    catalog.write(lambda db: keep_ancestors(db, node.number, numbers, is_cut))

    assert catalog.live_lineage.unknown() == [node]
    assert came_of(catalog, "data") == ["deployment:prod:1"]


def test_more_than_the_cap_is_kept_as_such(catalog: Catalog) -> None:
    put(catalog, *((f"c{n + 1}", f"c{n}") for n in range(20)), ("c0", "deployment:prod:1"))
    go_live(catalog, "prod", 1)
    (node,) = catalog.live_lineage.unknown()

    keep(catalog, node, most=5)

    assert catalog.live_lineage.cut() == [node]
    assert catalog.live_lineage.unknown() == []


def test_looking_stops_when_nobody_wants_it(catalog: Catalog) -> None:
    put(catalog, ("a", "b"))

    with pytest.raises(Interrupted):
        catalog.live_lineage.ancestors(catalog.lineage.find("b").number, lambda: True)


def test_it_agrees_with_the_closure_on_random_graphs(catalog: Catalog) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    live = [f"deployment:e{n}:1" for n in range(5)]
    names = [f"n{n}" for n in range(60)] + live
    pairs = ((dice.randrange(65), dice.randrange(65)) for _ in range(110))
    edges = [(names[a], names[b]) for a, b in pairs if a < b]
    put(catalog, *(("root", name) for name in live), *edges[:50])
    for number in range(5):
        go_live(catalog, f"e{number}", 1)
    came_of(catalog, "root")
    put(catalog, *edges[50:])

    for key in sorted({key for edge in edges for key in edge}):
        below = catalog.lineage.closure(catalog.lineage.find(key), Way.DOWN)
        assert came_of(catalog, key) == sorted(node.key for node in below.nodes if node.key in live)
