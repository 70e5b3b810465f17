"""Drift at the command line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
from pathlib import Path
from typing import Any

import pytest

from hostile import raw_controls
from program import Indoors, Program

SEED = 7


def rows(
    count: int, shift: float = 0.0, seed: int = SEED, weights: tuple[int, ...] = (5, 3, 2)
) -> list[dict[str, Any]]:
    r = random.Random(seed)
    return [
        {
            "age": round(r.gauss(40 + 10 * shift, 10), 3),
            "kind": r.choices("abc", weights)[0],
            "flag": r.random() < 0.3,
            "constant": 3,
            "nothing": None,
            "at": f"2026-01-{1 + i * 27 // count:02}T10:00:00Z",
        }
        for i in range(count)
    ]


def csv_of(table: list[dict[str, Any]]) -> str:
    names = list(table[0])
    lines = [",".join("" if row[n] is None else str(row[n]) for n in names) for row in table]
    return "\n".join([",".join(names), *lines]) + "\n"


def write(path: Path, table: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(csv_of(table))


@pytest.fixture
def cli(cli: Program) -> Program:
    """Commands without processes of their own: reading tables loads a third of a second of libraries each time."""
    return Indoors(cli.home, cli.cwd)


@pytest.fixture
def data(cli: Program) -> Path:
    write(cli.cwd / "a.csv", rows(600))
    write(cli.cwd / "same.csv", rows(400, seed=8))
    write(cli.cwd / "moved.csv", rows(400, shift=0.5, seed=9, weights=(2, 3, 5)))
    return cli.cwd


def by_column(document: Any) -> dict[str, Any]:
    return {one["column"]: one for one in document["columns"]}


def test_what_moved_is_named_and_ends_with_6(cli: Program, data: Path) -> None:
    cli = Program(cli.home, cli.cwd)  # The program itself, as a process.
    done = cli("drift", "compare", "a.csv", "moved.csv", "--json")

    document = done.document
    assert (done.code, document["kind"], document["verdict"], document["rows"]) == (6, "drift", "drift", 400)
    found = by_column(document)
    assert [name for name, one in found.items() if one["verdict"] == "drift"] == ["age", "kind"]
    assert found["age"]["effect"] == pytest.approx(0.5, abs=0.15) and found["age"]["p_value"] < 1e-6
    assert (found["age"]["n_reference"], found["age"]["n_current"]) == (600, 400)
    assert found["kind"]["worst"]["label"] in ("a", "c")


def test_what_did_not_move_keeps_its_effect_and_chance(cli: Program, data: Path) -> None:
    done = cli("drift", "compare", "a.csv", "same.csv", "--json")

    assert (done.code, done.document["verdict"]) == (0, "ok")
    found = by_column(done.document)
    assert {found[name]["verdict"] for name in ("age", "kind", "flag", "constant")} == {"ok"}
    assert all(0 < found[name]["p_value"] <= 1 and found[name]["worst"] for name in ("age", "kind", "flag"))
    assert found["nothing"]["verdict"] == "insufficient"
    assert found["at"]["note"].startswith("moments always move")


def test_too_few_rows_are_insufficient_and_never_ok(cli: Program, data: Path) -> None:
    write(data / "tiny.csv", rows(29, shift=3))

    done = cli("drift", "compare", "a.csv", "tiny.csv", "--json")

    assert done.document["verdict"] == "insufficient"
    values = [one for one in done.document["columns"] if one["column"] != "at"]
    assert {one["verdict"] for one in done.document["columns"]} == {"insufficient"}
    assert all(one["p_value"] is None for one in values)


def test_values_that_go_missing_are_drift(cli: Program, data: Path) -> None:
    table = rows(400, seed=8)
    for row in table[::5]:
        row["age"] = None
    write(data / "holes.csv", table)

    found = by_column(cli("drift", "compare", "a.csv", "holes.csv", "--json").document)["age"]

    assert (found["test"], found["verdict"]) == ("missing", "drift")
    assert found["effect"] == pytest.approx(0.2)


def test_rows_behind_a_quote_that_is_not_closed_are_not_lost_without_a_word(cli: Program, data: Path) -> None:
    lines = [f"{i}.5,a\n" for i in range(400)]
    (cli.cwd / "whole.csv").write_text("x,c\n" + "".join(lines))
    (cli.cwd / "torn.csv").write_text("x,c\n" + "".join([*lines[:200], '1,"a\n', *lines[200:]]))

    torn = cli("drift", "compare", "whole.csv", "torn.csv")
    assert torn.code == 1 and "a quote is opened and not closed" in torn.err
    checked = cli("dataset", "check", "torn.csv")
    assert checked.code != 0 and "quote" in checked.out + checked.err


def test_a_column_that_had_no_value_and_has_some_is_drift_of_what_is_missing(cli: Program, data: Path) -> None:
    (cli.cwd / "nothing.csv").write_text("x,y\n" + ",1\n" * 60)
    (cli.cwd / "something.csv").write_text("x,y\n" + "".join(f"{i}.5,1\n" for i in range(60)))

    for words in ((), ("--tests", "ks,missing")):
        done = cli("drift", "compare", "nothing.csv", "something.csv", *words, "--json")

        assert done.code == 6, done.err
        moved = [(one["column"], one["test"]) for one in done.document["columns"] if one["verdict"] == "drift"]
        assert moved == [("x", "missing")]


def test_a_column_of_another_kind_is_a_schema_s_failure_and_not_tested(cli: Program, data: Path) -> None:
    table = [{**row, "age": "unknown" if i % 3 else row["age"]} for i, row in enumerate(rows(400))]
    for row in table:
        del row["flag"]
    write(data / "mixed.csv", table)

    done = cli("drift", "compare", "a.csv", "mixed.csv", "--json")

    assert (done.code, done.document["verdict"]) == (6, "schema")
    found = by_column(done.document)
    assert [(found[n]["verdict"], found[n]["p_value"]) for n in ("age", "flag")] == [("schema", None)] * 2
    messages = {one["column"]: one["message"] for one in done.document["schema"]}
    assert "266 values" in messages["age"] and messages["flag"] == "the column is missing"


def test_every_form_of_the_same_rows_says_the_same(cli: Program, data: Path) -> None:
    import polars as pl

    table = rows(400, shift=0.5, seed=9)
    text = csv_of(table).encode()
    lines = "".join(json.dumps(row) + "\n" for row in table).encode()
    (data / "x.csv.gz").write_bytes(gzip.compress(text))
    (data / "x.csv.bz2").write_bytes(bz2.compress(text))
    (data / "x.csv.xz").write_bytes(lzma.compress(text))
    (data / "x.tsv").write_bytes(text.replace(b",", b"\t"))
    (data / "x.jsonl").write_bytes(lines)
    (data / "x.ndjson.gz").write_bytes(gzip.compress(lines))
    pl.DataFrame(table, strict=False).write_parquet(data / "x.parquet")
    for part, piece in enumerate((table[:150], table[150:])):
        write(data / "folder" / f"part={part}" / "x.csv", piece)

    found = {}
    forms = (
        "x.csv.gz",
        "x.csv.bz2",
        "x.csv.xz",
        "x.tsv",
        "x.jsonl",
        "x.ndjson.gz",
        "x.parquet",
        "folder",
        "folder/*/*.csv",
    )
    for name in forms:
        document = cli("drift", "compare", "a.csv", name, "--json").document
        own = by_column(document)
        found[name] = [(document["rows"], *((own[n]["effect"], own[n]["p_value"]) for n in ("age", "kind", "flag")))]

    assert all(one == found["x.csv.gz"] for one in found.values()), found


def test_a_schema_that_changes_within_a_glob_is_told_by_file(cli: Program, data: Path) -> None:
    write(data / "live" / "1.csv", rows(100))
    write(data / "live" / "2.csv", [{k: v for k, v in row.items() if k != "kind"} | {"new": 1} for row in rows(100)])

    document = cli("drift", "compare", "a.csv", "live/*.csv", "--json").document

    assert any("2.csv" in note and '"kind"' in note for note in document["notes"])
    assert any("2.csv" in note and '"new"' in note for note in document["notes"])
    assert by_column(document)["kind"]["verdict"] == "drift"
    assert by_column(document)["kind"]["worst"] == {"label": "(missing)", "reference": 0.0, "current": 0.5}


def test_tests_columns_floors_and_slices_are_chosen(cli: Program, data: Path) -> None:
    words = ("drift", "compare", "a.csv", "moved.csv", "--json")

    one = cli(*words, "--tests", "ks,psi", "--columns", "age").document
    lenient = cli(*words, "--columns", "age", "--floor", "wasserstein=2").document
    sliced = cli(*words, "--slices", "kind").document

    assert [(c["column"], c["test"], c["verdict"]) for c in one["columns"]] == [
        ("age", t, "drift") for t in ("ks", "psi")
    ]
    assert (lenient["columns"][0]["verdict"], lenient["columns"][0]["floor"]) == ("ok", 2.0)
    slices = {c["slice"] for c in sliced["columns"]}
    assert slices == {"", "kind=a", "kind=b", "kind=c"}


def test_odd_numbers_do_not_stop_the_rest(cli: Program, data: Path) -> None:
    lines = [
        "x,y",
        *(f"{i % 50},{i % 7}" for i in range(200)),
        "1e308,1",
        "-1e308,1",
        "inf,1",
        "NaN,2",
        "1e999,3",
        ",4",
    ]
    (data / "odd.csv").write_text("\n".join(lines) + "\n")

    document = cli("drift", "compare", "odd.csv", "odd.csv", "--json").document

    assert {one["verdict"] for one in document["columns"]} == {"ok"}
    assert all(one["effect"] == 0 and one["p_value"] == 1 for one in document["columns"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("a.csv", "nowhere.csv"), 2),
        (("a.csv", "nothing-*.csv"), 2),
        (("a.csv", "empty.csv"), 2),
        (("a.csv", "broken.parquet"), 1),
        (("a.csv", "broken.jsonl"), 1),
        (("a.csv", "broken.csv.gz"), 1),
        (("a.csv", "a.csv", "--tests", "nonsense"), 2),
        (("a.csv", "a.csv", "--columns", "nonsense"), 2),
        (("a.csv", "a.csv", "--slices", "nonsense"), 2),
        (("a.csv", "a.csv", "--floor", "ks=x"), 2),
        (("a.csv", "a.csv", "--level", "2"), 2),
    ],
)
def test_what_cannot_be_compared_is_one_line_with_its_code(
    cli: Program, data: Path, words: tuple[str, ...], code: int
) -> None:
    (data / "empty.csv").write_text("")
    for name in ("broken.parquet", "broken.jsonl", "broken.csv.gz"):
        (data / name).write_bytes(b"\x1f\x8bnonsense\n{]")

    done = cli("drift", "compare", *words)

    assert (done.code, done.out, done.err.count("\n")) == (code, "", 1)
    assert done.err.startswith("mlconsole: ") and "Traceback" not in done.err


def test_other_separators_are_read_and_other_encodings_are_told(cli: Program, data: Path) -> None:
    rows = [f"{i % 7},{'aä'[i % 2]}" for i in range(100)]
    (cli.cwd / "comma.csv").write_text("\n".join(["n,c", *rows]))
    (cli.cwd / "semicolon.csv").write_text("\n".join(["n,c", *rows]).replace(",", ";"))
    (cli.cwd / "latin.csv").write_bytes("\n".join(["n,c", *rows]).encode("latin-1"))
    (cli.cwd / "wide.csv").write_text("\n".join(["n,c", *rows]), encoding="utf-16")
    (cli.cwd / "torn.csv").write_text("\n".join(["n,c", *rows, '1,"a', "2,b"]))

    assert cli("drift", "compare", "comma.csv", "semicolon.csv").code == 0
    assert "is not UTF-8" in cli("drift", "compare", "comma.csv", "latin.csv").out
    assert "it is UTF-16" in cli("drift", "compare", "comma.csv", "wide.csv").err
    assert "a quote is opened and not closed" in cli("drift", "compare", "comma.csv", "torn.csv").err


def test_numbers_too_large_or_too_small_to_be_told_apart_are_told_or_seen(cli: Program, data: Path) -> None:
    big = [2**60 + i % 50 for i in range(200)]
    (cli.cwd / "before.csv").write_text("\n".join(["id,x", *(f"{n},{i % 9}e-300" for i, n in enumerate(big))]))
    (cli.cwd / "now.csv").write_text("\n".join(["id,x", *(f"{n},{i % 9 + 5}e-300" for i, n in enumerate(big))]))

    found = {
        one["column"]: one for one in cli("drift", "compare", "before.csv", "now.csv", "--json").document["columns"]
    }

    assert found["x"]["verdict"] == "drift" and found["x"]["effect"] > 1
    assert "beyond 2^53" in found["id"]["note"]


def test_of_very_many_new_columns_some_are_shown(cli: Program, data: Path) -> None:
    (cli.cwd / "narrow.csv").write_text("x\n" + "1\n" * 40)
    (cli.cwd / "wide.csv").write_text(",".join(["x", *(f"c{i}" for i in range(300))]) + "\n")

    done = cli("drift", "compare", "narrow.csv", "wide.csv")

    assert "... and 280 more: --json has all" in done.out and len(done.out.splitlines()) < 40


def test_hostile_names_and_values_are_shown_safely(cli: Program, data: Path) -> None:
    column, value = "a\x1b[2J[/]", "\x1b]0;x\x07[@click=app.quit]"
    for name, count in (("h1.jsonl", 40), ("h2.jsonl", 5)):
        table = [{column: value if i < count else "b", "n": i % 9} for i in range(50)]
        (data / name).write_text("".join(json.dumps(row) + "\n" for row in table))

    done = cli("drift", "compare", "h1.jsonl", "h2.jsonl")

    assert done.code == 6 and raw_controls(done.out) == set()
    assert (
        by_column(cli("drift", "compare", "h1.jsonl", "h2.jsonl", "--json").document)[column]["worst"]["label"] == value
    )


def test_a_dataset_is_compared_by_its_name(cli: Program, data: Path) -> None:
    cli.json("dataset", "add", "a.csv", "--name", "ages")

    done = cli("drift", "compare", "ages", "moved.csv", "--json")

    assert (done.code, done.document["reference"]) == (6, "ages")


def test_the_tests_are_listed_with_definition_and_source(cli: Program) -> None:
    items = {one["name"]: one for one in cli.json("drift", "tests")["items"]}

    assert {"ks", "wasserstein", "jensen_shannon", "psi", "chi2", "chi2_fit", "linf", "cramers_v"} <= set(items)
    assert "base 2" in items["jensen_shannon"]["definition"] and items["ks"]["source"]


def test_all_numbers_are_tested_together_where_it_is_asked_for(cli: Program, data: Path) -> None:
    moved = cli("drift", "compare", "a.csv", "moved.csv", "--tests", "mmd", "--json")
    same = cli("drift", "compare", "a.csv", "same.csv", "--tests", "mmd", "--json")
    watched = cli("monitor", "add", "m", "--baseline", "a.csv", "--live", "same.csv", "--tests", "mmd")

    assert (moved.code, same.code) == (6, 0) and len(moved.document["columns"]) == 1
    assert moved.document["columns"][0]["effect"] > 0.1 > same.document["columns"][0]["effect"]
    assert watched.code == 2 and "keeps none" in watched.err


def test_a_row_number_is_tested_when_it_is_named(cli: Program, data: Path) -> None:
    for name, start in (("ids.csv", 0), ("more.csv", 500)):
        (cli.cwd / name).write_text("id\n" + "".join(f"{start + i}\n" for i in range(200)))

    assert cli("drift", "compare", "ids.csv", "more.csv").code == 0
    named = cli("drift", "compare", "ids.csv", "more.csv", "--columns", "id", "--json")
    assert named.code == 6 and by_column(named.document)["id"]["test"] == "wasserstein"
