"""Performance with late labels, against scikit-learn on the same rows."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from mlconsole.actions.context import Context
from mlconsole.actions.performance import PerformanceParams, performance
from mlconsole.config import load
from mlconsole.domain.drift import ColumnResult, Rule, Verdict, judged
from mlconsole.domain.performance import PerformanceReport, Task
from mlconsole.drift.performance import Classes, Errors, of_classes, of_numbers
from mlconsole.errors import UsageError
from program import Indoors, Program

SEED = 17
Judge = Callable[..., PerformanceReport]


def predictions(count: int, noise: float, seed: int) -> dict[str, np.ndarray]:
    r = np.random.default_rng(seed)
    label = r.integers(0, 2, count)
    score = np.round(1 / (1 + np.exp(-(3 * (label - 0.5) + r.normal(0, noise, count)))), 2)
    return {"id": np.arange(count), "y": label, "p": (score > 0.5).astype(int), "score": score}


def write(path: Path, table: dict[str, Any], names: Sequence[str] = ()) -> str:
    names = names or list(table)
    rows = zip(*(table[name] for name in names), strict=True)
    lines = [",".join("" if v is None else str(v) for v in row) for row in rows]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path.name


@pytest.fixture
def cli(cli: Program) -> Program:
    """Commands without processes of their own: reading tables loads a third of a second of libraries each time."""
    return Indoors(cli.home, cli.cwd)


@pytest.fixture
def judge(cli: Program, monkeypatch: pytest.MonkeyPatch) -> Judge:
    monkeypatch.chdir(cli.cwd)

    def make(before: dict[str, Any], now: dict[str, Any], **params: Any) -> PerformanceReport:
        words = write(cli.cwd / "before.csv", before), write(cli.cwd / "now.csv", now)
        ctx = Context(load({"HOME": str(cli.cwd)}, catalog=str(cli.home)))
        return performance(ctx, PerformanceParams(*words, **params))

    return make


def by_name(found: PerformanceReport, piece: str = "") -> dict[str, ColumnResult]:
    return {one.column: one for one in found.metrics if one.slice == piece}


def test_the_metrics_of_classes_are_those_of_scikit_learn(judge: Judge) -> None:
    before, now = predictions(900, 1.0, SEED), predictions(700, 2.5, SEED + 1)
    found = by_name(judge(before, now, label="y", prediction="p", score="score"))

    expected = {
        "accuracy": sk.accuracy_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "f1": sk.f1_score,
    }
    for name, score in expected.items():
        worst = found[name].worst
        assert worst is not None
        assert (worst.reference, worst.current) == pytest.approx(
            (score(before["y"], before["p"]), score(now["y"], now["p"]))
        )
    area = found["auc_roc"].worst
    assert area is not None and area.current == pytest.approx(sk.roc_auc_score(now["y"], now["score"]), abs=1e-12)
    assert all(one.verdict is Verdict.DRIFT for one in found.values())


def test_the_errors_of_numbers_are_those_of_scikit_learn(judge: Judge) -> None:
    r = np.random.default_rng(SEED)
    before = {"y": r.normal(100, 20, 800)}
    now = {"y": r.normal(100, 20, 600)}
    before["p"], now["p"] = before["y"] + r.normal(0, 5, 800), now["y"] + r.normal(3, 5, 600)
    report = judge(before, now, label="y", prediction="p")
    found = by_name(report)

    assert report.task is Task.NUMBERS and report.failed
    for name, score in (("mae", sk.mean_absolute_error), ("rmse", sk.root_mean_squared_error)):
        worst = found[name].worst
        assert worst is not None and worst.current == pytest.approx(score(now["y"], now["p"]))
    bias = found["bias"]
    assert bias.worst is not None and bias.worst.current == pytest.approx(np.mean(now["p"] - now["y"]))
    apart = abs(np.mean(now["p"] - now["y"]) - np.mean(before["p"] - before["y"]))
    assert bias.effect == pytest.approx(apart / 5, abs=0.05)


def test_the_variance_of_the_area_is_delong_s_by_hand() -> None:
    scores, label = np.array([0.1, 0.4, 0.35, 0.8, 0.4, 0.9]), np.array([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    tally = Classes(array("d", np.unique(scores).tolist()))
    tally.add(label, None, scores, 1.0)

    ours, theirs = scores[label == 1], scores[label == 0]
    wins = (ours[:, None] > theirs) + 0.5 * (ours[:, None] == theirs)
    variance = wins.mean(axis=1).var(ddof=1) / len(ours) + wins.mean(axis=0).var(ddof=1) / len(theirs)
    assert tally.area() == pytest.approx((wins.mean(), variance, 3))


def test_labels_that_came_later_are_joined_by_their_key_and_the_last_one_counts(cli: Program) -> None:
    before, now = predictions(600, 1.0, SEED), predictions(600, 1.0, SEED + 1)
    write(cli.cwd / "before.csv", before)
    write(cli.cwd / "now.csv", now, ["id", "p", "score"])
    late = [(i, 1 - now["y"][i]) for i in range(300)] + [(i, now["y"][i]) for i in range(400)]
    (cli.cwd / "late.jsonl").write_text("".join(json.dumps({"id": int(i), "y": float(y)}) + "\n" for i, y in late))
    words = ("--label", "y", "--prediction", "p", "--labels", "late.jsonl", "--key", "id", "--json")
    done = cli("drift", "performance", "before.csv", "now.csv", *words)

    assert (done.code, done.document["kind"], done.document["verdict"]) == (0, "performance", "ok")
    assert (done.document["labelled"], done.document["rows"], done.document["positive"]) == (400, 600, "1")
    right = float(np.mean(now["y"][:400] == now["p"][:400]))
    assert done.document["metrics"][0]["current"] == pytest.approx(right)
    assert "200 of 600 rows now have no label yet" in done.document["notes"]


def test_a_slice_that_got_worse_is_first_and_few_labels_are_insufficient(judge: Judge) -> None:
    before, now = predictions(3000, 1.0, SEED), predictions(3000, 1.0, SEED + 1)
    before["plan"] = now["plan"] = np.array(["basic"] * 1500 + ["pro"] * 1480 + ["rare"] * 20)
    now["p"][1500:2980] = 1 - now["p"][1500:2980]
    found = judge(before, now, label="y", prediction="p", slices="plan")

    worst = max(found.metrics, key=lambda one: (one.verdict is Verdict.DRIFT, one.weight))
    assert worst.slice == "plan=pro" and by_name(found, "plan=basic")["accuracy"].verdict is Verdict.OK
    assert by_name(found, "plan=rare")["accuracy"].verdict is Verdict.INSUFFICIENT
    few = {name: values[:20] for name, values in now.items()}
    assert judge(before, few, label="y", prediction="p").verdict is Verdict.INSUFFICIENT


def test_predictions_that_did_not_get_worse_are_called_so_once_in_a_hundred_at_most() -> None:
    alarms, sizes, runs = 0, (30, 200, 2000), 0
    edges = array("d", np.linspace(0, 1, 101).round(2).tolist())
    for seed in range(300):
        tallies = []
        for n, key in ((3000, 2 * seed), (sizes[seed % 3], 2 * seed + 1)):
            one, tally = predictions(n, 2.0, 10_000 + key), Classes(edges)
            tally.add(one["y"].astype(float), one["p"].astype(float), one["score"], 1.0)
            tallies.append(tally)

        found = judged(of_classes(tallies[0], tallies[1], Rule()), Rule())
        alarms += any(one.verdict is Verdict.DRIFT for one in found)
        runs += 1
    assert alarms <= 0.01 * runs + 3, f"{alarms} of {runs}"


def test_classes_of_text_have_their_accuracy_and_the_rest_for_a_named_class(judge: Judge) -> None:
    r = np.random.default_rng(SEED)
    before = {"y": r.choice(["a", "b", "c"], 400)}
    before["p"] = np.where(r.random(400) < 0.8, before["y"], "a")
    assert list(by_name(judge(before, before, label="y", prediction="p"))) == ["accuracy"]
    named = judge(before, before, label="y", prediction="p", positive="b")
    assert set(by_name(named)) == {"accuracy", "precision", "recall", "f1"} and named.verdict is Verdict.OK


@pytest.mark.parametrize("value", [1e308, float("nan"), float("inf")])
def test_odd_numbers_do_not_stop_the_rest(value: float) -> None:
    before, now = Errors(), Errors()
    label = np.linspace(0, 1, 50)
    before.add(label, label + 0.1)
    now.add(label, np.r_[label[:-1] + 0.1, value])
    found = of_numbers(before, now, Rule())

    assert len(found) == 3 and all(one.p_value is not None and 0 <= one.p_value <= 1 for one in found)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"label": "y"}, "predictions and labels"),
        ({"label": "y", "prediction": "p", "labels": "before.csv"}, "joined by a key"),
        ({"label": "y", "prediction": "none"}, 'no column "none"'),
        ({"label": "y", "prediction": "p", "positive": "x"}, "Labels are numbers"),
        ({"label": "y", "prediction": "p", "floor": ("speed=1",)}, "no least worsening"),
        ({"label": "t", "prediction": "p", "task": "numbers"}, "Numbers are compared with numbers"),
    ],
)
def test_what_cannot_be_compared_is_one_line(judge: Judge, params: dict[str, Any], words: str) -> None:
    table = predictions(50, 1.0, SEED) | {"t": np.array(["x", "y"] * 25)}
    with pytest.raises(UsageError, match=words):
        judge(table, table, **params)
