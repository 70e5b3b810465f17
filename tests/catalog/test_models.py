"""Registered models in the catalog: versions, and aliases that move by compare-and-swap."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from catalogkit import NOW
from mlconsole.catalog import Catalog
from mlconsole.catalog.models import AliasChange, NewModel, move_alias, put_model
from mlconsole.domain.models import ModelFile, Signature, Tensor
from mlconsole.errors import ActionFailed, NotFound

FILE = ModelFile("w\udcff.bin", 3, "ab" * 32, Signature("onnx", inputs=(Tensor("x", "float32", ("n", 3)),), note="!"))


def put(catalog: Catalog, name: str = "m", digest: str = "blake3:1", run: str = "r") -> tuple[int, bool]:
    new = NewModel(name, digest, run, "ann", [FILE], {"acc": 0.5, "loss": float("nan")}, NOW)
    return catalog.write(lambda db: put_model(db, new))


def move(catalog: Catalog, version: int, expect: int | None = None, alias: str = "prod") -> int | None:
    return catalog.write(lambda db: move_alias(db, AliasChange("m", alias, version, expect, "ann", NOW)))


def test_versions_count_from_one_and_the_same_bytes_of_a_run_are_one(catalog: Catalog) -> None:
    assert put(catalog) == (1, True)
    assert put(catalog, digest="blake3:2") == (2, True)
    assert put(catalog) == (1, False)
    assert put(catalog, run="other") == (3, True)


def test_a_version_reads_back_as_it_was(catalog: Catalog) -> None:
    put(catalog)

    page = catalog.models.page("m")

    assert page.files == (FILE,)
    assert page.version.metrics["acc"] == 0.5
    assert (page.version.owner, page.version.size_bytes) == ("ann", 3)


def test_an_alias_moves_and_remembers(catalog: Catalog) -> None:
    put(catalog)
    put(catalog, digest="blake3:2")

    assert [move(catalog, 1, 0), move(catalog, 2, 1), move(catalog, 1), move(catalog, 1)] == [None, 1, 2, 1]
    assert catalog.models.get("m@prod").version == 1
    assert [(m.before, m.after) for m in catalog.models.page("m").history] == [(2, 1), (1, 2), (None, 1)]


@pytest.mark.parametrize("expect", [0, 2, 9])
def test_an_alias_that_points_elsewhere_than_expected_stays(catalog: Catalog, expect: int) -> None:
    put(catalog)
    put(catalog, digest="blake3:2")
    move(catalog, 1)

    with pytest.raises(ActionFailed, match="points to version 1"):
        move(catalog, 2, expect)
    assert catalog.models.get("m@prod").version == 1
    assert len(catalog.models.page("m").history) == 1


def test_of_many_that_expect_the_same_one_wins(catalog: Catalog) -> None:
    for number in range(5):
        put(catalog, digest=f"blake3:{number}")
    move(catalog, 5)
    won: list[int] = []

    def promote(version: int) -> None:
        try:
            move(catalog, version, 5)
            won.append(version)
        except ActionFailed:
            pass

    threads = [threading.Thread(target=promote, args=(version,)) for version in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert catalog.models.get("m@prod").version == won[0]


@pytest.mark.parametrize("word", ["none", "m@2", "m@other", "m@", "@", ""])
def test_what_is_not_there_is_not_found(catalog: Catalog, word: str) -> None:
    put(catalog)

    with pytest.raises(NotFound):
        catalog.models.get(word)


def test_an_alias_cannot_point_to_what_is_not_there(catalog: Catalog) -> None:
    put(catalog)

    with pytest.raises(NotFound):
        move(catalog, 2)


@pytest.mark.parametrize("sql", ["DELETE FROM model_version", "UPDATE model_version SET digest = ''",
                                 "DELETE FROM model_alias_move", "UPDATE model_alias_move SET actor = ''"])  # fmt: skip
def test_what_was_registered_and_moved_is_never_rewritten(catalog: Catalog, sql: str) -> None:
    put(catalog)
    move(catalog, 1)

    with pytest.raises(sqlite3.IntegrityError, match="never"):
        catalog.store.connection().execute(sql)
