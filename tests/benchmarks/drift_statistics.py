"""What the drift tests promise, counted: false alarms on data that did not move, and how often a shift is seen.

    python tests/benchmarks/drift_statistics.py [--runs 1000] [--seed 1]

A run is one comparison of 50 columns (normal, log-normal, Cauchy, uniform, counts, few values, mostly zero, yes or no,
ten and thirty categories, five of each) with a profile of 10,000 rows, as a monitor makes it; then of 50 columns of one
kind that is hard to judge.
"""

from __future__ import annotations

import argparse
import time
from array import array
from functools import lru_cache

import numpy as np
from drift_columns import AWKWARD, NUMBERS, Draw
from drift_columns import kinds as every_kind

from mlconsole.domain.drift import DRAWERS, CategoryShape, ColumnProfile, Kind, Profile, Rule, drawer
from mlconsole.drift.compare import Plan
from mlconsole.drift.grid import FEWEST_TO_NAME
from mlconsole.drift.profile import NumberTally
from mlconsole.drift.replay import FACTS, Judged, judge

REFERENCE_ROWS = 10_000
EDGES = 101


Kinds = list[tuple[str, Draw | np.ndarray]]


def reference(r: np.random.Generator, kinds: Kinds, rows: int = REFERENCE_ROWS) -> Profile:
    """A profile of columns that are drawn so, as a monitor keeps it."""
    columns = []
    for place, (_, draw) in enumerate(kinds):
        name = f"c{place}"
        if isinstance(draw, np.ndarray):
            counts = r.multinomial(rows, draw)
            named = np.flatnonzero(counts >= FEWEST_TO_NAME)
            known = tuple(int(c) for c in counts[named])
            rest = in_drawers(np.where(counts >= FEWEST_TO_NAME, 0, counts))
            drawers = tuple(int(count) for count in rest)
            shape = CategoryShape(tuple(str(i) for i in named), known, rows - sum(known), len(draw), drawers=drawers)
            columns.append(ColumnProfile(name, Kind.TEXT, rows, shape=shape))
            continue
        values = np.sort(draw(r, rows))
        edges = np.unique(values)
        if len(edges) > EDGES:
            edges = np.unique(values[np.rint(np.linspace(0, 1, EDGES) * (len(values) - 1)).astype(int)])
        tally = NumberTally(array("d", edges.tolist()))
        tally.add(values)
        columns.append(ColumnProfile(name, Kind.FLOAT, rows, shape=tally.shape()))
    return Profile("reference", rows, tuple(columns))


def in_drawers(counts: np.ndarray) -> np.ndarray:
    """Counts of the values that are not named, by the drawers that those belong in."""
    return np.bincount(drawers_of(len(counts)), counts, DRAWERS)


@lru_cache
def drawers_of(count: int) -> np.ndarray:
    """The drawers of the values 0, 1, 2, ..."""
    return np.array([drawer(str(i)) for i in range(count)])


def window(r: np.random.Generator, profile: Profile, kinds: Kinds, n: int, shifts: dict[int, float]) -> np.ndarray:
    """The numbers of one window, as the catalog keeps them."""
    out: list[np.ndarray] = []
    for place, (column, (_, draw)) in enumerate(zip(profile.columns, kinds, strict=True)):
        facts = np.zeros(FACTS)
        facts[0] = n
        if isinstance(draw, np.ndarray):
            assert isinstance(column.shape, CategoryShape)
            counts = r.multinomial(n, draw)
            named = [int(value) for value in column.shape.values]
            own = counts[named].astype(float)
            counts[named] = 0
            out += [facts, own, in_drawers(counts)]
            continue
        assert column.shape is not None and not isinstance(column.shape, CategoryShape)
        tally = NumberTally(column.shape.edges)
        tally.add(draw(r, n) + shifts.get(place, 0.0))
        shape = tally.shape()
        assert shape is not None
        facts[6:] = shape.mean, shape.std, shape.low, shape.high, shape.below, shape.above
        out += [facts, np.frombuffer(shape.counts)]
    return np.concatenate(out)


def judged(r: np.random.Generator, n: int, runs: int, plan: Plan, moved: int = 0, shift: float = 0.0) -> list[Judged]:
    """Many runs, against a new reference every fifty; the first ``moved`` columns are normal ones that moved."""
    kinds = [("normal", NUMBERS["normal"])] * moved + every_kind()[moved:]
    return of_kinds(r, kinds, n, runs, plan, dict.fromkeys(range(moved), shift))


def of_kinds(
    r: np.random.Generator,
    kinds: Kinds,
    n: int,
    runs: int,
    plan: Plan,
    shifts: dict[int, float],
    each: int = 50,
    rows: int = REFERENCE_ROWS,
) -> list[Judged]:
    """Many runs of these columns, against a new reference of so many rows after ``each`` of them."""
    out = []
    for start in range(0, runs, each):
        profile = reference(r, kinds, rows)
        count = min(each, runs - start)
        out.append(judge(profile, np.stack([window(r, profile, kinds, n, shifts) for _ in range(count)]), plan))
    return out


def awkward(r: np.random.Generator, runs: int, plan: Plan) -> None:
    """Fifty columns of one kind at a time, of those that are hard to judge."""
    sizes = [(REFERENCE_ROWS, 30), (REFERENCE_ROWS, 100), (REFERENCE_ROWS, 1000), (1000, 1000), (1000, 10_000)]
    print(f"\n{runs:,} runs a cell, a new reference every ten: one of 1.0 % is between 0.5 and 1.8 % by chance alone")
    print("\n| fifty columns of | " + " | ".join(f"{n:,} against {rows:,}" for rows, n in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, draw in AWKWARD.items():
        cells = []
        for rows, n in sizes:
            found = of_kinds(r, [(name, draw)] * 50, n, runs, plan, {}, 10, rows)
            cells.append(np.concatenate([one.drifted(plan.rule.level) for one in found]).any(axis=1).mean())
        print(f"| {name} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |", flush=True)


def main() -> None:
    """Count, and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", default="")
    parser.add_argument("--sizes", default="30,50,100,300,1000,3000,10000")
    given = parser.parse_args()
    r = np.random.default_rng(given.seed)
    rule = Rule()
    plan = Plan(tuple(name for name in given.tests.split(",") if name), (), rule)
    print(f"seed {given.seed}, level {rule.level:g}, reference of {REFERENCE_ROWS:,} rows, 50 columns")
    print(
        "| rows in the window | runs | runs with any alarm | tests that alarmed | counted in |\n|---|---|---|---|---|"
    )
    for n in (int(word) for word in given.sizes.split(",")):
        began = time.process_time()
        runs = given.runs if n < 3000 else max(50, given.runs // 2)
        found = np.concatenate([one.drifted(rule.level) for one in judged(r, n, runs, plan)])
        alarms = found.any(axis=1).mean()
        used = time.process_time() - began
        print(f"| {n:,} | {runs:,} | {alarms:.2%} | {found.mean():.4%} | {used:.0f} CPU-s |", flush=True)
    awkward(r, given.runs, plan)
    if plan.tests:
        return
    print("\n| shift, 1,000 rows | columns moved of 50 | seen |\n|---|---|---|")
    for shift, moved in ((0.1, 1), (0.15, 1), (0.2, 1), (0.2, 10), (0.3, 1)):
        found = judged(r, 1000, given.runs // 2, plan, moved, shift)
        names = {f"c{place}" for place in range(moved)}
        own = [i for i, (name, test) in enumerate(found[0].names) if name in names and test == "wasserstein"]
        seen = np.concatenate([one.drifted(rule.level)[:, own] for one in found]).mean()
        print(f"| {shift:g} std | {moved} | {seen:.1%} |", flush=True)


if __name__ == "__main__":
    main()
