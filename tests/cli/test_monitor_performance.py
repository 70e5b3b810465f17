"""Monitors of performance: windows of predictions are judged once their labels have come."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from program import Indoors, Program

SEED = 23
LATE = ("--label", "paid", "--prediction", "said", "--score", "score", "--labels", "labels/*.csv", "--key", "id")


@pytest.fixture
def cli(cli: Program) -> Program:
    """Commands without processes of their own."""
    return Indoors(cli.home, cli.cwd)


@pytest.fixture
def data(cli: Program) -> Path:
    """A folder with predictions that are right nine times of ten, with their labels."""
    for folder in ("live", "labels"):
        (cli.cwd / folder).mkdir()
    rows = asked(1000, seed=SEED)
    (cli.cwd / "train.csv").write_text(
        "id,said,score,release,paid\n" + "".join(f"{i},{s},{x},{r},{p}\n" for i, s, x, r, p in rows)
    )
    return cli.cwd


Row = tuple[str, int, float, str, int]


def asked(count: int, right: float = 0.9, seed: int = SEED, only: str = "r1 r2") -> list[Row]:
    """Predictions with what was true; ``right`` holds for these releases, the others are right nine times of ten."""
    r = random.Random(seed)
    out = []
    for number in range(count):
        paid, release = r.randrange(2), r.choice(("r1", "r2"))
        said = paid if r.random() < (right if release in only else 0.9) else 1 - paid
        score = round(min(1.0, max(0.0, (0.7 if said else 0.3) + r.gauss(0, 0.1))), 4)
        out.append((f"{seed}-{number}", said, score, release, paid))
    return out


def log(data: Path, name: str, rows: Iterable[Row]) -> None:
    """What a server logs: no label is known yet."""
    lines = (json.dumps({"id": i, "said": s, "score": x, "release": r}) for i, s, x, r, _ in rows)
    (data / "live" / name).write_text("".join(f"{line}\n" for line in lines))


def label(data: Path, name: str, rows: Iterable[Row]) -> None:
    """What was true, known later."""
    (data / "labels" / name).write_text("id,paid\n" + "".join(f"{i},{p}\n" for i, _, _, _, p in rows))


def add(cli: Program, *words: str, window: str = "rows:300") -> None:
    common = ("--baseline", "train.csv", "--live", "live/*.jsonl", "--window", window, *LATE)
    done = cli("monitor", "add", "paid", *common, *words)
    assert done.code == 0, done.err


def test_a_window_waits_for_its_labels_and_then_says_whether_predictions_got_worse(cli: Program, data: Path) -> None:
    add(cli, "--opens", "1/1")
    good, bad = asked(300, seed=1), asked(300, right=0.75, seed=2)
    log(data, "1.jsonl", good)
    early = cli("monitor", "check", "paid", "--json")
    assert (early.code, early.document["verdict"], early.document["waiting"]) == (0, "insufficient", 300)
    assert "0 of 300 rows have labels; they are waited for 7d" in early.document["notes"][0]

    label(data, "1.csv", good)
    log(data, "2.jsonl", bad)
    quiet = cli("monitor", "check", "paid", "--json")
    assert (quiet.code, quiet.document["verdict"], quiet.document["waiting"]) == (0, "ok", 300)
    label(data, "2.csv", bad[:100])
    assert cli("monitor", "check", "paid", "--json").document["windows"] == []
    label(data, "3.csv", bad[100:])
    loud = cli("monitor", "check", "paid", "--json")

    assert loud.code == 6 and [one["verdict"] for one in loud.document["windows"]] == ["drift"]
    found = {one["column"]: one for one in loud.document["columns"]}
    assert set(found) == {"accuracy", "precision", "recall", "f1", "auc_roc"}
    share = sum(said == paid for _, said, _, _, paid in bad) / 300
    assert found["accuracy"]["worst"]["current"] == pytest.approx(share) and found["accuracy"]["verdict"] == "drift"
    (alert,) = cli.json("alert", "list")["items"]
    assert alert["state"] == "firing" and "metrics got worse in rows 301 to 600" in alert["title"]
    assert "said and score against paid; labels in" in cli("monitor", "show", "paid").out


def test_labels_that_do_not_come_are_not_waited_for_beyond_their_time(cli: Program, data: Path) -> None:
    add(cli, "--labels-within", "1h")
    rows = asked(600, seed=3)
    log(data, "1.jsonl", rows)
    os.utime(data / "live" / "1.jsonl", (1e9, 1e9))
    label(data, "1.csv", rows[:100])

    done = cli("monitor", "check", "paid", "--json").document

    assert [one["verdict"] for one in done["windows"]] == ["ok", "insufficient"]
    assert "300 of 300 rows have no label" in done["notes"][0]


def test_a_release_that_got_worse_is_seen_on_its_own_and_replay_and_a_new_baseline_agree(
    cli: Program, data: Path
) -> None:
    add(cli, "--slices", "release", window="rows:900")
    rows = asked(900, right=0.7, seed=4, only="r2")
    log(data, "1.jsonl", rows)
    label(data, "1.csv", rows)

    done = cli("monitor", "check", "paid", "--json").document
    found = {(one["slice"], one["column"]): one["verdict"] for one in done["columns"]}
    assert (found["release=r2", "accuracy"], found["release=r1", "accuracy"]) == ("drift", "ok")
    replay = cli.json("monitor", "replay", "paid")
    assert replay["windows"] == cli.json("monitor", "show", "paid")["recent"]
    floors = [f"--floor={name}=0.5" for name in ("accuracy", "precision", "recall", "f1", "auc_roc")]
    assert [one["verdict"] for one in cli.json("monitor", "replay", "paid", *floors)["windows"]] == ["ok"]

    assert cli("monitor", "rebaseline", "paid", "--baseline", "window:paid").code == 0
    more = asked(900, right=0.7, seed=5, only="r2")
    log(data, "2.jsonl", more)
    label(data, "2.csv", more)
    assert cli("monitor", "check", "paid").code == 0


def test_errors_of_numbers_are_watched_in_windows_of_time_with_labels_beside_them(cli: Program, data: Path) -> None:
    r = random.Random(SEED)

    def table(noise: float, day: int) -> str:
        rows = ((f"2026-03-0{day}T00:{i % 60:02}:00Z", r.gauss(10, 3)) for i in range(400))
        return "at,price,guess\n" + "".join(f"{at},{x:.4f},{x + r.gauss(0, noise):.4f}\n" for at, x in rows)

    (data / "sold.csv").write_text(table(1.0, 1))
    (data / "live" / "1.csv").write_text(table(1.0, 2))
    (data / "live" / "2.csv").write_text(table(1.5, 3))
    words = ("--label", "price", "--prediction", "guess", "--window", "24h", "--time", "at")
    assert cli("monitor", "add", "prices", "--baseline", "sold.csv", "--live", "live/*.csv", *words).code == 0

    done = cli("monitor", "check", "prices", "--json").document

    assert [one["verdict"] for one in done["windows"]] == ["ok", "drift"]
    assert {one["column"]: one["verdict"] for one in done["columns"]} == {"mae": "drift", "rmse": "drift", "bias": "ok"}
    assert [one["verdict"] for one in cli.json("monitor", "replay", "prices")["windows"]] == ["ok", "drift"]


def test_no_key_of_a_prediction_is_in_the_catalog(cli: Program, data: Path) -> None:
    add(cli)
    rows = asked(300, seed=6)
    log(data, "1.jsonl", rows)
    label(data, "1.csv", rows)
    cli("monitor", "check", "paid")

    assert rows[0][0].encode() not in b"".join(path.read_bytes() for path in cli.home.glob("catalog.db*"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--prediction", "said"), "--label"),
        (("--label", "paid"), "--prediction"),
        (("--label", "paid", "--prediction", "said", "--labels", "labels/*.csv"), "--key"),
        (("--label", "paid", "--prediction", "said", "--tests", "ks"), "no tests"),
        (("--label", "paid", "--prediction", "said", "--floor", "ks=0.1"), "no least worsening"),
        (("--label", "paid", "--prediction", "nothing"), "nothing"),
        ((*LATE, "--labels-within", "soon"), "soon"),
        ((*LATE, "--window", "last:2"), "windows that stay"),
    ],
)
def test_what_cannot_be_judged_is_one_line(cli: Program, data: Path, words: tuple[str, ...], told: str) -> None:
    done = cli("monitor", "add", "x", "--baseline", "train.csv", "--live", "live/*", *words)

    assert (done.code, done.err.count("\n")) == (2, 1) and told in done.err
