"""A launch that says what it learns from: looked at before it starts, in its lineage when it did."""

from __future__ import annotations

import os

import pytest

from mlconsole.domain.commands import config_files
from program import Program


@pytest.fixture
def digits(cli: Program) -> str:
    """The id of a dataset "digits" of the folder "data"."""
    (cli.cwd / "data").mkdir()
    (cli.cwd / "data" / "a.csv").write_text("x\n1\n")
    return str(cli.json("dataset", "add", "data", "--name", "digits")["id"])


def test_what_a_launch_says_it_learns_from_is_in_its_lineage_and_in_that_of_the_next(cli: Program, digits: str) -> None:
    plan = cli.json("launch", "--data", "digits", "--dry-run", "--", "true")
    # By name and by path it is the same.
    run = cli.json("launch", "--data", "digits", "--data", "./data", "--name", "one", "--", "true")["id"]
    again = cli.json("run", "relaunch", run, "--name", "two")["id"]

    assert "learns from digits@1, which is as it was added" in plan["steps"][1]["text"]
    assert "--data digits" in plan["command"]
    for each in (run, again):
        assert cli.json("run", "show", each)["dataset_ids"] == [digits]
    down = cli.json("lineage", "down", "digits", "--depth", "1")
    assert {f"run:{run}", f"run:{again}"} <= {node["key"] for node in down["nodes"]}
    assert {edge["role"] for edge in down["edges"]} >= {"used"}


def test_data_that_is_not_what_it_was_is_refused_though_size_and_time_are(cli: Program, digits: str) -> None:
    file = cli.cwd / "data" / "a.csv"
    status = file.stat()
    file.write_text("x\n2\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    by_name = cli("launch", "--data", "digits", "--", "true", "--json")
    by_path = cli("launch", "--data", "./data", "--", "true")

    assert by_name.code == 1 and "is not what digits@1 was; nothing was launched" in by_name.err
    assert by_path.code == 4 and "dataset add ./data --name NAME" in by_path.err
    assert cli.json("run", "list")["items"] == []


def test_data_that_nobody_knows_or_that_lies_elsewhere_is_said_to_be_so(cli: Program, digits: str) -> None:
    elsewhere = cli.cwd / "elsewhere"
    os.rename(cli.cwd / "data", elsewhere)

    gone = cli("launch", "--data", "digits", "--", "true")
    moved = cli.json("launch", "--data", str(elsewhere), "--dry-run", "--", "true")
    unknown = cli("launch", "--data", "nothing", "--", "true")

    assert gone.code == 1 and "any more; nothing was launched" in gone.err
    assert "learns from digits@1" in moved["steps"][1]["text"]
    assert unknown.code == 4 and "neither a dataset nor a path" in unknown.err


def test_the_configuration_that_a_command_names_is_in_its_lineage_and_is_that_of_a_release(cli: Program) -> None:
    (cli.cwd / "c.json").write_text('{"lr": 1}')
    (cli.cwd / "rows.json").write_text("[]")
    cli.launch("true", "--config", "c.json", "rows.json", "other.yaml", name="one")
    (cli.cwd / "serve.py").write_text("1\n")
    cli.json("release", "create", "--code", "serve.py", "--config", "c.json", "--name", "v1")

    up = cli.json("lineage", "up", "one", "--depth", "1")
    down = cli.json("lineage", "down", "c.json")

    assert [node["label"] for node in up["nodes"] if node["node"] == "config"] == ["c.json"]
    assert {node["label"] for node in down["nodes"]} == {"c.json", "one", "v1"}


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["python", "train.py", "a.yaml", "--lr", "1"], ["a.yaml"]),
        (["t", "--config=x/b.json", "data.json"], ["x/b.json"]),
        (["t", "--conf", "b.json", "config.json"], ["b.json", "config.json"]),
        (["t", "--data", "b.json"], []),
        (["a.toml"], []),
        ([], []),
    ],
)
def test_what_a_command_calls_configuration(argv: list[str], found: list[str]) -> None:
    assert config_files(argv) == found
