"""Drift ad hoc: two tables compared, and the tests that there are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.domain.drift import LEVEL, ColumnResult, DriftReport, Kind, Rule, TestDefinition, Verdict
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Listing
from mlconsole.errors import UsageError
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.drift.compare import Plan
    from mlconsole.drift.grid import Grid
    from mlconsole.drift.table import Table


@record
class CompareParams:
    """What with what, and how."""

    reference: str = param(
        help="what it should be like: a file, a folder, a pattern in quotes, or a dataset",
        positional=True,
        metavar="REFERENCE",
    )
    current: str = param(help="what it is like", positional=True, metavar="CURRENT")
    tests: str | None = param(None, help="tests by name, with commas; see drift tests", metavar="NAMES")
    columns: str | None = param(None, help="these columns alone, with commas", metavar="NAMES")
    slices: str | None = param(None, help="also within the most frequent values of these columns", metavar="NAMES")
    level: float = param(LEVEL, help="share of false discoveries that is put up with", metavar="SHARE")
    floor: tuple[str, ...] = param(
        (), help="least effect that counts, as TEST=VALUE; may be given again", metavar="T=V"
    )


def words(text: str | None) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))


def rule_of(level: float, floors: tuple[str, ...]) -> Rule:
    """How verdicts are made.

    Raises:
        UsageError: no such level, test or effect.
    """
    from mlconsole.drift import tests  # 2 ms, for drift

    if not 0 < level < 1:
        raise UsageError(f'"{level:g}" is no share.', "Write --level 0.01.")
    found = []
    for text in floors:
        name, _, value = text.partition("=")
        try:
            least = float(value)
        except ValueError:
            least = -1.0
        if not 0 <= least < float("inf"):
            raise UsageError(f'"{text}" is no least effect of a test.', "Write --floor ks=0.05.")
        found.append((tests.named(name).name, least))
    return Rule(level, tuple(found))


def plan_of(tests_named: str | None, columns: str | None, rule: Rule) -> Plan:
    """Which tests of which columns.

    Raises:
        UsageError: no such test.
    """
    from mlconsole.drift import tests  # 2 ms, for drift
    from mlconsole.drift.compare import Plan

    return Plan(tuple(tests.named(name).name for name in words(tests_named)), words(columns), rule)


def compare_tables(ctx: Context, params: CompareParams) -> DriftReport:
    """What moved between two tables.

    Raises:
        UsageError: one of them is nothing, or lacks a column that was named.
        ActionFailed: one of them cannot be read.
    """
    from mlconsole.actions.tables import table_named  # 5 ms, and polars where a file is read: for drift
    from mlconsole.drift.compare import compare
    from mlconsole.drift.grid import grid_of, survey
    from mlconsole.drift.profile import profile
    from mlconsole.drift.table import kind_notes

    plan = plan_of(params.tests, params.columns, rule_of(params.level, params.floor))
    slices = words(params.slices)
    reference, digest = table_named(ctx, params.reference)
    current, current_digest = table_named(ctx, params.current)
    reference = reference.with_kinds({name: k for name, k in current.kinds.items() if reference.is_empty(name)})
    if plan.columns:
        reference = reference.only((*plan.columns, *(name for name in slices if name not in plan.columns)))
        current = current.where_known(reference.kinds)
    reference = reference.with_kinds(dict.fromkeys(slices, Kind.TEXT))
    for name in slices:
        reference.only([name])
    seen = kind_notes(reference.kinds, current)
    current = current.with_kinds(reference.kinds)
    surveys = [survey(reference), survey(current)]
    grid = grid_of(surveys, is_stored=False, slices=slices, named=plan.columns)
    ours = profile(reference, grid, surveys[0].pieces, digest=digest)
    theirs = profile(current, grid.where_known(current.kinds), surveys[1].pieces, digest=current_digest)
    report = compare(ours, theirs, plan, seen=seen, together=_together(reference, current, plan, grid))
    return dataclasses.replace(report, reference=params.reference, current=params.current)


def _together(reference: Table, current: Table, plan: Plan, grid: Grid) -> list[ColumnResult]:
    """What the tests of a sample of rows say of all numbers together; row numbers are none."""
    from mlconsole.drift import tests
    from mlconsole.drift.sample import rows_of, scaled
    from mlconsole.drift.tests.mmd import sample_rows

    chosen = [test for test in (tests.named(name) for name in plan.tests) if test.sample is not None]
    if not chosen:
        return []
    kinds = (Kind.INT, Kind.FLOAT)
    names = [name for name, cut in grid.cuts.items() if cut.kind in kinds and current.kinds.get(name) in kinds]
    ours, theirs = (rows_of(table, names, sample_rows()) for table in (reference, current))
    fewest = min(len(ours), len(theirs))
    out = []
    for test in chosen:
        head, sizes = (f"({len(names)} columns of numbers)", test.name), (len(ours), len(theirs))
        floor = plan.rule.floor(test.definition)
        if fewest < plan.rule.fewest or not names or test.sample is None:
            note = "no columns of numbers" if not names else f"of {plan.rule.fewest} rows needed, {fewest} are there"
            out.append(ColumnResult(*head, None, None, Verdict.INSUFFICIENT, *sizes, floor, note=note))
            continue
        effect, chance = test.sample(scaled(ours, ours), scaled(ours, theirs))
        note = "on a sample of the rows"
        out.append(ColumnResult(*head, effect, chance, Verdict.OK, *sizes, floor, note=note))
    return out


def list_tests(ctx: Context, params: NoParams) -> Listing[TestDefinition]:
    """Every test that there is."""
    from mlconsole.drift import tests  # 5 ms, for drift

    return Listing("drift_test", [test.definition for test in tests.every()])


COMPARE = Action(
    "drift compare",
    "Compare two tables and name the columns that moved",
    CompareParams,
    Effect.READ,
    compare_tables,
    examples=("mlconsole drift compare train.parquet 'live/2026-11-*.csv'",),
)
TESTS = Action("drift tests", "List the drift tests, with their definitions", NoParams, Effect.READ, list_tests)
