"""Replaying monitors: stored windows are judged anew, by other thresholds, and nothing is read or changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.domain.drift import ColumnResult, Rule, Verdict, judged, overall
from mlconsole.domain.monitors import Monitor, Replay, ReplayRow, WindowSummary, openings
from mlconsole.domain.plans import Effect
from mlconsole.errors import UsageError
from mlconsole.records import record, replace

FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0)
WEEK_S = 7 * 86_400.0
SHORTEST_S = 3600.0
"""Data of less time says nothing of a week."""

Stored = Sequence[tuple[WindowSummary, bytes]]
Bads = dict[float, list[bool]]
Judging = Callable[[Context, int, Stored, Bads], list[WindowSummary]]
"""Judges the stored windows of one baseline, and adds to each factor's floors which of them are bad."""


@record
class ReplayParams:
    """Which monitor, by which thresholds."""

    name: str = param(help="name of the monitor", positional=True, cursor="monitor", metavar="MONITOR")
    level: float | None = param(None, help="another share of false discoveries", metavar="SHARE")
    floor: tuple[str, ...] = param((), help="another least effect, as TEST=VALUE; may be given again", metavar="T=V")
    tests: str | None = param(None, help="other tests, with commas", metavar="NAMES")
    opens: str | None = param(None, help="so many bad ones of so many windows open an alert", metavar="K/N")


def replay(ctx: Context, params: ReplayParams) -> Replay:
    """Judge the stored windows anew, each against its own baseline: nothing is read again and nothing is changed.

    Raises:
        NotFound: there is no such monitor.
        UsageError: a threshold is none.
    """
    monitors = ctx.catalog.monitors
    monitor = monitors.get(params.name)
    level = monitor.rule.level if params.level is None else params.level
    judge = _by_columns(params, monitor, level) if monitor.predictions is None else _by_metrics(params, monitor, level)
    opens = monitor.opens if params.opens is None else _opens(params.opens)
    windows: list[WindowSummary] = []
    bads: Bads = {factor: [] for factor in FACTORS}
    for baseline, group in groupby(monitors.counts(monitor), lambda one: one[0].baseline):
        windows += judge(ctx, baseline, list(group), bads)
    if not windows:
        return Replay(monitor.name, (), (), 0.0)
    span = (windows[-1].ended_at - windows[0].began_at).total_seconds()
    rows = []
    for factor, bad in bads.items():
        alerts = openings(bad, opens, monitor.closes)
        rate = alerts / (span / WEEK_S) if span >= SHORTEST_S else None
        rows.append(ReplayRow(factor, level, len(bad), sum(bad), alerts, rate))
    return Replay(monitor.name, tuple(windows), tuple(rows), span)


def _by_columns(params: ReplayParams, monitor: Monitor, level: float) -> Judging:
    """Judges windows of a monitor of drift, all of one baseline at once."""
    from mlconsole.actions.drift import plan_of, rule_of
    from mlconsole.catalog.profiles import window_numbers
    from mlconsole.drift.replay import judge, stacked

    rule = rule_of(level, params.floor)
    rule = replace(rule, floors=(*monitor.rule.floors, *rule.floors))
    plan = plan_of(params.tests or ",".join(monitor.tests), ",".join(monitor.columns), rule)

    def judging(ctx: Context, baseline: int, stored: Stored, bads: Bads) -> list[WindowSummary]:
        numbers = stacked([window_numbers(counts) for _, counts in stored])
        found = judge(ctx.catalog.monitors.profile(baseline), numbers, plan)
        # No threshold mends a schema: a window in which a column was missing is as bad as it was.
        broken = [one.verdict is Verdict.SCHEMA for one, _ in stored]
        for factor, bad in bads.items():
            moved = [verdict is Verdict.DRIFT for verdict in found.verdicts(level, factor)]
            bad += [is_broken or has_moved for is_broken, has_moved in zip(broken, moved, strict=True)]
        told = zip(stored, broken, found.verdicts(level), found.columns_drifted(level), strict=True)
        return [
            one if is_broken and verdict is not Verdict.DRIFT else _again(one, verdict, n, found.worst(at))
            for at, ((one, _), is_broken, verdict, n) in enumerate(told)
        ]

    return judging


def _by_metrics(params: ReplayParams, monitor: Monitor, level: float) -> Judging:
    """Judges windows of a monitor of performance, one after the other.

    Raises:
        UsageError: no such metric, or tests are named, of which it has none.
    """
    from mlconsole.actions.performance import rule_of
    from mlconsole.catalog.performance_counts import window_profile
    from mlconsole.drift.labelled import metrics_of
    from mlconsole.drift.performance import FLOORS

    if params.tests:
        raise UsageError("A monitor of performance has metrics, and no tests.", "Leave --tests.")
    floors = {**FLOORS, **dict(monitor.rule.floors), **dict(rule_of(level, params.floor).floors)}

    def judging(ctx: Context, baseline: int, stored: Stored, bads: Bads) -> list[WindowSummary]:
        before, out = ctx.catalog.monitors.performance(baseline), []
        for one, counts in stored:
            now = window_profile(before, counts, one.label, one.rows)
            for factor, bad in bads.items():
                rule = Rule(level, tuple((name, floor * factor) for name, floor in floors.items()))
                found = judged(metrics_of(before, now, rule), rule)
                bad.append(overall(found, ()) is Verdict.DRIFT)
                if factor == 1.0:
                    out.append(_as_judged(one, found))
        return out

    return judging


def _as_judged(summary: WindowSummary, found: list[ColumnResult]) -> WindowSummary:
    worst = max((one for one in found if one.effect is not None), key=lambda one: one.weight, default=None)
    drifted = len({one.column for one in found if one.verdict is Verdict.DRIFT})
    told = (worst.column, worst.test, worst.effect or 0.0, worst.weight) if worst else ("", "", 0.0, 0.0)
    return _again(summary, overall(found, ()), drifted, told)


def _opens(text: str) -> tuple[int, int]:
    k, _, n = text.partition("/")
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n) <= 99):
        raise UsageError(f'"{text}" is no number of windows.', "Write --opens 2/3.")
    return int(k), int(n)


def _again(
    summary: WindowSummary, verdict: Verdict, drifted: int, worst: tuple[str, str, float, float]
) -> WindowSummary:
    column, test, effect, weight = worst
    return replace(
        summary,
        verdict=verdict,
        drifted=drifted,
        worst=column,
        worst_test=test,
        worst_effect=effect if column else None,
        worst_weight=weight,
    )


REPLAY = Action(
    "monitor replay",
    "Judge stored windows anew, by other thresholds",
    ReplayParams,
    Effect.READ,
    replay,
)
