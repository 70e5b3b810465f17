"""What the drift tests promise, counted: false alarms on data that did not move, and how often a shift is seen.

    python tests/benchmarks/drift_statistics.py [--runs 1000] [--seed 1]

A run is one comparison of 50 columns (normal, log-normal, Cauchy, uniform, counts, few values, mostly zero, yes or no,
ten and thirty categories, five of each) with a profile of 10,000 rows, as a monitor makes it.
"""

from __future__ import annotations

import argparse
import time
from array import array

import numpy as np
from drift_columns import NUMBERS, Draw
from drift_columns import kinds as every_kind

from mlconsole.domain.drift import CategoryShape, ColumnProfile, Kind, Profile, Rule
from mlconsole.drift.compare import Plan
from mlconsole.drift.profile import NumberTally
from mlconsole.drift.replay import FACTS, Judged, judge

REFERENCE_ROWS = 10_000
EDGES = 101


def reference(r: np.random.Generator, moved: int) -> tuple[Profile, list[tuple[str, Draw | np.ndarray]]]:
    """A profile of 50 columns, and how each is drawn; the first ``moved`` are normal."""
    kinds = [("normal", NUMBERS["normal"])] * moved + every_kind()[moved:]
    columns = []
    for place, (_, draw) in enumerate(kinds):
        name = f"c{place}"
        if isinstance(draw, np.ndarray):
            counts = tuple(int(c) for c in r.multinomial(REFERENCE_ROWS, draw))
            shape = CategoryShape(tuple(str(i) for i in range(len(draw))), counts, 0, len(draw))
            columns.append(ColumnProfile(name, Kind.TEXT, REFERENCE_ROWS, shape=shape))
            continue
        values = np.sort(draw(r, REFERENCE_ROWS))
        edges = np.unique(values)
        if len(edges) > EDGES:
            edges = np.unique(values[np.rint(np.linspace(0, 1, EDGES) * (len(values) - 1)).astype(int)])
        tally = NumberTally(array("d", edges.tolist()))
        tally.add(values)
        columns.append(ColumnProfile(name, Kind.FLOAT, REFERENCE_ROWS, shape=tally.shape()))
    return Profile("reference", REFERENCE_ROWS, tuple(columns)), kinds


def window(
    r: np.random.Generator,
    profile: Profile,
    kinds: list[tuple[str, Draw | np.ndarray]],
    n: int,
    shifts: dict[int, float],
) -> np.ndarray:
    """The numbers of one window, as the catalog keeps them."""
    out: list[np.ndarray] = []
    for place, (column, (_, draw)) in enumerate(zip(profile.columns, kinds, strict=True)):
        facts = np.zeros(FACTS)
        facts[0] = n
        if isinstance(draw, np.ndarray):
            out += [facts, r.multinomial(n, draw).astype(float), np.zeros(1)]
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
    """Many runs, against a new reference every fifty."""
    out = []
    for start in range(0, runs, 50):
        profile, kinds = reference(r, moved)
        shifts = dict.fromkeys(range(moved), shift)
        count = min(50, runs - start)
        out.append(judge(profile, np.stack([window(r, profile, kinds, n, shifts) for _ in range(count)]), plan))
    return out


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
