"""Every command that reads: what it prints for people, and the document that scripts rely on."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest

from program import Program

RUN_FIELDS = frozenset(
    """id name experiment state outcome exit_code reason reach backend host user command params metrics tags created_at
    started_at ended_at duration_s gpus gpu_hours cost_usd dataset_ids commit""".split()  # noqa: SIM905
)
READS = [
    ("run", "list"),
    ("run", "list", "vision", "loss<0.6", "--sort", "-loss", "--columns", "lr,loss"),
    ("run", "show", "alpha"),
    ("run", "compare", "alpha", "beta"),
    ("metric", "show", "beta", "loss"),
    ("experiment", "list"),
    ("audit", "list"),
    ("audit", "verify"),
    ("backend", "list"),
    ("backend", "check"),
]


def only(document: Any) -> Any:
    (item,) = document["items"]
    return item


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_a_read_prints_lines_for_people_and_one_document_for_scripts(lab: Program, words: tuple[str, ...]) -> None:
    text = lab(*words)
    document = lab(*words, "--json")

    assert (text.code, text.err, document.code, document.err) == (0, "", 0, "")
    assert text.out.strip() and not text.out.lstrip().startswith("{")
    assert isinstance(document.document["kind"], str)
    assert document.out.isascii()


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_global_flags_stand_before_within_or_behind_a_command(lab: Program, words: tuple[str, ...]) -> None:
    documents = [lab("--json", *words), lab(words[0], "--json", *words[1:]), lab(*words, "--json")]
    assert len({done.document["kind"] for done in documents}) == 1


def test_a_run_has_every_field_that_scripts_rely_on(lab: Program) -> None:
    run = only(lab.json("run", "list", "alpha"))

    assert set(run) >= RUN_FIELDS
    assert (run["name"], run["experiment"], run["state"], run["outcome"]) == ("alpha", "vision", "ended", "succeeded")
    assert run["params"] == {"lr": 0.1, "opt": "sgd", "deep": {"a": [1, None]}}
    assert run["tags"] == {"team": "nlp"}
    assert run["metrics"]["loss"] == {"last": 0.2, "min": 0.2, "max": 1.0, "step": 4, "count": 5}
    assert len(run["dataset_ids"]) == 1
    assert run["duration_s"] >= 0 and run["created_at"].endswith("Z")


def test_run_show_adds_what_a_page_shows(lab: Program) -> None:
    shown = lab.json("run", "show", "gamma")

    assert shown["kind"] == "run" and set(shown) >= RUN_FIELDS
    assert shown["outcome"] == "failed"
    assert shown["traceback"].rstrip().endswith("ValueError: the data is not there")
    assert [change["state"] for change in shown["timeline"]][-1] == "ended"
    assert shown["environment"]["python"]


def test_run_show_names_what_a_run_kept(lab: Program) -> None:
    kept = {(artifact["kind"], artifact["name"]) for artifact in lab.json("run", "show", "alpha")["artifacts"]}

    assert kept == {("dataset", "lab"), ("artifact", "script.py")}


def test_a_metric_is_three_columns_with_names_for_what_json_lacks(lab: Program) -> None:
    metric = lab.json("metric", "show", "beta", "loss")

    assert metric["kind"] == "metric" and metric["key"] == "loss"
    assert metric["run"] == only(lab.json("run", "list", "beta"))["id"]
    assert metric["values"] == [0.5, "NaN", "Infinity", "-Infinity"]
    assert len(metric["steps"]) == len(metric["times"]) == 4


def test_an_experiment_counts_its_runs(lab: Program) -> None:
    found = {item["name"]: item for item in lab.json("experiment", "list")["items"]}

    assert (found["vision"]["runs"], found["vision"]["failed"]) == (2, 0)
    assert (found["speech"]["runs"], found["speech"]["failed"]) == (3, 1)


def test_a_backend_says_what_it_is(lab: Program) -> None:
    local = next(item for item in lab.json("backend", "list")["items"] if item["name"] == "local")

    assert set(local) >= {"name", "reachable", "version", "abilities"}
    assert local["reachable"] is True


def test_a_comparison_puts_what_differs_first(lab: Program) -> None:
    comparison = lab.json("run", "compare", "alpha", "beta")

    assert comparison["differing"] == ["deep", "lr", "opt"]
    assert [row["differs"] for row in comparison["rows"]] == sorted(
        (row["differs"] for row in comparison["rows"]), reverse=True
    )


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("loss<0.3", "sort:name"), ["alpha", "beta"]),
        (("loss=nan",), []),
        (("lr>=0.2", "sort:name"), ["beta", "gamma"]),
        (("has:loss", "sort:lr"), ["alpha", "beta", "gamma"]),
        (("--where", "not has:lr"), ["twin", "twin"]),
        (("tag:debug",), ["beta"]),
        (("tag:team=nlp",), ["alpha"]),
        (("experiment:speech", "outcome:failed"), ["gamma"]),
        (("(opt=sgd or opt=adam) and not tag:debug",), ["alpha"]),
        (("created>-1h", "name=twin"), ["twin", "twin"]),
        (("--sort", "-lr", "has:lr"), ["gamma", "beta", "alpha"]),
        (("--where", "max(loss)>=1", "--sort", "name"), ["alpha", "gamma"]),
        (("nothing-like-it",), []),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_a_filter_finds_its_runs_in_order(lab: Program, words: tuple[str, ...], names: list[str]) -> None:
    assert [run["name"] for run in lab.json("run", "list", *words)["items"]] == names


def test_a_column_may_be_any_field_a_filter_may_name(lab: Program) -> None:
    columns = "min(loss),count(loss),param.lr,tag.team,created_at,cost_usd,tags"
    head, row = lab("run", "list", "alpha", "--columns", columns).out.splitlines()

    assert head.split()[3:] == ["min(loss)", "count(loss)", "lr", "team", "CREATED", "COST", "TAGS"]
    assert row.split()[4:8] == ["0.2000", "5", "0.1", "nlp"]


def test_a_limited_list_says_that_there_is_more(lab: Program) -> None:
    limited = lab.json("run", "list", "--limit", "2")

    assert len(limited["items"]) == 2 and limited["more"] is True
    assert "there are more" in lab("run", "list", "--limit", "2").out
    assert len(lab.json("run", "list", "--limit", "0")["items"]) == 5


def test_a_run_answers_to_its_id_a_unique_prefix_and_its_name(lab: Program) -> None:
    full = only(lab.json("run", "list", "alpha"))["id"]

    assert {lab.json("run", "show", word)["id"] for word in (full, full[:8], "alpha")} == {full}


def test_an_empty_catalog_says_how_to_fill_it(cli: Program) -> None:
    assert "mlconsole launch" in cli("run", "list").out


def test_a_filter_that_no_run_fits_is_no_empty_catalog(lab: Program) -> None:
    found = lab("run", "list", "loss>1e300")

    assert (found.code, found.out) == (0, "No run fits the filter. All there are: mlconsole run list\n")


def test_read_only_reads(lab: Program) -> None:
    assert lab("--read-only", "run", "list").code == 0


def test_a_catalog_is_chosen_by_flag_over_environment(lab: Program, cli: Program) -> None:
    assert len(cli.json("--catalog", str(lab.home), "run", "list")["items"]) == 5


def test_reading_makes_no_sound_on_a_closed_pipe(lab: Program) -> None:
    process = lab.start("run", "list", "--limit", "0", "--json")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()

    said = process.stderr.read()
    process.wait(30)
    process.stderr.close()

    assert said == b""


def test_an_export_holds_every_run_and_on_demand_every_point(lab: Program) -> None:
    exported = json.loads(lab("run", "export", "alpha", "beta", "--history").out)

    assert [run["name"] for run in exported["items"]] == ["alpha", "beta"]
    assert exported["items"][1]["histories"]["loss"]["values"] == [0.5, "NaN", "Infinity", "-Infinity"]


def test_an_export_as_csv_has_a_column_for_each_param_and_metric(lab: Program) -> None:
    head, *rows = lab("run", "export", "--format", "csv", "--where", "experiment:vision").out.splitlines()

    assert {"id", "name", "param.lr", "metric.loss"} <= set(head.split(","))
    assert len(rows) == 2


def test_a_param_that_has_parts_is_json_in_a_csv(lab: Program) -> None:
    (row,) = csv.DictReader(lab("run", "export", "alpha", "--format", "csv").out.splitlines())

    assert json.loads(row["param.deep"]) == {"a": [1, None]}


def test_an_export_to_a_file_leaves_standard_output_clean(lab: Program) -> None:
    done = lab("run", "export", "alpha", "--output", "out.json")

    assert (done.code, done.out) == (0, "")
    assert json.loads((lab.cwd / "out.json").read_text())["items"][0]["name"] == "alpha"


def test_a_report_is_one_file(lab: Program) -> None:
    done = lab("report", "--where", "has:loss", "--output", "page.html")

    assert done.code == 0 and "page.html" in done.out
    text = (lab.cwd / "page.html").read_text(encoding="utf-8")
    assert "ValueError: the data is not there" in text and "alpha" in text


def test_help_names_every_command_and_exit_code(lab: Program) -> None:
    done = lab("--help")

    assert done.code == 0 and done.err == ""
    for word in ("launch", "run", "metric", "experiment", "report", "demo", "3 confirmation", "130 interrupted"):
        assert word in " ".join(done.out.split())


@pytest.mark.parametrize("words", [("--version",), ("--version", "--json"), ("--no-color", "--version")])
def test_version_prints_the_version(lab: Program, words: tuple[str, ...]) -> None:
    assert lab(*words).out.split()[0] == "mlconsole"


def test_user_me_means_whoever_asks(lab: Program) -> None:
    mine = lab.json("run", "list", "user:me")["items"]
    assert [run["id"] for run in mine] == [run["id"] for run in lab.json("run", "list")["items"]]
    assert lab.json("run", "list", 'user:"me"')["items"] == []
