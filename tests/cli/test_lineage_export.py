"""Lineage as OpenLineage events: what is written is what their specification asks for, and joins runs by content."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from catalogkit import NOW, WrittenLog
from hostile import STRINGS
from mlconsole.actions.context import Context
from mlconsole.actions.lineage_export import EXPORT, ExportParams
from mlconsole.config import Settings
from mlconsole.errors import ActionFailed, Interrupted, UsageError
from openlineage import check_event
from program import Program

SHA = "sha256:" + "ab" * 32
CODE = {"commit": "c" * 40, "branch": "main", "remote": "git@forge.example:team/nets.git"}


def context(home: Path) -> Context:
    """A catalog with a run that made a file, a failed run that used it, and one that goes on."""
    ctx = Context(Settings(home, "ann", "vm"), lambda: NOW)
    log = WrittenLog(home, "a" * 12).begin(name="prepare", experiment="e", command=["python", "prepare.py"])
    log.event("code", **CODE).event("artifact", name="clean.csv", path="clean.csv", digest=SHA)
    log.event("environment", environment={"python": {"version": "3.12.1"}, "packages": {"numpy": "2"}}).end()
    log = WrittenLog(home, "b" * 12).begin(name="train", experiment="e", command=["python", "train.py"])
    log.event("dataset", name="data", path="/d", digest=SHA)
    log.event("end", 2e9, outcome="failed", exit_code=1, lost=0, traceback="ValueError: no")
    log = WrittenLog(home, "c" * 12).begin(name="".join(STRINGS.values())[:300], experiment="e\x1b[2J\udcff")
    log.event("dataset", name=STRINGS[next(iter(STRINGS))], path="", digest="v1")
    return ctx


def exported(ctx: Context, **params: Any) -> list[dict[str, Any]]:
    """The events, each one checked."""
    text = b"".join(chunk.data for chunk in EXPORT.run(ctx, ExportParams(**params))).decode("ascii")
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        check_event(event)
    return events


def test_every_run_starts_and_ends_as_the_specification_asks(tmp_path: Path) -> None:
    ctx = context(tmp_path)

    events = exported(ctx)

    assert [(e["eventType"], e["job"]["name"]) for e in events[:4]] == [
        ("START", "e.prepare"), ("COMPLETE", "e.prepare"), ("START", "e.train"), ("FAIL", "e.train"),
    ]  # fmt: skip
    assert [e["eventType"] for e in events[4:]] == ["START"]
    code = events[0]["job"]["facets"]["sourceCodeLocation"]
    assert (code["url"], code["version"]) == ("ssh://git@forge.example/team/nets.git", CODE["commit"])
    assert events[3]["run"]["facets"]["errorMessage"]["stackTrace"] == "ValueError: no"
    assert "errorMessage" not in events[2]["run"]["facets"]
    assert exported(ctx) == events
    ctx.close()


REMOTES = {
    "git@forge.example:team/nets.git": "ssh://git@forge.example/team/nets.git",
    "host:path/ö x": "file://",
    "https://forge.example/t/n.git": "https://forge.example/t/n.git",
    "https://[redacted]@forge.example/n": "https://forge.example/n",
    "ssh://[redacted]@[::1]:22/n": "ssh://[::1]:22/n",
    "https://forge.example/%zz#x": "https://forge.example/%25zz%23x",
    'https://h/a"b<c>`{|}^\\ö': "https://h/a%22b%3Cc%3E%60%7B%7C%7D%5E%5C%C3%B6",
    "https://[bad/n": "file://",
    "https://hö.example/n": "file://",
    "C:\\repos\\n": "file://",
    "../beside": "file://",
    "-evil": "file://",
}


@pytest.mark.parametrize("remote", REMOTES)
def test_the_code_of_a_run_is_at_a_url_whatever_its_remote_is(tmp_path: Path, remote: str) -> None:
    ctx = Context(Settings(tmp_path, "ann", "vm"), lambda: NOW)
    log = WrittenLog(tmp_path, "a" * 12).begin(name="n", command=["python", "n.py"])
    log.event("code", commit="c" * 40, branch="main", remote=remote).end()

    (started, _) = exported(ctx)

    code = started["job"]["facets"]["sourceCodeLocation"]
    assert code["url"].startswith("file://") if REMOTES[remote] == "file://" else code["url"] == REMOTES[remote]
    assert code["repoUrl"] == remote
    ctx.close()


def test_what_one_run_wrote_and_another_read_is_one_dataset(tmp_path: Path) -> None:
    ctx = context(tmp_path)

    (_, made, used, _, _) = exported(ctx)

    (output,), (given,) = made["outputs"], used["inputs"]
    assert (output["namespace"], output["name"]) == (given["namespace"], given["name"])
    assert given["facets"]["version"]["datasetVersion"] == SHA
    ctx.close()


def test_some_runs_are_written_alone_whole_or_not_at_all(tmp_path: Path) -> None:
    ctx = context(tmp_path / "home")
    file = tmp_path / "events.ndjson"

    assert len(exported(ctx, where="outcome:failed")) == len(exported(ctx, runs=("train",))) == 2
    assert exported(ctx, output=str(file)) == [] and len(file.read_text().splitlines()) == 5
    with pytest.raises(UsageError):
        exported(ctx, runs=("train",), where="x")
    with pytest.raises(ActionFailed):
        exported(ctx, output=str(tmp_path / "none" / "x"))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["events.ndjson"]
    ctx.close()


def test_registered_things_are_called_by_their_names_and_rollouts_follow(cli: Program) -> None:
    (cli.cwd / "data").mkdir()
    (cli.cwd / "data" / "a.csv").write_text("x,y\n1,a\n")
    (cli.cwd / "c.json").write_text("{}")
    script = """
import mlconsole
with mlconsole.start_run(experiment="e", name="net") as run:
    run.log_dataset("data")
    open("w.bin", "wb").write(b"w")
    run.log_model("w.bin")
"""
    cli.json("dataset", "add", "data", "--name", "digits")
    assert cli.record(script).returncode == 0
    cli.json("model", "register", "net", "--name", "m")
    cli.json("release", "create", "--model", "m@1", "--config", "c.json", "--name", "v1")
    cli.json("env", "create", "prod", "--target", f"directory:{cli.cwd / 'live'}")
    cli.json("env", "rollout", "prod", "v1", "--yes")

    events = [json.loads(line) for line in cli("lineage", "export").out.splitlines()]

    for event in events:
        check_event(event)
    assert [event["job"]["name"] for event in events[2:]] == ["rollout.prod"] * 2
    trained, live = events[1], events[3]
    (data,) = trained["inputs"]
    assert data["name"] == "digits" and data["facets"]["schema"]["fields"][0] == {"name": "x", "type": "int"}
    assert "model/m" in {one["name"] for one in trained["outputs"]}
    assert {"digits", "model/m"} <= {one["name"] for one in live["inputs"]}
    assert [(one["name"], one["facets"]["version"]["datasetVersion"]) for one in live["outputs"]] == [("env/prod", "1")]


def test_an_export_stops_when_nobody_wants_it(tmp_path: Path) -> None:
    stop = threading.Event()
    ctx = Context(Settings(tmp_path, "ann", "vm"), lambda: NOW, cancelled=stop)
    for letter in "abc":
        WrittenLog(tmp_path, letter * 12).begin(name=letter).end()
    chunks = EXPORT.run(ctx, ExportParams())
    next(chunks)
    stop.set()

    with pytest.raises(Interrupted):
        list(chunks)
    ctx.close()
