"""Real data with known drift, out of wheels that others publish; skipped where the wheels are not there.

pip download --no-deps -d .cache/wheels nannyml river
"""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlconsole.actions.context import Context
from mlconsole.actions.drift import CompareParams, compare_tables
from mlconsole.actions.execute import execute
from mlconsole.actions.monitor import ADD, AddParams
from mlconsole.actions.monitor_check import CHECK, MonitorParams
from mlconsole.config import Settings
from mlconsole.domain.drift import ColumnResult, DriftReport, Verdict

WHEELS = Path(os.environ.get("MLCONSOLE_TEST_WHEELS", Path(__file__).parents[2] / ".cache" / "wheels"))
MOVED = {"car_value", "repaid_loan_on_prev_car", "loan_length", "salary_range", "y_pred_proba"}


def member(wheel: str, path: str) -> list[str]:
    """The lines of a table in a wheel."""
    found = sorted(WHEELS.glob(f"{wheel}-*.whl"))
    if not found:
        pytest.skip(f"{wheel}'s wheel is not in {WHEELS}")
    data = zipfile.ZipFile(found[-1]).read(path)
    text = io.BytesIO(gzip.decompress(data) if path.endswith(".gz") else data)
    return text.read().decode().splitlines()


def write(path: Path, head: str, rows: list[str]) -> str:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    made = Context(Settings(home=tmp_path / "home", user="ada", host="gpu-07"))
    yield made
    made.close()


def compared(ctx: Context, before: str, now: str, tests: str | None = None) -> dict[str, ColumnResult]:
    report = compare_tables(ctx, CompareParams(before, now, tests))
    assert isinstance(report, DriftReport)
    return {one.column: one for one in report.columns}


def drifted(found: dict[str, ColumnResult]) -> set[str]:
    return {name for name, one in found.items() if one.verdict is Verdict.DRIFT}


def test_car_loans_are_quiet_until_the_second_half_and_then_the_known_columns_drift(
    ctx: Context, tmp_path: Path
) -> None:
    folder = "nannyml/datasets/data/synthetic_car_loan"
    head, *rows = (line.rpartition(",")[0] for line in member("nannyml", f"{folder}_analysis.csv"))
    names = head.split(",")
    kept = [line.split(",") for line in member("nannyml", f"{folder}_reference.csv")]
    places = [kept[0].index(name) for name in names]
    lines = [",".join(row[place] for place in places) for row in kept]
    before = write(tmp_path / "reference.csv", head, lines[1:])
    half = len(rows) // 2
    quiet, moved = write(tmp_path / "first.csv", head, rows[:half]), write(tmp_path / "second.csv", head, rows[half:])

    assert drifted(compared(ctx, before, quiet)) == set()
    found = compared(ctx, before, moved)
    assert drifted(found) == MOVED
    distance = compared(ctx, before, moved, "ks")["car_value"].effect
    assert distance is not None and abs(distance - 0.43) < 0.01

    around = write(tmp_path / "live.csv", head, rows[half - 6_000 : half + 4_000])
    execute(ctx, ADD, AddParams("loans", before, around, "rows:1000"))
    execute(ctx, CHECK, MonitorParams("loans"))
    windows = ctx.catalog.monitors.state(ctx.catalog.monitors.get("loans"), 30).windows
    assert [window.verdict for window in windows] == [Verdict.OK] * 6 + [Verdict.DRIFT] * 4
    assert windows[6].worst == "car_value"


def test_car_loans_that_are_predicted_worse_are_seen_once_it_is_known_who_repaid(ctx: Context, tmp_path: Path) -> None:
    folder = "nannyml/datasets/data/synthetic_car_loan"
    reference = member("nannyml", f"{folder}_reference.csv")
    before = write(tmp_path / "reference.csv", reference[0], reference[1:])
    half = 25_000
    head, *rows = member("nannyml", f"{folder}_analysis.csv")
    live = write(tmp_path / "live.csv", head, rows[half - 15_000 : half + 15_000])
    late, *labels = member("nannyml", f"{folder}_analysis_target.csv")
    write(tmp_path / "labels-1.csv", late, labels[:half])
    watched = {"label": "repaid", "prediction": "y_pred", "score": "y_pred_proba", "key": "id"}
    params = AddParams("repaid", before, live, "rows:5000", labels=str(tmp_path / "labels-*.csv"), **watched)
    execute(ctx, ADD, params)

    def judged() -> list[Verdict]:
        execute(ctx, CHECK, MonitorParams("repaid"))
        return [one.verdict for one in ctx.catalog.monitors.state(ctx.catalog.monitors.get("repaid"), 30).windows]

    assert judged() == [Verdict.OK] * 3, "labels of the rest have not come"
    write(tmp_path / "labels-2.csv", late, labels[half:])
    assert judged() == [Verdict.OK] * 3 + [Verdict.DRIFT] * 3


def test_houses_of_another_part_of_the_country_drift_by_place_most(ctx: Context, tmp_path: Path) -> None:
    folder = "nannyml/datasets/data/california_housing"
    before = member("nannyml", f"{folder}_reference.csv")
    now = member("nannyml", f"{folder}_analysis.csv")
    found = compared(ctx, write(tmp_path / "a.csv", before[0], before[1:]), write(tmp_path / "b.csv", now[0], now[1:]))

    assert drifted(found) >= {"Longitude", "Latitude", "y_pred_proba"} and "AveBedrms" not in drifted(found)
    worst = max((one for one in found.values() if one.effect is not None), key=lambda one: one.weight)
    assert worst.column == "Longitude"


def test_phishing_dealt_out_in_turn_is_quiet_and_approval_over_time_is_not(ctx: Context, tmp_path: Path) -> None:
    head, *rows = member("river", "river/datasets/phishing.csv.gz")
    even, odd = write(tmp_path / "even.csv", head, rows[::2]), write(tmp_path / "odd.csv", head, rows[1::2])
    assert drifted(compared(ctx, even, odd)) == set()
    first, last = write(tmp_path / "p1.csv", head, rows[:625]), write(tmp_path / "p2.csv", head, rows[625:])
    assert drifted(compared(ctx, first, last)) <= {"empty_server_form_handler"}

    head, *rows = member("river", "river/datasets/trump_approval.csv.gz")
    first, last = write(tmp_path / "t1.csv", head, rows[:500]), write(tmp_path / "t2.csv", head, rows[500:])
    found = compared(ctx, first, last)
    assert drifted(found) == set(found) - {"ordinal_date"}
