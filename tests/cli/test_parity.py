"""Training-serving skew: two programs on the same rows."""

from __future__ import annotations

import json
import os
import random
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.parity import PARITY, ParityParams
from mlconsole.config import load
from mlconsole.domain.parity import Parity, Sameness
from mlconsole.errors import ActionFailed, MlconsoleError, UsageError
from mlconsole.render.parity import lines
from program import Indoors, Program

SEED = 3
AVERAGES = """
import csv, sys
before, behind = int(sys.argv[1]), int(sys.argv[2])
rows = list(csv.DictReader(sys.stdin))
sales = [float(row["sales"]) for row in rows]
out = csv.writer(sys.stdout)
out.writerow(["store", "sales", "average", "ratio"])
for i, row in enumerate(rows):
    part = sales[max(0, i - before) : i + behind + 1]
    average = sum(part) / len(part)
    out.writerow([row["store"], row["sales"], average, sales[i] / average])
"""


@pytest.fixture
def cli(cli: Program) -> Program:
    """Commands without processes of their own: reading tables loads a third of a second of libraries each time."""
    return Indoors(cli.home, cli.cwd)


@pytest.fixture
def data(cli: Program) -> Path:
    r = random.Random(SEED)
    lines = [f"{i},{r.choice('ab')},{r.gauss(100, 15):.2f}" for i in range(300)]
    (cli.cwd / "rows.csv").write_text("\n".join(["day,store,sales", *lines]) + "\n")
    (cli.cwd / "averages.py").write_text(AVERAGES)
    return cli.cwd


Compare = Callable[..., Parity]


@pytest.fixture
def compared(cli: Program, data: Path) -> Compare:
    """Compares what two programs print; a list of rows stands for a program that prints them as JSON lines."""

    def command(what: str | list[dict[str, Any]]) -> str:
        if isinstance(what, str):
            return what
        text = "".join(json.dumps(row) + "\n" for row in what)
        return shlex.join([sys.executable, "-c", f"print({text!r}, end='')"])

    def compare(train: Any, serve: Any, **more: Any) -> Parity:
        ctx = Context(load({"HOME": str(data)}, catalog=str(cli.home)))
        params = ParityParams(command(train), command(serve), str(data / "rows.csv"), **more)
        found = execute(ctx, PARITY, params)
        assert isinstance(found, Parity)
        return found

    return compare


def test_the_same_rows_in_another_order_are_said_to_be_that(cli: Program, compared: Compare) -> None:
    rows = [{"store": "ab"[i % 2], "sales": i * 1.5, "seen": None if i % 7 == 0 else i} for i in range(40)]

    shuffled = compared(rows, rows[::-1])
    assert shuffled.is_shuffled and shuffled.failed
    assert "the same 40 rows in another order" in lines(shuffled)[0]

    apart = [*rows[:-1], {**rows[-1], "sales": 1.0}]
    assert not compared(rows, apart[::-1]).is_shuffled
    assert not compared(rows, rows).is_shuffled
    also = compared(rows, [{**row, "sales": row["sales"] + 5} for row in rows[::-1]])
    assert also.first is not None and (also.first.feature, also.is_shuffled) == ("sales", False)
    assert "sales is the first" in lines(also)[0] and "the rows stand in another order, by store" in lines(also)[0]
    crossed = [{**row, "sales": other["sales"]} for row, other in zip(rows, rows[::-1], strict=True)]
    assert not compared(rows, crossed).is_shuffled  # The same values of each feature, and not the same rows.


def test_a_trailing_average_against_a_centred_one_is_named_first(cli: Program, data: Path) -> None:
    cli = Program(cli.home, cli.cwd)  # The program itself, as a process.
    trailing, centred = (f"{sys.executable} averages.py {words}" for words in ("6 0", "3 3"))
    done = cli("drift", "parity", "--train", centred, "--serve", trailing, "--rows", "rows.csv", "--json")
    told = cli("drift", "parity", "--train", centred, "--serve", trailing, "--rows", "rows.csv")

    assert (done.code, done.document["kind"], done.document["first"]) == (6, "parity", "average")
    features = {one["feature"]: one for one in done.document["features"]}
    assert [features[name]["verdict"] for name in ("store", "sales", "average", "ratio")] == [
        "same",
        "same",
        "differs",
        "differs",
    ]
    assert features["average"]["largest"] > 5 and features["average"]["first"]["row"] == 1
    assert told.code == 6 and "average is the first: in 3" in told.out.splitlines()[0]


def test_the_same_features_hold(cli: Program, data: Path) -> None:
    same = f"{sys.executable} averages.py 6 0"
    done = cli("drift", "parity", "--train", same, "--serve", same, "--rows", "rows.csv")

    assert done.code == 0 and done.out.startswith("✔ same  4 features in 300 rows")


def test_rounding_to_32_bits_is_no_difference_and_a_whole_number_off_by_one_is(compared: Compare) -> None:
    r = random.Random(SEED)
    train = [{"x": r.gauss(1000, 10), "id": 10_000_000 + i} for i in range(100)]
    single = [{"x": float(f"{row['x']:.8g}"), "id": row["id"]} for row in train]
    off = [{"x": row["x"], "id": row["id"] + (i == 70)} for i, row in enumerate(train)]

    assert not compared(train, single).failed
    assert compared(train, single, tolerance=0.0).failed
    found = compared(train, off)
    assert found.first is not None and found.first.feature == "id" and found.first.rows == 1
    assert found.first.first is not None and found.first.first.row == 71 and found.first.largest == 1.0


@pytest.mark.parametrize(
    ("train", "serve", "rows"),
    [
        ([1.0, None, 3.0], [1.0, 2.0, 3.0], 1),
        ([1.0, float("nan"), 3.0], [1.0, float("nan"), 3.0], 0),
        ([1.0, float("inf"), 3.0], [1.0, float("-inf"), 3.0], 1),
        ([1e308, -1e308, 0.5], [-1e308, -1e308, 0.5], 1),
        ([None, None, None], [None, None, None], 0),
        ([None, None, None], [1.0, None, None], 1),
        (["a", "b", ""], ["a", "B", ""], 1),
        ([True, False, True], [True, True, True], 1),
        (["2026-01-01T10:00:00Z"] * 3, ["2026-01-01T10:00:00Z"] * 2 + ["2026-01-01T11:00:00Z"], 1),
        ([1, 2, 3], ["1", "2", "x"], 1),
        ([[1], [2], [3]], [[1], [2], [4]], 1),
    ],
)
def test_odd_values_are_compared_as_what_they_are(
    compared: Compare, train: list[Any], serve: list[Any], rows: int
) -> None:
    found = compared([{"x": x} for x in train], [{"x": x} for x in serve])

    assert [one.rows for one in found.features] == [rows]


def test_a_feature_that_serving_lacks_and_rows_that_it_lost_are_told(compared: Compare) -> None:
    rows = [{"a": i, "b": i} for i in range(5)]
    found = compared(rows, [{"a": row["a"], "c": 1} for row in rows])

    assert [(one.feature, one.sameness) for one in found.features] == [
        ("a", Sameness.SAME),
        ("b", Sameness.MISSING),
        ("c", Sameness.NEW),
    ]
    shorter = compared(rows, rows[:3])
    assert shorter.failed and (shorter.rows_train, shorter.rows_serve) == (5, 3)


@pytest.mark.parametrize(
    ("train", "error", "words"),
    [
        (f"{sys.executable} -c 'import sys; sys.exit(\"no model\")'", ActionFailed, "ended with 1"),
        (f"{sys.executable} -c 'import os; os.kill(os.getpid(), 9)'", ActionFailed, "signal 9"),
        ("true", ActionFailed, "printed nothing"),
        ("no-such-program", ActionFailed, "No such file"),
        ("sleep 30", ActionFailed, "within 0.2 s"),
        ("'unclosed", UsageError, "no command"),
        ("  ", UsageError, "no command"),
    ],
)
def test_a_program_that_fails_is_one_line(
    compared: Compare, train: str, error: type[MlconsoleError], words: str
) -> None:
    timeout = "0.2s" if train.startswith("sleep") else "30s"
    with pytest.raises(error, match=words):
        compared(train, "cat", timeout=timeout)


def test_a_program_that_prints_more_than_features_is_told_so(compared: Compare) -> None:
    with pytest.raises(ActionFailed) as failed:
        compared("printf 'loading the model\\na,b\\n1,2\\n'", "printf 'a,b\\n1,2\\n'")

    assert "what the train command printed, line 2" in failed.value.message
    assert failed.value.hint.startswith('It begins with "loading the model".')


def test_what_a_program_starts_does_not_outlive_it(compared: Compare, data: Path) -> None:
    code = (
        "import subprocess; p = subprocess.Popen(['sleep', '60']); open('pid', 'w').write(str(p.pid)); print('x\\n1')"
    )
    command = shlex.join([sys.executable, "-c", f"import os; os.chdir({str(data)!r}); {code}"])
    compared(command, "printf 'x\\n1\\n'")

    state = Path(f"/proc/{(data / 'pid').read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z" or not os.path.exists(state)
