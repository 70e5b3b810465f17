"""The fifty columns that drift is counted and measured on: ten kinds, five of each. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Draw = Callable[[np.random.Generator, int], np.ndarray]
ZIPF = 1 / np.arange(1, 31) / (1 / np.arange(1, 31)).sum()
NUMBERS: dict[str, Draw] = {
    "normal": lambda r, n: r.normal(0, 1, n),
    "log-normal": lambda r, n: r.lognormal(0, 2, n),
    "cauchy": lambda r, n: r.standard_cauchy(n),
    "uniform": lambda r, n: r.random(n),
    "counts": lambda r, n: r.poisson(7, n).astype(float),
    "few": lambda r, n: r.choice(5, n, p=[0.6, 0.2, 0.1, 0.06, 0.04]).astype(float),
    "zeros": lambda r, n: np.where(r.random(n) < 0.8, 0.0, r.exponential(1, n)),
}
CATEGORIES: dict[str, np.ndarray] = {
    "yes or no": np.array([0.85, 0.15]),
    "ten": np.full(10, 0.1),
    "thirty": ZIPF,
}
EACH = 5
AWKWARD: dict[str, Draw | np.ndarray] = {
    "a number in one row of a hundred, else zero": lambda r, n: np.where(r.random(n) < 0.01, r.lognormal(0, 2, n), 0.0),
    "a number in one row of a thousand": lambda r, n: np.where(r.random(n) < 0.001, r.lognormal(0, 2, n), 0.0),
    "a flag of 0.5 %, as a number": lambda r, n: (r.random(n) < 0.005).astype(float),
    "three categories, 98, 1.5 and 0.5 %": np.array([0.98, 0.015, 0.005]),
    "a hundred categories, few of them often": 1 / np.arange(1, 101) / (1 / np.arange(1, 101)).sum(),
    "a hundred categories, all alike": np.full(100, 0.01),
    "two thousand categories, few of them often": 1 / np.arange(1, 2001) / (1 / np.arange(1, 2001)).sum(),
}
"""Where tests that know only large samples call what did not move."""


def kinds() -> list[tuple[str, Draw | np.ndarray]]:
    """Every column's kind, and how its values are drawn: a function, or the shares of categories."""
    numbers: list[tuple[str, Draw | np.ndarray]] = [(name, draw) for name, draw in NUMBERS.items() for _ in range(EACH)]
    return [*numbers, *((name, shares) for name, shares in CATEGORIES.items() for _ in range(EACH))]


def values(r: np.random.Generator, draw: Draw | np.ndarray, n: int) -> np.ndarray:
    """``n`` values of a column: numbers, or texts."""
    if isinstance(draw, np.ndarray):
        return np.array([f"value {i}" for i in range(len(draw))])[r.choice(len(draw), n, p=draw)]
    return draw(r, n)


def table(seed: int, n: int) -> dict[str, np.ndarray]:
    """A table of ``n`` rows."""
    r = np.random.default_rng(seed)
    return {f"c{place}": values(r, draw, n) for place, (_, draw) in enumerate(kinds())}
