from __future__ import annotations

import csv
import gzip
import json
import math
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from mlconsole.demo.trainings import SERVED
from program import Finished, Program, end_processes_of

pytest.importorskip("torch", reason="the demo's trainings need torch")
pytest.importorskip("sklearn", reason="the demo's trainings need scikit-learn")

AXES = ("data", "code")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(330)]


@dataclass(frozen=True)
class Demo:
    """What the demo printed, and the program on the catalog it made."""

    done: Finished
    program: Program

    def run(self, name: str) -> Any:
        return self.program.json("run", "show", name)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    work = tmp_path_factory.mktemp("demo")
    home = work / ".demo" / "catalog"
    elsewhere = Program(work / "users-own", work)
    done = elsewhere("demo", deadline_s=300)
    program = Program(home, work)
    yield Demo(done, program)
    program("env", "withdraw", "prod", "--yes")
    end_processes_of(home)


def test_the_demo_prints_its_runs_as_a_table_and_succeeds(demo: Demo) -> None:
    assert demo.done.code == 0, demo.done.err
    head, *rows = demo.done.out.splitlines()
    assert head.split()[:3] == ["ID", "NAME", "STATE"]
    assert len(rows) == 10


def test_the_demo_says_which_catalog_it_made_and_how_to_remove_it(demo: Demo) -> None:
    assert str(demo.program.home) in demo.done.err
    assert "rm -rf .demo" in demo.done.err
    assert "run stop cnn-long --yes" in demo.done.err


def test_the_demo_leaves_the_users_own_catalog_alone(demo: Demo) -> None:
    assert demo.done.code == 0
    assert not (demo.program.cwd / "users-own").exists()


def test_the_demo_has_good_runs(demo: Demo) -> None:
    good = demo.program.json("run", "list", "val/acc>0.9", "outcome:succeeded")["items"]

    assert len(good) >= 3
    assert all(run["dataset_ids"] and run["params"]["weights"] > 0 for run in good)


def test_the_demo_has_a_run_that_failed_with_a_real_error(demo: Demo) -> None:
    failed = demo.run("mlp-norm-batch-4")

    assert (failed["outcome"], failed["exit_code"]) == ("failed", 1)
    assert "Expected more than 1 value per channel" in failed["traceback"]
    assert failed["metrics"]["train/loss"]["count"] > 100


def test_the_demo_has_a_run_that_diverged_and_went_on_to_its_end(demo: Demo) -> None:
    diverged = demo.run("mlp-lr-10")

    assert (diverged["outcome"], diverged["metrics"]["epoch"]["last"]) == ("succeeded", 12)
    assert diverged["metrics"]["val/loss"]["last"] == "NaN"
    values = demo.program.json("metric", "show", "mlp-lr-10", "train/loss")["values"]
    assert isinstance(values[0], float) and math.isfinite(values[0])


def test_the_demo_has_a_run_that_goes_on_and_can_be_stopped(demo: Demo) -> None:
    assert demo.run("cnn-long")["state"] == "running"

    stopped = demo.program.json("run", "stop", "cnn-long", "--yes")

    assert (stopped["state"], stopped["outcome"]) == ("ended", "cancelled")


def test_the_demo_costs_by_a_price_that_says_it_is_an_example_what_its_runs_and_idle_time_come_to(demo: Demo) -> None:
    found = demo.program.json("cost", "show")
    (budget,) = demo.program.json("budget", "list")["items"]

    assert "an example price" in demo.done.err and "an example price" in found["prices"][0]["source"]
    assert len(found["items"]) >= 10 and all(item["usd"] >= 0 for item in found["items"])
    assert found["runs_usd"] > 0.05 and found["idle_usd"] > 0.005
    assert found["runs_usd"] + found["idle_usd"] == pytest.approx(found["machines_usd"], abs=1e-9)
    assert found["burn_usd_per_h"] == 12 and found["forecast_usd"] > found["month_usd"] > 0
    assert (budget["scope"], budget["usd"]) == ("experiment:digits", 5) and 0 < budget["spent_usd"] < 5


def test_the_demo_serves_a_model_and_takes_a_worse_one_back(demo: Demo) -> None:
    prod = demo.program.json("env", "show", "prod")
    moves = demo.program.json("env", "history", "prod")["items"]

    assert (prod["state"], prod["release_name"], prod["generation"]) == ("live", "digits-3", 4)
    outcomes = [(move["generation"], move["outcome"]) for move in moves]
    assert outcomes == [(4, "done"), (3, "done"), (2, "rolled_back"), (1, "done")]
    assert "labelled images are told right; 95% are asked for" in demo.done.err
    with urllib.request.urlopen(prod["observed"]["endpoint"] + "/health", timeout=10) as answer:
        assert answer.status == 200


def test_the_demo_sees_its_camera_move_and_brings_a_better_model_by_rule(demo: Demo) -> None:
    alerts = demo.program.json("alert", "list", "--all")["items"]
    (alert,) = [one for one in alerts if one["source"] == "monitor"]
    told = demo.program.json("alert", "show", alert["id"])["timeline"]
    windows = demo.program.json("monitor", "show", "digits-live")["recent"]

    by_rule = [one["who"] for one in told if one["what"] == "policy fired"]
    assert sorted(by_rule[:2]) == ["measure", "retrain"]
    assert by_rule[2:] == ["register", "release", "promote", "usual"]
    compared = next(one["words"] for one in told if "recent/acc>=present" in one["words"])
    new, _, before = compared.partition(": ")[2].partition(" against ")
    assert float(new) > 0.8 > 0.6 > float(before)
    assert [one["verdict"] for one in windows] == ["ok", "ok", "drift", "drift", "drift", "ok", "ok"]
    assert (alert["state"], told[-1]["what"]) == ("resolved", "alert resolved")
    (held,) = [one for one in told if one["what"] == "policy held"]
    assert held["who"] == "search" and "$96.00 for this one is more than $12.00 a month" in held["words"]


def test_the_demo_s_rules_tell_what_they_would_have_done(demo: Demo) -> None:
    told = demo.program.json("policy", "test", ".demo/policies.toml", "--since", "1h")["items"]

    fired = {one["policy"]: one["state"] for one in told}
    rules = dict.fromkeys(("measure", "retrain", "register", "release", "promote", "usual"), "due")
    assert fired == {**rules, "search": "held"}


def test_what_the_demo_serves_gives_its_data_back_alone_and_then_its_code(demo: Demo, tmp_path: Path) -> None:
    program, code = demo.program, tmp_path / "served"
    shutil.copytree(SERVED, code)
    text = (code / "serve.py").read_text()
    (code / "serve.py").write_text(
        text.replace('"model": self.path.name,', '"model": self.path.name, "code": "other",')
    )
    program.json("dataset", "add", ".demo/data/recent.csv", "--name", "recent")
    program.json("release", "create", "--base=digits-3", "--data=recent", f"--code={code}", "--name=other")
    parts, answers = [live_parts(program)], [answered(program)]
    for words in (("env", "rollout", "prod", "other"), *(("rollback", "prod", f"--axis={axis}") for axis in AXES)):
        done = program(*words, "--yes")
        assert done.code == 0, done.err
        parts.append(live_parts(program))
        answers.append(answered(program))

    before, both, without_data, without_code = parts
    assert {axis for axis in before if before[axis] != both[axis]} == {"data", "code"}
    assert without_data == {**both, "data": before["data"]}
    assert without_code == before
    # What is served says the same: the model answers alike all along, in the words of the code that is live then.
    assert [one.pop("code", "") for one in answers] == ["", "other", "other", ""]
    releases = [one.pop("release") for one in answers]
    assert len(set(releases)) == 3 and releases[0] == releases[-1]
    assert all(one == answers[0] for one in answers) and len(set(answers[0]["digits"])) > 5


def answered(program: Program) -> dict[str, Any]:
    """What the live model says of some images."""
    with gzip.open(digits_file(), "rt", newline="") as file:
        images = [[float(cell) for cell in row[:64]] for row in islice(csv.reader(file), 50)]
    body = json.dumps({"images": images, "log": False}).encode()
    endpoint = program.json("env", "show", "prod")["observed"]["endpoint"]
    with urllib.request.urlopen(f"{endpoint}/predict", body, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def digits_file() -> Path:
    """The images that scikit-learn brings along."""
    spec = find_spec("sklearn")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"


def live_parts(program: Program) -> dict[str, Any]:
    """The ids of the parts of what is live."""
    release = program.json("release", "show", program.json("env", "show", "prod")["release"])
    return {axis: release[axis] for axis in ("code", "data", "model", "env")}


def test_the_demo_once_more_launches_only_a_long_run_anew(demo: Demo) -> None:
    before = demo.program.json("run", "list", "not tag:long")["items"]
    if demo.program.json("run", "list", "state:running")["items"]:
        demo.program.json("run", "stop", "cnn-long", "--yes")

    again = demo.program("demo", deadline_s=100)

    assert again.code == 0
    assert "run stop cnn-long-2 --yes" in again.err
    assert demo.program.json("run", "list", "not tag:long")["items"] == before
    assert [run["name"] for run in demo.program.json("run", "list", "state:running")["items"]] == ["cnn-long-2"]


def test_the_demo_refuses_an_interpreter_without_torch(cli: Program, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)

    done = cli("demo", "--python", str(tmp_path / "bare" / "bin" / "python"))

    assert done.code == 1
    assert "torch and sklearn" in done.err and "pip install 'mlconsole[demo]'" in done.err
    assert list(cli.cwd.iterdir()) == []


def test_the_demo_refuses_an_interpreter_that_is_not_there(cli: Program) -> None:
    done = cli("demo", "--python", "./no-such-python")

    assert done.code == 2
    assert '"./no-such-python"' in done.err


def test_a_dry_run_of_the_demo_makes_nothing(cli: Program) -> None:
    plan = cli.json("demo", "--dry-run")

    assert plan["action"] == "demo" and len(plan["steps"]) == 15
    assert list(cli.cwd.iterdir()) == []
