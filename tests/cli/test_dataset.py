"""Datasets at the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostile import IN_ARGV, raw_controls
from program import Program


@pytest.fixture
def data(cli: Program) -> Path:
    root = cli.cwd / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a.csv").write_text("x,y\n1,a\n2,b\n")
    (root / "sub" / "b.bin").write_bytes(b"b")
    return root


def test_a_dataset_is_added_listed_and_shown(cli: Program, data: Path) -> None:
    added = cli.json("dataset", "add", "data", "--name", "d")

    assert (added["name"], added["version"], added["files"], added["rows"]) == ("d", 1, 2, 2)
    assert [item["id"] for item in cli.json("dataset", "list")["items"]] == [added["id"]]
    shown = cli.json("dataset", "show", "d")
    assert [entry["path"] for entry in shown["manifest"]] == ["a.csv", "sub/b.bin"]
    assert shown["columns"] == [{"name": "x", "type": "int"}, {"name": "y", "type": "text"}]
    assert shown["places"][0]["source"] == str(data)


def test_a_plan_says_what_would_be_read_and_keeps_nothing(cli: Program, data: Path) -> None:
    plan = cli.json("dataset", "add", "data", "--name", "d", "--dry-run")

    assert str(data) in plan["steps"][0]["touches"]
    assert cli.json("dataset", "list")["items"] == []


def test_adding_has_its_audit_rows(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "data", "--name", "d")

    rows = cli.json("audit", "list")["items"]

    assert [(row["action"], row["target"], row["phase"]) for row in rows] == [
        ("dataset add", "d", "end"),
        ("dataset add", "d", "begin"),
    ]
    assert cli("audit", "verify").code == 0


def test_an_untouched_dataset_is_verified(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "data", "--name", "d")

    done = cli("dataset", "verify", "d")

    assert (done.code, done.out) == (0, "Every file is as it was.\n")


def test_verifying_names_the_file_and_ends_with_6(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "data", "--name", "d")
    path = data / "sub" / "b.bin"
    status = path.stat()
    path.write_bytes(b"c")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    (data / "new").write_text("")

    done = cli("dataset", "verify", "d", "--json")

    assert done.code == 6
    assert [(i["path"], i["change"]) for i in done.document["items"]] == [("new", "added"), ("sub/b.bin", "content")]


def test_verifying_what_is_gone_names_every_file(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "data", "--name", "d")
    data.rename(cli.cwd / "moved")

    assert [i["change"] for i in cli("dataset", "verify", "d", "--json").document["items"]] == ["removed"] * 2
    assert cli("dataset", "verify", "d", "--at", "moved").code == 0


def test_a_changed_lone_file_is_called_by_its_name(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "data/a.csv", "--name", "d")
    (data / "a.csv").write_text("x,y\n")

    done = cli("dataset", "verify", "d")

    assert done.code == 6 and "a.csv" in done.out


def test_versions_are_compared_by_file_and_column(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "data", "--name", "d")
    (data / "a.csv").write_text("x,z\n0.5,a\n")

    cli.json("dataset", "add", "data", "--name", "d")
    found = cli.json("dataset", "diff", "d@1", "d")

    assert [(f["path"], f["change"]) for f in found["files"]] == [("a.csv", "content")]
    assert {c["column"]: (c["before"], c["after"]) for c in found["columns"]} == {
        "x": ("int", "float"),
        "y": ("text", None),
        "z": (None, "text"),
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("dataset", "add", "nowhere", "--name", "d"), 2),
        (("dataset", "add", "data"), 2),
        (("dataset", "add", "data", "--name", "d@1"), 2),
        (("dataset", "add", "no*match", "--name", "d"), 1),
        (("dataset", "show", "nothing"), 4),
        (("--read-only", "dataset", "add", "data", "--name", "d"), 2),
    ],
)
def test_what_cannot_be_done_ends_with_its_code(cli: Program, data: Path, words: tuple[str, ...], code: int) -> None:
    assert cli(*words).code == code


def test_hostile_names_and_files_are_shown_safely(cli: Program) -> None:
    folder = cli.cwd / "odd"
    folder.mkdir()
    names = [text for text in IN_ARGV.values() if "\ud800" not in text and "/" not in text and len(text) < 60]
    for name in names:
        (folder / name).write_text("")
    hostile = "a\x1b[2J\u202eb[/]"

    cli.json("dataset", "add", "odd", "--name", hostile)
    shown = cli("dataset", "show", "--", hostile)
    listed = cli("dataset", "list")

    assert shown.code == listed.code == 0
    assert raw_controls(shown.out) == raw_controls(listed.out) == set()
    assert {e["path"] for e in cli.json("dataset", "show", hostile)["manifest"]} == set(names)
    assert cli("dataset", "verify", hostile).code == 0
