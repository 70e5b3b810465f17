"""What moved in several columns together, on a sample of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlconsole.drift.files import table_files
from mlconsole.drift.sample import rows_of, scaled
from mlconsole.drift.table import table_of
from mlconsole.drift.tests import mmd

SEED = 41


def tied(r: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    return r.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], count)


def test_columns_that_move_only_together_are_seen() -> None:
    r = np.random.default_rng(SEED)
    before, same, now = tied(r, 400, 0.0), tied(r, 400, 0.0), tied(r, 400, 0.7)

    effect, chance = mmd.measure(scaled(before, before), scaled(before, now))
    assert effect > mmd.TEST.definition.floor and chance == pytest.approx(1 / (mmd.PERMUTATIONS + 1))
    assert mmd.measure(scaled(before, before), scaled(before, same))[1] > 0.01


def test_the_discrepancy_is_its_sum_by_hand() -> None:
    r = np.random.default_rng(SEED)
    ours, theirs = r.normal(0, 1, (30, 3)), r.normal(1, 1, (40, 3))
    both = np.r_[ours, theirs]
    apart = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    kernel = np.exp(-apart / np.median(apart[np.triu_indices(70, 1)]))
    a, b, c = kernel[:30, :30], kernel[30:, 30:], kernel[:30, 30:]
    expected = (a.sum() - 30) / (30 * 29) + (b.sum() - 40) / (40 * 39) - 2 * c.mean()

    assert mmd.measure(ours, theirs)[0] == pytest.approx(np.sqrt(expected), rel=1e-4)


def test_torch_reckons_the_same() -> None:
    pytest.importorskip("torch")
    r = np.random.default_rng(SEED)
    ours, theirs = r.normal(0, 1, (80, 4)), r.normal(0.4, 1, (60, 4))

    assert mmd.measure(ours, theirs, "cpu") == pytest.approx(mmd.measure(ours, theirs), rel=1e-3, abs=1e-3)


def test_rows_that_did_not_move_are_called_so_at_the_level_of_the_test() -> None:
    r = np.random.default_rng(SEED)
    chances = [mmd.measure(r.normal(0, 1, (40, 2)), r.normal(0, 1, (40, 2)))[1] for _ in range(60)]

    assert sum(chance <= 0.05 for chance in chances) <= 9 and np.median(chances) > 0.2


def test_every_row_has_the_same_chance_and_what_is_missing_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{i},{'' if i % 2 else i}\n" for i in range(120_000)))
    found = rows_of(table_of("rows", table_files(str(path))), ["x", "y"], 2_000)

    assert found.shape == (2_000, 2) and len(np.unique(found[:, 0])) == 2_000
    assert found[:, 0].mean() == pytest.approx(60_000, rel=0.05)
    assert np.isnan(found[:, 1]).mean() == pytest.approx(0.5, abs=0.06)


def test_one_huge_value_is_not_all_that_is_seen() -> None:
    r = np.random.default_rng(SEED)
    before = r.normal(0, 1, (200, 1))
    now = np.r_[r.normal(0, 1, (199, 1)), [[1e308]]]

    assert mmd.measure(scaled(before, before), scaled(before, now))[1] > 0.01
