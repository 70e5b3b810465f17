"""Comparing a reference with windows: which tests are made of which column, and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlconsole.domain.drift import (
    DRAWERS,
    MISSING,
    Bin,
    CategoryShape,
    ColumnProfile,
    ColumnResult,
    DriftReport,
    Kind,
    NumberShape,
    Profile,
    Rule,
    SchemaFinding,
    Verdict,
    judged,
    overall,
)
from mlconsole.drift import tests
from mlconsole.drift.stack import Categories, Stack, stack_of
from mlconsole.drift.tests import DriftTest, Measured

MOST_INVALID = 0.05
"""From this share of values that are not of the column's kind, the column is of another kind."""
LARGEST_EXACT = 2.0**53
FEWEST_STEPS = 1_000
RARE = f"most values are rare, and are compared in {DRAWERS} parts"
ROUNDED = "numbers beyond 2^53 are rounded: a change of their last digits alone is not seen"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared, and how it is judged.

    ``tests`` are names; none means one a column, by its kind. ``columns`` none means all.
    """

    tests: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rule: Rule = Rule()  # noqa: RUF009  A frozen value.


def compare(
    reference: Profile,
    current: Profile,
    plan: Plan,
    suppressed: Sequence[str] = (),
    seen: Sequence[SchemaFinding] = (),
    together: Sequence[ColumnResult] = (),
) -> DriftReport:
    """What moved between two profiles that were counted on the same grid.

    Args:
        reference: the baseline.
        current: the data to judge.
        plan: which tests, columns, floors and level.
        suppressed: columns that failed a check elsewhere and are not tested.
        seen: what was found of the schema when the data was read.
        together: what tests of all columns together found on a sample of rows; judged with the rest.
    """
    schema = [*schema_findings(reference, current, plan), *seen]
    failed = {one.column: one.message for one in schema if one.level == "failure"}
    failed |= {name: "a check of this column failed" for name in suppressed if name not in failed}
    results = _of_columns(reference.columns, current.columns, plan, failed, "")
    for one in reference.slices:
        other = next((s for s in current.slices if (s.column, s.value) == (one.column, one.value)), None)
        if other is not None:
            results += _of_columns(one.columns, other.columns, plan, failed, f"{one.column}={one.value}")
    results += together
    results = folded(judged(results, plan.rule), bool(plan.tests))
    notes = (*reference.notes, *current.notes, *_few(reference, current, plan.rule))
    verdict = overall(results, schema)
    return DriftReport(
        reference.source,
        current.source,
        verdict,
        reference.rows,
        current.rows,
        tuple(results),
        tuple(schema),
        notes,
        plan.rule.level,
    )


def _few(reference: Profile, current: Profile, rule: Rule) -> list[str]:
    few = [(name, one.rows) for name, one in (("reference", reference), ("current", current)) if one.rows < rule.fewest]
    return [f"too few rows to judge: {rows} in the {name} data, {rule.fewest} are needed" for name, rows in few]


def schema_findings(reference: Profile, current: Profile, plan: Plan) -> list[SchemaFinding]:
    """Columns that are missing, new, or hold values of another kind."""
    wanted = set(plan.columns) or {column.name for column in reference.columns}
    found = []
    for column in reference.columns:
        other = current.column(column.name)
        if column.name not in wanted:
            continue
        if other is None:
            found.append(SchemaFinding(column.name, "failure", "the column is missing"))
        elif other.invalid and other.invalid >= MOST_INVALID * (other.rows - other.nulls) > column.invalid:
            share = other.invalid / max(1, other.rows - other.nulls)
            what = f"{column.kind.value} in the reference; {other.invalid:,} values ({share:.1%}) are not"
            found.append(SchemaFinding(column.name, "failure", what))
    known = {column.name for column in reference.columns}
    if not plan.columns:
        found += [SchemaFinding(c.name, "note", "the column is new") for c in current.columns if c.name not in known]
    return found


def _of_columns(
    reference: Sequence[ColumnProfile],
    current: Sequence[ColumnProfile],
    plan: Plan,
    failed: Mapping[str, str],
    piece: str,
) -> list[ColumnResult]:
    others = {column.name: column for column in current}
    out: list[ColumnResult] = []
    for column in reference:
        if plan.columns and column.name not in plan.columns:
            continue
        other = others.get(column.name, ColumnProfile(column.name, column.kind, 0))
        if column.name in failed:
            sizes = (column.values, other.values)
            out.append(ColumnResult(column.name, "", None, None, Verdict.SCHEMA, *sizes, note=failed[column.name]))
        else:
            out += [results[0] for results in results_of(stack_of(column, [other]), plan)]
    return [replace(one, slice=piece) for one in out] if piece else out


def chosen_tests(column: ColumnProfile, plan: Plan) -> list[DriftTest]:
    """The tests of a column: those that were named and take it, or one by its kind, and that of missing values."""
    named = [test for test in (tests.named(name) for name in plan.tests) if test.sample is None]
    chosen = named if plan.tests else _default(column, plan)
    return [test for test in chosen if _takes(column, test)]


def results_of(stack: Stack, plan: Plan) -> list[list[ColumnResult]]:
    """Of one column, for each test a list with a result a window; not corrected yet."""
    found = [_result(stack, test, plan.rule) for test in chosen_tests(stack.reference, plan)]
    if plan.tests and not found and any(tests.named(name).sample is None for name in plan.tests):
        found.append([_silent(stack, i, "none of these tests takes such a column") for i in range(len(stack.rows))])
    elif not plan.tests and len(found) == 1:
        note = UNTESTED.get(stack.reference.kind)
        if note is None:
            found.insert(0, [_silent(stack, i, "no values to compare") for i in range(len(stack.rows))])
        else:
            found = _noted(found, note)
    if _is_mostly_rare(stack.reference):
        found = _noted(found, RARE)
    return _noted(found, ROUNDED) if _is_rounded(stack.reference) else found


def _noted(found: list[list[ColumnResult]], note: str) -> list[list[ColumnResult]]:
    return [[replace(one, note=one.note or note) for one in windows] for windows in found]


def _is_mostly_rare(column: ColumnProfile) -> bool:
    """True where most values of the reference occur too seldom to be compared by name."""
    shape = column.shape
    return isinstance(shape, CategoryShape) and shape.other > sum(shape.counts)


def _is_rounded(column: ColumnProfile) -> bool:
    """True for whole numbers so large that what lies between them is hardly more than what a float rounds away."""
    shape = column.shape
    if column.kind is not Kind.INT or not isinstance(shape, NumberShape):
        return False
    largest = max(abs(shape.low), abs(shape.high))
    return largest > LARGEST_EXACT and shape.high - shape.low < FEWEST_STEPS * math.ulp(largest)


UNTESTED = {
    Kind.NESTED: "lists and objects are not compared",
    Kind.ID: "row numbers always move: name the column to test it",
    Kind.TIME: "moments always move: name the column to test it",
}
"""Kinds of which only the missing values are tested, unless the column is named."""


def _default(column: ColumnProfile, plan: Plan) -> list[DriftTest]:
    missing = tests.named(tests.MISSING)
    if column.shape is None or (column.kind in UNTESTED and column.name not in plan.columns):
        return [missing]
    return [tests.named(tests.FOR_NUMBERS if column.kind.is_number else tests.FOR_CATEGORIES), missing]


def _takes(column: ColumnProfile, test: DriftTest) -> bool:
    if test.rows is not None:
        return True
    if column.shape is None:
        return False
    return isinstance(column.shape, NumberShape) or test.categories is not None


def _silent(stack: Stack, window: int, note: str) -> ColumnResult:
    sizes = (stack.reference.values, int(stack.n[window]))
    return ColumnResult(stack.reference.name, "", None, None, Verdict.INSUFFICIENT, *sizes, note=note)


def _result(stack: Stack, test: DriftTest, rule: Rule) -> list[ColumnResult]:
    """One test of one column in every window."""
    import numpy as np

    is_of_rows = test.rows is not None
    sizes = stack.rows if is_of_rows else stack.n
    own = stack.reference.rows if is_of_rows else stack.reference.values
    enough = np.flatnonzero((sizes >= rule.fewest) & (own >= rule.fewest))
    out = [_too_few(stack, test, own, int(size), rule) for size in sizes]
    if not len(enough):
        return out
    picked = stack.pick(enough)
    found, bins = measured(picked, test)
    for place, window in enumerate(enough):
        worst = _worst(bins, place) if bins is not None else _lost(picked, place)
        effect, chance = float(found.effect[place]), float(found.p_value[place])
        name = (stack.reference.name, test.name)
        out[window] = ColumnResult(
            *name, effect, chance, Verdict.OK, own, int(sizes[window]), rule.floor(test.definition), worst=worst
        )
    return out


def _too_few(stack: Stack, test: DriftTest, own: int, size: int, rule: Rule) -> ColumnResult:
    which = "in the reference" if own < rule.fewest else "now"
    note = f"of {rule.fewest} values needed, {own if own < rule.fewest else size} are there {which}"
    floor = rule.floor(test.definition)
    return ColumnResult(stack.reference.name, test.name, None, None, Verdict.INSUFFICIENT, own, size, floor, note=note)


def measured(stack: Stack, test: DriftTest, *, names_worst: bool = True) -> tuple[Measured, Categories | None]:
    """What the test measured, and the bins or categories to name the worst one of."""
    if test.rows is not None:
        return test.rows(stack), None
    if not isinstance(stack.reference.shape, NumberShape):
        assert test.categories is not None
        categories = stack.categories()
        return test.categories(categories), categories
    if test.numbers is not None:
        return test.numbers(stack.numbers()), stack.bins(stack.most_bins().min()) if names_worst else None
    return _binned(stack, test)


def _binned(stack: Stack, test: DriftTest) -> tuple[Measured, Categories | None]:
    """A test of categories on numbers; windows of other sizes have other bins, and are measured apart."""
    import numpy as np

    assert test.categories is not None
    most = stack.most_bins()
    effect, chance = np.zeros(len(most)), np.zeros(len(most))
    bins = None
    for count in np.unique(most):
        own = np.flatnonzero(most == count)
        bins = stack.pick(own).bins(int(count))
        found = test.categories(bins)
        effect[own], chance[own] = found.effect, found.p_value
    return Measured(effect, chance), bins


def _worst(categories: Categories, window: int) -> Bin:
    import numpy as np

    p, q = categories.shares()
    place = int(np.argmax(np.abs(q[window] - p)))
    return Bin(categories.labels[place], float(p[place]), float(q[window][place]))


def _lost(stack: Stack, window: int) -> Bin:
    before = stack.reference.missing / max(1, stack.reference.rows)
    return Bin(MISSING, before, float(stack.missing[window] / max(1, stack.rows[window])))


def folded(results: Sequence[ColumnResult], is_asked: bool) -> list[ColumnResult]:
    """One result a column where no tests were named: missing values stand for a column only where they drifted more."""
    if is_asked:
        return list(results)
    out: dict[tuple[str, str], ColumnResult] = {}
    for one in results:
        key = (one.slice, one.column)
        known = out.get(key)
        is_worse = known is not None and (known.verdict is not Verdict.DRIFT or one.weight > known.weight)
        if known is None or (one.verdict is Verdict.DRIFT and is_worse):
            out[key] = one
    return list(out.values())
