"""What makes a dataset's id, what the cache may be trusted with, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from mlconsole.content.hashing import Hasher
from mlconsole.content.manifest import manifest_of
from mlconsole.content.tables import schema_of
from mlconsole.content.tree import find, measure, source_from, source_of
from mlconsole.domain.datasets import Column, Entry, EntryKind, FileKey, Manifest, Schema
from mlconsole.errors import ActionFailed, Interrupted, UsageError

PATHS = st.lists(st.text("ab/\udcff é", min_size=1, max_size=6).map(lambda t: t.strip("/") or "a"), unique=True)
MUCH_LATER: Callable[[], int] = lambda: time.time_ns() + 3_600_000_000_000  # noqa: E731


def digest_of(path: Path | str, folder: Path | None = None) -> str:
    return measured(path, folder).digest


def measured(path: Path | str, folder: Path | None = None, hasher: Hasher | None = None) -> Manifest:
    return measure(find(source_of(str(path), str(folder or "/"))), hasher or Hasher())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a.csv").write_text("x\n1\n")
    (root / "sub" / "b.bin").write_bytes(b"b" * 10)
    (root / "sub" / "link").symlink_to("../a.csv")
    return root


def test_the_same_bytes_elsewhere_have_the_same_id(data: Path, tmp_path: Path) -> None:
    before = digest_of(data)

    assert digest_of(data.rename(tmp_path / "elsewhere")) == before


def test_a_lone_file_is_the_same_under_another_name(data: Path, tmp_path: Path) -> None:
    before = digest_of(data / "a.csv")

    assert digest_of((data / "a.csv").rename(tmp_path / "other")) == before


def change_content(root: Path) -> None:
    (root / "a.csv").write_text("x\n2\n")


def change_mode(root: Path) -> None:
    (root / "a.csv").chmod(0o755)


def change_target(root: Path) -> None:
    (root / "sub" / "link").unlink()
    (root / "sub" / "link").symlink_to("b.bin")


def change_link_into_file(root: Path) -> None:
    (root / "sub" / "link").unlink()
    (root / "sub" / "link").write_text("../a.csv")


def change_name(root: Path) -> None:
    (root / "a.csv").rename(root / "c.csv")


def change_empty_folder(root: Path) -> None:
    (root / "empty").mkdir()


@pytest.mark.parametrize(
    "change",
    [change_content, change_mode, change_target, change_link_into_file, change_name, change_empty_folder],
    ids=lambda change: change.__name__,
)
def test_every_change_of_content_is_another_id(data: Path, change: Callable[[Path], None]) -> None:
    before = digest_of(data)

    change(data)

    assert digest_of(data) != before


@given(PATHS, st.randoms())
def test_the_order_of_finding_does_not_matter(paths: list[str], random: object) -> None:
    entries = [Entry(path, EntryKind.FILE, False, 1, "00" * 32) for path in paths]
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert manifest_of(shuffled) == manifest_of(entries)


@given(PATHS, PATHS)
def test_other_paths_are_another_id(one: list[str], other: list[str]) -> None:
    ids = [manifest_of([Entry(p, EntryKind.FILE, False, 1, "00" * 32) for p in paths]).digest for paths in (one, other)]

    assert (ids[0] == ids[1]) == (set(one) == set(other))


def test_the_format_of_an_id_never_changes() -> None:
    entries = [
        Entry("a", EntryKind.FILE, True, 3, blake3(b"abc").hexdigest()),
        Entry("s/l", EntryKind.LINK, False, 1, blake3(b"a").hexdigest()),
        Entry("e", EntryKind.FOLDER, False, 0, blake3(b"").hexdigest()),
    ]

    assert manifest_of(entries).digest == "blake3:bf31d3cf897efbbfbc7560fd2812e6b6cc7d4ddcd5306281aeea3e1f363363cd"


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_file_is_refused_by_name(data: Path, kind: str) -> None:
    path = data / "sub" / kind
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))

    with pytest.raises(ActionFailed, match=f"sub/{kind}"):
        find(source_of(str(data), "/"))


def test_a_file_that_cannot_be_opened_is_named(data: Path) -> None:
    found = find(source_of(str(data), "/"))
    (data / "sub" / "b.bin").unlink()

    with pytest.raises(ActionFailed, match=r"b\.bin"):
        measure(found, Hasher())


def test_a_pattern_takes_what_it_matches(data: Path) -> None:
    (data / "sub" / "c.bin").write_bytes(b"c")

    found = measured("*/[bc].bin", data)

    assert [entry.path for entry in found.entries] == ["sub/b.bin", "sub/c.bin"]
    assert found.digest == digest_of("s*/?.bin", data)


def test_stars_go_through_all_folders_and_through_no_link(data: Path) -> None:
    (data / "sub" / "c.csv").write_text("x\n3\n")
    (data / ".hidden").mkdir()
    (data / ".hidden" / "d.csv").write_text("x\n4\n")
    for name in ("around", "again"):
        (data / "sub" / name).symlink_to("..")

    assert [e.path for e in measured("**/*.csv", data).entries] == ["a.csv", "sub/c.csv"]
    within = [e.path for e in measured("**/sub/**", data).entries]
    assert within == ["sub/again", "sub/around", "sub/b.bin", "sub/c.csv", "sub/link"]


def test_a_name_with_signs_of_a_pattern_is_a_name_where_it_exists(data: Path) -> None:
    (data / "a[1].csv").write_text("x\n")

    assert len(measured("a[1].csv", data).entries) == 1


def test_a_pattern_is_found_again_by_its_text(data: Path) -> None:
    source = source_of("*/b.*", str(data))

    assert source_from(source.text, True) == source


def test_nothing_at_a_path_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        source_of("nowhere", str(tmp_path))


def test_what_was_not_touched_is_not_read_again(data: Path) -> None:
    first = Hasher(now_ns=MUCH_LATER)
    before = measured(data, hasher=first)
    second = Hasher(first.learned)

    assert measured(data, hasher=second) == before
    assert (first.read_bytes, second.read_bytes) == (14, 0)


def test_an_appended_file_alone_is_read(data: Path) -> None:
    first = Hasher(now_ns=MUCH_LATER)
    before = measured(data, hasher=first)
    (data / "new").mkdir()
    (data / "new" / "c.bin").write_bytes(b"c" * 7)
    second = Hasher(first.learned)

    after = measured(data, hasher=second)

    assert second.read_bytes == 7
    assert set(before.partitions) < set(after.partitions)


def test_an_edit_of_the_same_size_with_its_time_put_back_is_caught(data: Path) -> None:
    first = Hasher(now_ns=MUCH_LATER)
    before = measured(data, hasher=first)
    path = data / "sub" / "b.bin"
    status = path.stat()
    time.sleep(0.02)  # Longer than a tick of the kernel's clock, which the change time is read from.
    path.write_bytes(b"c" * 10)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert measured(data, hasher=Hasher(first.learned)).digest != before.digest


def test_a_file_changed_a_moment_ago_is_not_cached(data: Path) -> None:
    hasher = Hasher()

    measured(data, hasher=hasher)

    assert hasher.learned == {}


class Meddler:
    """Changes a file when it is asked whether to stop, which is while that file is read."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.left = path, times

    def __call__(self) -> bool:
        if self.left:
            self.left -= 1
            with self.path.open("ab") as file:
                file.write(b"!")
        return False


def test_a_file_that_changed_while_it_was_read_is_read_again(data: Path) -> None:
    path = data / "a.csv"

    digest, status = Hasher(cancelled=Meddler(path, 1)).digest(str(path))

    assert digest == blake3(path.read_bytes()).hexdigest()
    assert status.st_size == 5


def test_a_file_that_never_rests_is_an_error(data: Path) -> None:
    path = data / "a.csv"

    with pytest.raises(ActionFailed, match="changed each time"):
        Hasher(cancelled=Meddler(path, 100)).digest(str(path))


def test_hashing_stops_when_nobody_wants_it(data: Path) -> None:
    with pytest.raises(Interrupted):
        measured(data, hasher=Hasher(cancelled=lambda: True))


def test_large_files_are_read_whole_by_several_threads(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(os.urandom(1 << 20) * 33)

    found = {entry.path: entry.digest for entry in measured(tmp_path).entries}

    assert found == {name: blake3((tmp_path / name).read_bytes()).hexdigest() for name in "ab"}


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_csv_has_columns_types_and_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", 'a,b,c\n1,0.5,"x\ny"\n2,1,\n\n')

    assert schema_of([path]) == Schema((Column("a", "int"), Column("b", "float"), Column("c", "text")), 2)


def test_json_lines_have_the_fields_of_all_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "t.jsonl", '{"a": 1, "b": null}\n{"a": 0.5, "b": "x"}\n\n{"c": [1]}\n')

    assert schema_of([path]) == Schema((Column("a", "float"), Column("b", "text"), Column("c", "list")), 3)


def test_files_with_the_same_columns_are_one_table(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.csv", "a\n1\n"), write(tmp_path, "b.csv", "a\nx\ny\n"), write(tmp_path, "r.md", "#")]

    assert schema_of(paths) == Schema((Column("a", "mixed"),), 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("german.csv", "price;amount\n1.5;2\nNA;3\n"),
        ("quoted.csv", '"price, net";"amount"\n1.5;2\n;3\n'),
        ("bars.csv", "price|amount\n1.5|2\n2.5|3\n"),
        ("tabs.csv", "price\tamount\n1.5\t2\n2.5\t3\n"),
    ],
)
def test_what_stands_between_fields_is_told_from_the_header(tmp_path: Path, name: str, text: str) -> None:
    found = schema_of([write(tmp_path, name, text)])

    assert [column.type for column in found.columns or ()] == ["float", "int"] and found.rows == 2


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_packed_table_has_its_columns(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / f"t.csv{ending}").write_bytes(pack(b"a;b\n1;x\n"))

    assert schema_of([str(tmp_path / f"t.csv{ending}")]) == Schema((Column("a", "int"), Column("b", "text")), 1)


def test_a_first_line_of_numbers_is_no_header_unless_each_stands_there_once(tmp_path: Path) -> None:
    pixels = schema_of([write(tmp_path, "pixels.csv", "0,5,0,13\n0,0,4,2\n")])
    years = schema_of([write(tmp_path, "years.csv", "2024,2025\n1,2\n")])

    assert pixels.columns is None and "no header" in pixels.note
    assert [column.name for column in years.columns or ()] == ["2024", "2025"]


def test_letters_of_another_encoding_hide_no_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("Größe;n\n1;2\n".encode("latin-1"))

    found = schema_of([str(tmp_path / "t.csv")])
    assert [column.type for column in found.columns or ()] == ["int", "int"]


@pytest.mark.parametrize("text", ["a;b\n1;x\n2;y\n", "a,b\n1,x\nNA,y\n", '"a, b";c\n1;x\n2;y\n'])
def test_columns_are_those_that_drift_is_judged_by(tmp_path: Path, text: str) -> None:
    pytest.importorskip("polars")
    from mlconsole.drift.files import table_files
    from mlconsole.drift.kinds import kinds_of

    path = write(tmp_path, "t.csv", text)

    (file,) = table_files(path)
    found = schema_of([path])
    assert {c.name: c.type for c in found.columns or ()} == {name: kind.value for name, kind in kinds_of(file).items()}


def test_a_document_beside_a_table_is_no_part_of_it(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.csv", "a\n1\n"), write(tmp_path, "about.json", '{"made": "by hand"}')]

    assert schema_of(paths) == Schema((Column("a", "int"),), 1)


def test_files_with_other_columns_have_no_schema(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.csv", "a\n1\n"), write(tmp_path, "b.csv", "b\n1\n")]

    assert schema_of(paths) == Schema(note="the files have different columns")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"\xff\xfe\x00"),
        ("a.csv.gz", b"\x1f\x8b\x08"),
        ("a.csv", b""),
        ("a.jsonl", b"{"),
        ("a.jsonl", b"[" * 5000),
        ("a.parquet", b"PAR1"),
    ],
)
def test_a_broken_table_is_unknown_and_says_so(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)

    found = schema_of([str(tmp_path / name)])

    assert (found.columns, found.rows) == (None, None)
    assert found.note


def test_parquet_is_read_through_polars(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    polars.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(tmp_path / "t.parquet")

    assert schema_of([str(tmp_path / "t.parquet")]) == Schema((Column("a", "Int64"), Column("b", "String")), 2)


def test_a_key_has_the_change_time() -> None:
    assert FileKey._fields == ("dev", "ino", "size", "mtime_ns", "ctime_ns")
