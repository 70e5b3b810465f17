"""Datasets in the catalog: versions by name, shared partitions, the cache of digests."""

from __future__ import annotations

import sqlite3

import pytest

from catalogkit import NOW
from mlconsole.catalog import Catalog
from mlconsole.catalog.datasets import NewDataset, keep_digests, put_dataset
from mlconsole.content.manifest import manifest_of
from mlconsole.domain.datasets import Column, Entry, EntryKind, FileKey, Manifest, Schema
from mlconsole.errors import AmbiguousName, NotFound


def entry(path: str, byte: int = 0, *, is_executable: bool = False) -> Entry:
    return Entry(path, EntryKind.FILE, is_executable, 1, f"{byte:02x}" * 32)


def put(catalog: Catalog, name: str, *entries: Entry, source: str = "/data") -> tuple[int, bool]:
    schema = Schema((Column("a", "int"),), 3)
    new = NewDataset(name, manifest_of(entries), schema, source, False, "here", "ann", NOW)
    return catalog.write(lambda db: put_dataset(db, new))


def test_versions_of_a_name_count_from_one(catalog: Catalog) -> None:
    assert [put(catalog, "d", entry("a", byte)) for byte in range(3)] == [(1, True), (2, True), (3, True)]
    assert [version.label for version in catalog.datasets.versions("d")] == ["d@3", "d@2", "d@1"]


def test_the_same_content_is_the_version_it_was(catalog: Catalog) -> None:
    put(catalog, "d", entry("a", 1))
    put(catalog, "d", entry("a", 2))

    assert put(catalog, "d", entry("a", 1), source="/copy") == (1, False)
    assert {place.source for place in catalog.datasets.get("d@1").places} == {"/data", "/copy"}


def test_the_same_content_under_two_names_has_one_id(catalog: Catalog) -> None:
    put(catalog, "d", entry("a"))
    put(catalog, "e", entry("a"))

    assert catalog.datasets.get("d").id == catalog.datasets.get("e").id
    assert catalog.store.read("SELECT count(*) FROM dataset") == [(1,)]


def test_a_manifest_reads_back_as_it_was(catalog: Catalog) -> None:
    entries = [entry("a b/\udcff", 1), entry("a/\u202e", 2, is_executable=True), entry("z")]
    put(catalog, "d", *entries)

    version = catalog.datasets.get("d")

    assert manifest_of(catalog.datasets.entries(version)).digest == version.id
    assert catalog.datasets.entries(version) == manifest_of(entries).entries
    assert version.schema == Schema((Column("a", "int"),), 3)


def test_a_version_that_appends_a_folder_shares_the_others(catalog: Catalog) -> None:
    first = [entry(f"day-1/{n}", n) for n in range(50)]
    put(catalog, "d", *first)
    put(catalog, "d", *first, *(entry(f"day-2/{n}", n + 50) for n in range(3)))

    assert catalog.store.read("SELECT count(*) FROM dataset_entry") == [(53,)]
    assert len(catalog.datasets.entries(catalog.datasets.get("d"))) == 53


def test_a_dataset_is_found_by_name_version_and_start_of_its_id(catalog: Catalog) -> None:
    put(catalog, "d", entry("a", 1))
    put(catalog, "d", entry("a", 2))
    first = catalog.datasets.get("d@1")

    assert catalog.datasets.get("d").version == 2
    assert catalog.datasets.get(first.id).version == 1
    assert catalog.datasets.get(first.id.removeprefix("blake3:")[:12]).version == 1


@pytest.mark.parametrize("word", ["none", "d@9", "d@", "@", "", "d@99999999999999999999", "blake3:", "ffff%", "d@²"])
def test_what_is_not_there_is_not_found(catalog: Catalog, word: str) -> None:
    put(catalog, "d", entry("a"))

    with pytest.raises(NotFound):
        catalog.datasets.get(word)


def test_a_start_that_fits_several_ids_is_ambiguous(catalog: Catalog) -> None:
    for byte, end in ((1, "0"), (2, "1")):
        made = manifest_of([entry("a", byte)])
        new = NewDataset("d", Manifest(f"blake3:{'ab' * 31}0{end}", made.partitions), Schema(), "/", False, "", "", NOW)
        catalog.write(lambda db, new=new: put_dataset(db, new))

    with pytest.raises(AmbiguousName):
        catalog.datasets.get("abab")


def test_digests_of_untouched_files_are_known(catalog: Catalog) -> None:
    keys = [FileKey(1 << 63, (1 << 64) - 1 - n, 3, -5, 7) for n in range(5000)]
    catalog.write(lambda db: keep_digests(db, {key: f"{key.ino % 256:02x}" * 32 for key in keys}))
    touched = keys[0]._replace(ctime_ns=8)

    found = catalog.datasets.known([touched, *keys[1:]])

    assert found == {key: f"{key.ino % 256:02x}" * 32 for key in keys[1:]}


@pytest.mark.parametrize("table", ["dataset_version", "dataset_entry"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET rowid = 9"])
def test_a_version_is_never_changed_or_taken_back(catalog: Catalog, table: str, change: str) -> None:
    put(catalog, "d", entry("a"))
    sql = change.format(table).replace("rowid = 9", "version = 9" if table == "dataset_version" else "size_bytes = 9")

    with pytest.raises(sqlite3.IntegrityError, match="never"):
        catalog.store.connection().execute(sql)
