"""Lineage in the catalog: written as logs are ingested, never rewritten, walked in both directions."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from catalogkit import NOW, MadeRun, WrittenLog, put_runs
from mlconsole.catalog import Catalog, migrations
from mlconsole.catalog.lineage import file_key, put_edge, put_node
from mlconsole.catalog.run_changes import delete_run
from mlconsole.domain.lineage import Node, NodeKind, Way
from mlconsole.errors import ActionFailed, AmbiguousName, Interrupted, NotFound

SHA = "sha256:" + "ab" * 32


def build(catalog: Catalog, edges: Iterable[tuple[str, str]]) -> None:
    """Put edges in, each (above, below)."""

    def put(db: sqlite3.Connection) -> None:
        for above, below in edges:
            for key in (above, below):
                put_node(db, NodeKind.ARTIFACT, key, f"label {key}", 1)
            put_edge(db, below, above, "made")

    catalog.write(put)


def keys(nodes: Iterable[Node]) -> list[str]:
    return [node.key for node in nodes]


def up(catalog: Catalog, key: str) -> set[str]:
    found = catalog.lineage.closure(catalog.lineage.find(key), Way.UP)
    return set(keys(found.nodes)) - {key}


def write_log(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaaaaaaaaaaa").begin(name="net")
    log.event("code", commit="c" * 40, dirty=False)
    log.event("dataset", name="digits", path="/d", digest=SHA)
    log.event("model", name="w.pt", path="w.pt", digest="sha256:" + "cd" * 32)
    log.event("dataset", name="named only", path="", digest="")
    log.event("artifact", name="odd", path="", digest="run:aaaaaaaaaaaa")
    log.end()
    catalog.ingest.run(NOW)


def test_a_run_hangs_on_its_code_and_data_and_its_model_on_it(catalog: Catalog) -> None:
    write_log(catalog)

    assert up(catalog, "sha256:" + "cd" * 32) == {"run:aaaaaaaaaaaa", "git:" + "c" * 40, SHA}


@pytest.mark.parametrize(
    ("told", "role"),
    [
        ({"dirty": True, "remote": None}, "code with changes"),
        ({"dirty": False, "remote": None}, "code"),
        ({"remote": None}, "code, changes unknown"),
    ],
)
def test_code_with_changes_beyond_its_commit_is_said_to_be_so_and_nothing_else(
    catalog: Catalog, told: dict[str, object], role: str
) -> None:
    log = WrittenLog(catalog.home, "aaaaaaaaaaaa").begin().event("code", commit="c" * 40)
    catalog.ingest.run(NOW)
    # The recorder tells the commit first, and what git says of changes when it has said it.
    log.event("code", commit="c" * 40, **told).end()
    catalog.ingest.run(NOW)

    (edge,) = catalog.lineage.closure(catalog.lineage.find("run:aaaaaaaaaaaa"), Way.UP).edges

    assert edge.role == role


def environment(**packages: str) -> dict[str, object]:
    return {"python": {"version": "3.12.1", "implementation": "cpython"}, "packages": packages, "env": {}}


def test_runs_with_the_same_packages_share_an_environment(catalog: Catalog) -> None:
    facts = {
        "a": environment(torch="2.1"),
        "b": {**environment(torch="2.1"), "kernel": "6"},
        "c": environment(torch="3"),
    }
    for run, found in facts.items():
        WrittenLog(catalog.home, run * 12).begin().event("environment", environment=found).end()
    catalog.ingest.run(NOW)

    of = {run: up(catalog, f"run:{run * 12}") for run in facts}

    assert of["a"] == of["b"] != of["c"]
    assert catalog.lineage.find(of["a"].pop()).label == "Python 3.12.1, 1 packages"


@pytest.mark.parametrize("found", [None, 7, [], {"python": 1}, {"python": {}, "packages": "x"}])
def test_an_environment_that_is_none_has_no_node(catalog: Catalog, found: object) -> None:
    WrittenLog(catalog.home, "aaaaaaaaaaaa").begin().event("environment", environment=found).end()
    catalog.ingest.run(NOW)

    assert catalog.store.read("SELECT kind FROM node WHERE kind = 'environment'") == []


def test_ingesting_again_adds_nothing(catalog: Catalog) -> None:
    write_log(catalog)
    before = catalog.store.read("SELECT * FROM edge")

    catalog.ingest.rescan(NOW)

    assert catalog.store.read("SELECT * FROM edge") == before


def test_what_one_run_made_and_another_used_links_them(catalog: Catalog) -> None:
    for run, kind in (("aaaaaaaaaaaa", "artifact"), ("bbbbbbbbbbbb", "dataset")):
        WrittenLog(catalog.home, run).begin().event(kind, name="f", path="f", digest=SHA).end()
        catalog.ingest.run(NOW)

    assert up(catalog, "run:bbbbbbbbbbbb") == {SHA, "run:aaaaaaaaaaaa"}


def test_a_log_cannot_pose_as_another_kind_of_node(catalog: Catalog) -> None:
    write_log(catalog)

    assert catalog.lineage.find("run:aaaaaaaaaaaa").kind == NodeKind.RUN
    assert file_key("dataset", "n", "version:m@1") == "dataset:n@version:m@1"
    assert file_key("dataset", "n", SHA) == SHA


def test_lineage_outlives_its_run(catalog: Catalog) -> None:
    write_log(catalog)
    catalog.write(lambda db: delete_run(db, 1))

    assert "run:aaaaaaaaaaaa" in up(catalog, "sha256:" + "cd" * 32)


@pytest.mark.parametrize("table", ["node", "edge"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET {}"])
def test_lineage_is_never_rewritten(catalog: Catalog, table: str, change: str) -> None:
    write_log(catalog)

    with pytest.raises(sqlite3.IntegrityError, match="never"):
        catalog.store.connection().execute(change.format(table, "label = ''" if table == "node" else "role = ''"))


def test_a_catalog_of_before_gets_the_lineage_of_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = next(i for i, step in enumerate(migrations.MIGRATIONS) if step.__name__ == "_content")
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:cut])
        patched.setattr(migrations, "VERSION", cut)
        with closing(Catalog(tmp_path)) as old:
            put_runs(old, [MadeRun("aaaaaaaaaaaa")])
            insert = "INSERT INTO artifact (run, kind, name, path, digest, at_us) VALUES (1, ?, ?, '', ?, 1)"
            rows = [("dataset", "d", SHA), ("model", "w", "v1"), ("dataset", "x", "")]
            old.write(lambda db: db.executemany(insert, rows))
            old.write(lambda db: db.execute("UPDATE run SET commit_id = 'c0ffee'"))
            old.write(lambda db: db.execute("INSERT INTO detail (run, code) VALUES (1, ?)", ('{"dirty": true}',)))

    with closing(Catalog(tmp_path)) as catalog:
        assert up(catalog, file_key("model", "w", "v1")) == {"run:aaaaaaaaaaaa", SHA, "git:c0ffee"}
        assert catalog.store.read("SELECT role FROM edge ORDER BY 1") == [("code with changes",), ("made",), ("used",)]


def test_up_and_down_agree_with_a_naive_walk_on_random_graphs(catalog: Catalog) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    edges = {(f"n{a}", f"n{b}") for a, b in ((dice.randrange(60), dice.randrange(60)) for _ in range(120)) if a < b}
    build(catalog, sorted(edges))

    for start in sorted({key for edge in edges for key in edge})[:20]:
        for way, near, far in ((Way.UP, 1, 0), (Way.DOWN, 0, 1)):
            seen = {start}
            while new := {edge[far] for edge in edges if edge[near] in seen} - seen:
                seen |= new
            found = catalog.lineage.closure(catalog.lineage.find(start), way)
            assert set(keys(found.nodes)) == seen
            assert len(found.edges) == sum(edge[near] in seen for edge in edges)


def test_depth_and_caps_cut_and_say_so(catalog: Catalog) -> None:
    build(catalog, [(f"c{n}", f"c{n + 1}") for n in range(30)])
    start = catalog.lineage.find("c30")

    near = catalog.lineage.closure(start, Way.UP, depth=2)
    few = catalog.lineage.closure(start, Way.UP, most=5)
    whole = catalog.lineage.closure(start, Way.UP, depth=30)

    assert (keys(near.nodes), near.depths, near.is_cut) == (["c30", "c29", "c28"], (0, 1, 2), True)
    assert (len(few.nodes), few.is_cut) == (5, True)
    assert (len(whole.nodes), whole.is_cut) == (31, False)


def test_a_hub_is_capped(catalog: Catalog) -> None:
    build(catalog, [("hub", f"leaf {n}") for n in range(2000)])

    found = catalog.lineage.closure(catalog.lineage.find("hub"), Way.DOWN, most=100)

    assert (len(found.nodes), found.is_cut) == (100, True)


def test_a_circle_comes_to_an_end(catalog: Catalog) -> None:
    build(catalog, [("a", "b"), ("b", "c"), ("c", "a")])

    assert up(catalog, "a") == {"b", "c"}


def test_a_closure_stops_when_nobody_wants_it(catalog: Catalog) -> None:
    build(catalog, [("a", "b")])

    with pytest.raises(Interrupted):
        catalog.lineage.closure(catalog.lineage.find("b"), Way.UP, cancelled=lambda: True)


def test_the_shortest_way_is_found_from_either_end(catalog: Catalog) -> None:
    build(catalog, [("a", "b"), ("b", "c"), ("c", "d"), ("b", "d"), ("x", "d")])
    ends = [catalog.lineage.find(key) for key in ("a", "d")]

    for one, other in (ends, reversed(ends)):
        found = catalog.lineage.path(one, other)
        assert keys(found.nodes) == ["a", "b", "d"]
        assert len(found.edges) == 2


def test_there_is_no_way_between_siblings(catalog: Catalog) -> None:
    build(catalog, [("a", "b"), ("a", "c")])

    with pytest.raises(NotFound, match="Neither"):
        catalog.lineage.path(catalog.lineage.find("label b"), catalog.lineage.find("label c"))


def test_a_way_that_a_cap_may_hide_is_not_denied(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    build(catalog, [(f"c{n}", f"c{n + 1}") for n in range(30)])
    monkeypatch.setattr("mlconsole.catalog.lineage.MOST_NODES", 10)

    with pytest.raises(ActionFailed, match="too much"):
        catalog.lineage.path(catalog.lineage.find("c0"), catalog.lineage.find("c30"))


def test_two_pasts_differ_by_what_only_one_has(catalog: Catalog) -> None:
    build(catalog, [("data", "one"), ("data", "two"), ("old", "one"), ("new", "two"), ("source", "data")])

    found = catalog.lineage.diff(catalog.lineage.find("label one"), catalog.lineage.find("label two"))

    assert (keys(found.only_before), keys(found.only_after), found.shared) == (["old"], ["new"], 2)


def test_a_node_is_found_by_the_start_of_its_key(catalog: Catalog) -> None:
    build(catalog, [("git:abcdef12", "run:aaaabbbb"), ("git:abcdff", "run:x")])

    assert catalog.lineage.find("abcde").key == "git:abcdef12"
    with pytest.raises(AmbiguousName):
        catalog.lineage.find("abcd")
    for word in ("abc", "", "%", "zzzzz", "\udcff\ud800"):
        with pytest.raises(NotFound):
            catalog.lineage.find(word)
