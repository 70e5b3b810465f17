"""A sample of rows of two tables, for tests of several columns together; it is looked at and never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlconsole.drift.table import Table

if TYPE_CHECKING:
    import numpy as np

SEED = 20_121
UNIFORM_STD = 12**-0.5


def rows_of(table: Table, columns: list[str], most: int) -> np.ndarray:
    """At most ``most`` rows of numbers, each row with the same chance; what is missing is not a number.

    Every row draws a number, and those with the smallest are kept: one pass, and memory for the sample alone.
    """
    import numpy as np

    r = np.random.default_rng(SEED)
    kept, drawn = np.zeros((0, len(columns))), np.zeros(0)
    for piece in table.only(columns).pieces():
        here = np.full((piece.height, len(columns)), np.nan)
        for place, name in enumerate(columns):
            if name in piece.columns and piece[name].dtype.is_numeric():
                here[:, place] = piece[name].fill_null(float("nan")).to_numpy()
        drawn = np.concatenate([drawn, r.random(piece.height)])
        kept = np.concatenate([kept, here])
        if len(drawn) > most:
            smallest = np.argpartition(drawn, most)[:most]
            kept, drawn = kept[smallest], drawn[smallest]
    return kept


def scaled(reference: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows with every number as its place among the reference's, in standard deviations of a uniform law.

    Places and not sizes: one value of 1e308 would else be all that a distance sees. What is missing is in the middle.
    """
    import numpy as np

    out = np.zeros(rows.shape)
    for place in range(rows.shape[1]):
        known = np.sort(reference[:, place][~np.isnan(reference[:, place])])
        values = rows[:, place]
        if not len(known):
            continue
        below, upto = known.searchsorted(values, "left"), known.searchsorted(values, "right")
        share = (below + upto) / 2 / len(known) - 0.5
        out[:, place] = np.where(np.isnan(values), 0.0, share / UNIFORM_STD)
    return out
