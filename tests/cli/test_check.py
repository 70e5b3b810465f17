"""Checks of data at the command line."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from program import Indoors, Program

EXPECT = """
[table]
formats = ["csv"]
min_rows = 50
new_columns = false

[columns.age]
kind = "int"
max_nulls = 0.05
min = 0
max = 120

[columns.plan]
kind = "text"
values = ["basic", "pro"]
constant = false
"""


@pytest.fixture
def cli(cli: Program) -> Program:
    """Commands without processes of their own: reading tables loads a third of a second of libraries each time."""
    return Indoors(cli.home, cli.cwd)


@pytest.fixture
def data(cli: Program) -> Path:
    write(cli.cwd / "good.csv", [f"{20 + i % 60},{'pro' if i % 3 else 'basic'}" for i in range(100)])
    (cli.cwd / "expect.toml").write_text(EXPECT)
    return cli.cwd


def write(path: Path, lines: list[str], head: str = "age,plan") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([head, *lines]) + "\n")


def failures(document: Any) -> dict[tuple[str, str], Any]:
    return {(one["column"], one["check"]): one for one in document["findings"] if one["level"] == "failure"}


def test_data_as_expected_holds(cli: Program, data: Path) -> None:
    done = cli("dataset", "check", "good.csv", "--expect", "expect.toml", "--json")

    assert (done.code, done.document["kind"], done.document["verdict"], done.document["rows"]) == (
        0,
        "check",
        "ok",
        100,
    )
    assert not cli.home.exists()


def test_everything_against_the_expectations_is_counted(cli: Program, data: Path) -> None:
    cli = Program(cli.home, cli.cwd)  # The program itself, as a process.
    lines = [f"{30 + i % 9},pro" for i in range(80)]
    lines += ["999,pro"] * 3 + ["-4,pro"] + ["old,pro"] * 2 + [",pro"] * 9 + ["40,gratis"] * 4
    write(data / "bad.csv", [f"{line},1" for line in lines], head="age,plan,extra")

    done = cli("dataset", "check", "bad.csv", "--expect", "expect.toml", "--json")

    assert done.code == 6
    found = failures(done.document)
    counts = {key: one["count"] for key, one in found.items()}
    assert counts == {
        ("age", "range"): 4,
        ("age", "invalid values"): 2,
        ("age", "nulls"): 9,
        ("plan", "values"): 4,
        ("", "new columns"): 1,
    }
    assert '"gratis"' in found["plan", "values"]["found"]
    assert done.document["suppressed"] == ["age"]


def test_a_missing_column_another_kind_and_a_constant_one_fail(cli: Program, data: Path) -> None:
    write(data / "gone.csv", ["pro"] * 60, head="plan")
    write(data / "text.csv", ["young,pro", "old,basic"] * 40)

    gone = cli("dataset", "check", "gone.csv", "--expect", "expect.toml", "--json").document
    text = cli("dataset", "check", "text.csv", "--expect", "expect.toml", "--json").document

    assert {("age", "missing column"), ("plan", "not constant")} == set(failures(gone))
    assert ("age", "kind") in failures(text) and text["suppressed"] == ["age"]


def test_rows_size_format_and_age_of_files_are_checked(cli: Program, data: Path) -> None:
    (data / "strict.toml").write_text(
        '[table]\nformats = ["parquet"]\nmin_rows = 1000\nmax_bytes = 10\nmax_age = "1h"\n'
    )
    os.utime(data / "good.csv", (time.time() - 7200, time.time() - 7200))

    done = cli("dataset", "check", "good.csv", "--expect", "strict.toml", "--json")

    assert {check for _, check in failures(done.document)} == {"format", "rows", "size", "freshness"}


def test_files_that_are_there_twice_and_that_differ_are_named(cli: Program, data: Path) -> None:
    for name in ("1", "2"):
        write(data / "many" / f"{name}.csv", ["1,pro"] * 30)
    write(data / "many" / "3.csv", ["1"] * 30, head="age")

    found = failures(cli("dataset", "check", "many/*.csv", "--json").document)

    assert found["", "duplicate files"]["count"] == 1 and "2.csv" in found["", "duplicate files"]["found"]
    assert '"plan"' in found["", "same columns"]["found"]


def test_inferred_expectations_hold_for_what_they_were_made_from(cli: Program, data: Path) -> None:
    done = cli("dataset", "check", "good.csv", "--infer", "new.toml")

    assert done.code == 0 and 'values = ["basic", "pro"]' in (data / "new.toml").read_text()
    assert cli("dataset", "check", "good.csv", "--expect", "new.toml").code == 0


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[table]\nmin_rows = 'x'\n", "e.toml:2"),
        ("[table]\n\nmax_age = 'soon'\n", "e.toml:3"),
        ("[columns.age]\nkind = 'number'\n", "e.toml:1"),
        ("[columns.plan]\nmin = 1\n[columns.age]\nmax_nulls = 7\n", "e.toml:4"),
        ("[columns.age]\nmaximum = 7\n", "e.toml:2"),
        ("[colums.age]\n", "e.toml:1"),
        ("[columns.age\n", "e.toml"),
    ],
)
def test_a_mistake_in_expectations_is_one_line_that_says_where(cli: Program, data: Path, text: str, where: str) -> None:
    (data / "e.toml").write_text(text)

    done = cli("dataset", "check", "good.csv", "--expect", "e.toml")

    assert (done.code, done.err.count("\n")) == (2, 1) and where in done.err


def test_a_failed_check_and_the_next_that_passes_are_events_where_there_is_a_catalog(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "good.csv", "--name", "people")
    (data / "strict.toml").write_text("[table]\nmin_rows = 1000\n")

    done = cli("dataset", "check", "people", "--expect", "strict.toml")
    assert [cli("dataset", "check", "people").code for _ in range(2)] == [0, 0]

    from mlconsole.catalog import Catalog

    catalog = Catalog(cli.home, read_only=True)
    try:
        rows = catalog.store.read("SELECT kind, subject, data FROM event WHERE kind LIKE 'check.%' ORDER BY n")
    finally:
        catalog.close()
    assert done.code == 6 and "1,000" in rows[0][2]
    assert [kind for kind, _, _ in rows] == ["check.failed", "check.passed"], "it is told once that all is well again"


def test_numbers_among_texts_are_told_where_nothing_is_expected(cli: Program, data: Path) -> None:
    write(cli.cwd / "mixed.csv", [f"{'x' if i % 3 == 0 else i},{'pro' if i % 3 else 7}" for i in range(90)])
    done = cli("dataset", "check", "mixed.csv", "--json")

    notes = {one["column"]: one for one in done.document["findings"] if one["check"] == "mixed types"}
    assert done.code == 0 and {name: one["count"] for name, one in notes.items()} == {"age": 30, "plan": 30}


def test_a_line_with_too_many_fields_another_separator_and_an_open_quote_are_told(cli: Program, data: Path) -> None:
    write(cli.cwd / "long.csv", [*["1,2"] * 2000, "4,5,6", "7,8"])
    long = cli("dataset", "check", "long.csv")
    write(cli.cwd / "other.csv", ["1;2"], head="a;b")
    other = cli("dataset", "check", "other.csv", "--json").document

    assert long.code == 1 and 'long.csv", line 2002 as csv: it has more fields' in long.err
    assert [one["check"] for one in other["findings"] if one["level"] == "note"] == ["separator"]
    write(cli.cwd / "open.csv", [*["1,2", "3,4"] * 1000, '5,"six', "7,8"])
    torn = cli("dataset", "check", "open.csv", "--json").document
    assert [one["check"] for one in torn["findings"] if one["level"] == "note"] == ["quotes"]
    (failure,) = [one for one in torn["findings"] if one["level"] == "failure"]
    assert failure["check"] == "readable" and "a quote is opened and not closed" in failure["message"]


def test_expectations_that_were_edited_are_not_written_over(cli: Program, data: Path) -> None:
    cli("dataset", "check", "good.csv", "--infer", "kept.toml")
    (cli.cwd / "kept.toml").write_text("# edited\n")

    again = cli("dataset", "check", "good.csv", "--infer", "kept.toml")

    assert again.code == 2 and "is there already" in again.err
    assert (cli.cwd / "kept.toml").read_text() == "# edited\n"


def test_files_that_cannot_be_read_are_found_and_the_others_are_checked(cli: Program, data: Path) -> None:
    live = cli.cwd / "many"
    live.mkdir()
    write(live / "1.csv", ["1,2", "3,4"], head="a,b")
    write(live / "2.csv", ["1,2", "3,4,5"], head="a,b")
    (live / "3.jsonl").write_text('{"a": 1}\n{"a": \n')
    write(live / "4.csv", ["1,2"], head="a,b")

    done = cli("dataset", "check", "many/*", "--json")

    broken = [one["message"] for one in done.document["findings"] if one["check"] == "readable"]
    assert (done.code, done.document["rows"], len(broken)) == (6, 3, 2)
    assert broken[0] == '"3.jsonl", line 2: it is not JSON.' and broken[1].startswith(
        '"2.csv", line 3 as csv: it has more'
    )
    assert '"2.csv", line 3 as csv' in cli("dataset", "check", "many/*").out
