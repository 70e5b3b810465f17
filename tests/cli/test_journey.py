"""The whole way once, as a script takes it: launch, see it live, find it, compare, stop, report, export, delete."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from program import Program, wait_until

TRAINING = """
import sys
import mlconsole

with mlconsole.start_run(experiment="journey", params={"width": 32}) as run:
    for step in range(10):
        run.log({"loss": 1 / (step + 1)}, step=step)
    print("ten steps done", flush=True)
    if sys.argv[2] != "free":
        open(sys.argv[2]).read()
    run.log({"loss": 0.01}, step=10)
"""


def test_a_training_is_launched_seen_live_found_stopped_reported_exported_and_deleted(
    cli: Program, tmp_path: Path
) -> None:
    (cli.cwd / "train.py").write_text(TRAINING)
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    held = cli.json("launch", "-n", "held", "-t", "first", "--", sys.executable, "train.py", "--gate", str(gate))["id"]
    free = cli.json("launch", "-n", "free", "--", sys.executable, "train.py", "--gate", "free")["id"]
    assert cli.ended(free)["outcome"] == "succeeded"
    wait_until(lambda: "ten steps done" in cli("run", "logs", held).out, "the held training's ten steps")

    live = cli.json("run", "show", held)
    assert (live["state"], live["experiment"], live["tags"]) == ("running", "journey", {"first": ""})
    assert live["params"] == {"gate": str(gate), "width": 32}
    assert live["metrics"]["loss"] == {"last": 0.1, "min": 0.1, "max": 1.0, "step": 9, "count": 10}

    found = cli.json("run", "list", "experiment:journey and loss<0.5", "sort:loss")["items"]
    assert [run["name"] for run in found] == ["free", "held"]
    assert [run["name"] for run in cli.json("run", "list", "state:running")["items"]] == ["held"]

    metric = cli.json("metric", "show", free, "loss")
    assert metric["steps"] == list(range(11)) and metric["values"][-1] == 0.01

    compared = {row["key"]: row["values"] for row in cli.json("run", "compare", "held", "free")["rows"]}
    assert compared["loss"] == [0.1, 0.01] and compared["gate"] == [str(gate), "free"]

    assert cli("run", "stop", held).code == 3
    stopped = cli.json("run", "stop", held, "--yes")
    assert (stopped["state"], stopped["outcome"]) == ("ended", "cancelled")

    assert cli("report", held, free, "-o", "page.html").code == 0
    page = (cli.cwd / "page.html").read_text(encoding="utf-8")
    assert "held" in page and "cancelled" in page

    exported = json.loads(cli("run", "export", "--where", "experiment:journey", "--history").out)
    assert sorted(len(run["histories"]["loss"]["values"]) for run in exported["items"]) == [10, 11]

    assert cli("run", "delete", held, "--yes").code == 0
    assert [run["name"] for run in cli.json("run", "list")["items"]] == ["free"]
    done = [row["action"] for row in cli.json("audit", "list")["items"] if row["phase"] == "end"]
    assert done == ["run delete", "run stop", "launch", "launch"]
    assert cli("audit", "verify").code == 0
