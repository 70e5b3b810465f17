"""Looking at monitors: new windows are judged once, kept, and told to the alerts in the same transaction."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from sqlite3 import Connection
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.live_data import cutting_of
from mlconsole.actions.monitor import MonitorParams
from mlconsole.domain.alerts import ONCE, AlertRules, Part, Signal
from mlconsole.domain.alerts import Verdict as Look
from mlconsole.domain.drift import DriftReport, Profile, SchemaFinding, Verdict
from mlconsole.domain.monitors import Monitor, MonitorCheck, Replay, ReplayRow, WindowSummary, openings
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.times import from_us
from mlconsole.errors import MlconsoleError, UsageError

if TYPE_CHECKING:
    from mlconsole.drift.windows import Window

NEARLY = 0.75
"""An effect of this share of its floor, if it is significant, is neither bad nor clean: an alert stays as it is."""
FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0)
WEEK_S = 7 * 86_400.0
SHORTEST_S = 3600.0
"""Data of less time says nothing of a week."""
MOST_PARTS = 50
MOST_WORDS = 300


def plan_check(ctx: Context, params: MonitorParams) -> Plan:
    """What would be read."""
    monitor = ctx.catalog.monitors.get(params.name)
    step = Step(f"judge the windows ({monitor.window.text}) of the live data that were not judged yet", monitor.live)
    command = shlex.join(["mlconsole", "monitor", "check", params.name])
    return Plan("monitor check", Effect.WRITE, (step,), command=command)


def check(ctx: Context, params: MonitorParams) -> MonitorCheck:
    """Judge the windows of a monitor that are new.

    Raises:
        NotFound: there is no such monitor.
        ActionFailed: the live data cannot be read; noted with the monitor.
    """
    return look(ctx, ctx.catalog.monitors.get(params.name))


def check_due(ctx: Context) -> int:
    """Look at every monitor that is due; returns how many. What fails is noted with its monitor, and the rest go on."""
    now = ctx.clock()
    due = [monitor for monitor in ctx.catalog.monitors.all() if monitor.is_due(now)]
    for monitor in due:
        try:
            look(ctx, monitor)
        except MlconsoleError:
            continue
    return len(due)


def look(ctx: Context, monitor: Monitor) -> MonitorCheck:
    """Judge what is new of one monitor; data that cannot be read is an alert of its own, and the rest is judged."""
    try:
        found = _look(ctx, monitor)
    except MlconsoleError as error:
        _note(ctx, monitor, str(error))
        raise
    _note(ctx, monitor, " ".join(found.unread))
    return found


def _note(ctx: Context, monitor: Monitor, trouble: str = "") -> None:
    """Keep that a monitor was looked at and why that failed, and tell the alerts."""
    from mlconsole.catalog.alerts import tell
    from mlconsole.catalog.monitors import note_look

    subject = f"monitor:{monitor.name}"
    data = {"monitor": monitor.name, "dataset": monitor.baseline.source, "live": monitor.live}
    head = (f"{subject}:unreadable", "monitor", subject, Look.BAD if trouble else Look.CLEAN, trouble[:MOST_WORDS])
    signal = Signal(*head, data=data, rules=ONCE)

    def note(db: Connection) -> None:
        note_look(db, monitor, ctx.clock(), trouble)
        tell(db, signal, ctx.clock())

    ctx.write(note)


def _look(ctx: Context, monitor: Monitor) -> MonitorCheck:
    from mlconsole.drift.windows import windows

    monitors = ctx.catalog.monitors
    baseline = monitors.profile(monitor.baseline.number)
    cutting = cutting_of(ctx, monitor, baseline)
    if cutting is None:
        return MonitorCheck(_nothing(monitor, baseline, f'there is no live data yet at "{monitor.live}"'))
    judged: list[tuple[WindowSummary, DriftReport]] = []
    waiting: Window | None = None
    for window in windows(cutting):
        if ctx.cancelled.is_set():
            break
        if not window.is_whole:
            waiting = window
            continue
        report = _report(monitor, baseline, window)
        summary = _summary(window, report, ctx.clock())
        if _keep(ctx, monitor, baseline, window, summary, report):
            judged.append((summary, report))
    rest = waiting.profile.rows if waiting is not None else 0
    shown = _shown(ctx, monitor, baseline, judged, waiting)
    unread = tuple(cutting.unread.values())
    shown = replace(shown, notes=tuple(dict.fromkeys((*shown.notes, *cutting.notes))))
    return MonitorCheck(shown, tuple(one for one, _ in judged), rest, unread)


def _report(monitor: Monitor, baseline: Profile, window: Window) -> DriftReport:
    from mlconsole.drift.compare import Plan as Tests
    from mlconsole.drift.compare import compare

    plan = Tests(monitor.tests, monitor.columns, monitor.rule)
    failed = _failed_checks(monitor, window)
    report = compare(baseline, window.profile, plan, [one.column for one in failed], failed)
    return replace(
        report, reference=monitor.baseline.source, current=monitor.live, monitor=monitor.name, window=window.label
    )


def _failed_checks(monitor: Monitor, window: Window) -> list[SchemaFinding]:
    """What of the monitor's expectations does not hold: one cause, so these columns are not called drift as well."""
    if not monitor.expect:
        return []
    from mlconsole.drift import expectations
    from mlconsole.drift.checks import check_profile

    found = check_profile(window.profile, expectations.read(monitor.expect))
    return [SchemaFinding(one.column, "failure", f"{one.check}: {one.message}") for one in found]


def _summary(window: Window, report: DriftReport, now: datetime) -> WindowSummary:
    worst = report.worst
    drifted = {one.column for one in report.columns if one.verdict is Verdict.DRIFT}
    drifted |= {one.column for one in report.schema if one.level == "failure"}
    began, ended = (from_us(round(seconds * 1e6)) for seconds in (window.began_s, window.ended_s))
    rows = window.profile.rows
    summary = WindowSummary(window.key, window.label, began, ended, now, rows, report.verdict, len(drifted))
    if worst is None:
        return summary
    summary = replace(summary, worst=worst.column, worst_test=worst.test)
    return replace(summary, worst_effect=worst.effect, worst_weight=worst.weight)


def _keep(
    ctx: Context, monitor: Monitor, baseline: Profile, window: Window, summary: WindowSummary, report: DriftReport
) -> bool:
    """Keep a window and tell of it, in one transaction; False when somebody else has judged it meanwhile."""
    from mlconsole.catalog.alerts import tell
    from mlconsole.catalog.monitors import JudgedWindow, keep_window

    signal = signal_of(monitor, summary, report)

    def keep(db: Connection) -> bool:
        is_new = keep_window(db, monitor, baseline, JudgedWindow(summary, report, window.profile), window.progress)
        if is_new:
            tell(db, signal, summary.judged_at)
        return is_new

    return ctx.write(keep)


def signal_of(monitor: Monitor, summary: WindowSummary, report: DriftReport) -> Signal:
    """What a judged window says to the alerts: one incident a monitor, its columns are the parts."""
    bad = [one for one in report.columns if one.verdict in (Verdict.DRIFT, Verdict.SCHEMA)]
    bad.sort(key=lambda one: -one.weight)
    parts: dict[str, Part] = {}
    for one in bad:
        words = f"{one.test} {one.effect:.4g}" if one.effect is not None else one.note
        parts.setdefault(one.column, Part(one.column, f"{words}{f' in {one.slice}' if one.slice else ''}", one.effect))
    data = {
        "monitor": monitor.name,
        "dataset": monitor.baseline.source,
        "live": monitor.live,
        "rows": summary.rows,
        "columns": list(parts)[:MOST_PARTS],
        "worst": summary.worst,
        "effect": summary.worst_effect,
    }
    looks = {Verdict.DRIFT: Look.BAD, Verdict.SCHEMA: Look.BAD, Verdict.INSUFFICIENT: Look.INSUFFICIENT}
    verdict = looks.get(report.verdict, Look.BETWEEN if _is_near(report) else Look.CLEAN)
    k, n = monitor.opens
    what = f"{len(parts)} of {len({one.column for one in report.columns})} columns" if parts else "no column"
    title = f"{what} moved in {summary.label}" + (f", most of all {summary.worst}" if parts and summary.worst else "")
    cause = f"monitor:{monitor.name}"
    return Signal(
        cause,
        "monitor",
        cause,
        verdict,
        title,
        parts=tuple(parts.values())[:MOST_PARTS],
        data=data,
        rules=AlertRules(k, n, monitor.closes, 0.0),
        opens="drift.opened",
    )


def _is_near(report: DriftReport) -> bool:
    return any(
        one.q_value is not None and one.q_value <= report.level and one.weight >= NEARLY for one in report.columns
    )


def _shown(
    ctx: Context,
    monitor: Monitor,
    baseline: Profile,
    judged: Sequence[tuple[WindowSummary, DriftReport]],
    waiting: Window | None,
) -> DriftReport:
    """The report of the newest window; before the first one, that of what waits, which is insufficient."""
    rest = [f"{waiting.profile.rows:,} rows wait for a window to be full"] if waiting and waiting.profile.rows else []
    if judged:
        return replace(judged[-1][1], notes=(*judged[-1][1].notes, *rest))
    newest = ctx.catalog.monitors.newest(monitor)
    if newest is not None:
        return replace(newest.report, notes=(*newest.report.notes, *_since(monitor, newest.baseline), *rest))
    note = f"the first window ({monitor.window.text}) is not full yet"
    rows = waiting.profile.rows if waiting is not None else 0
    return _nothing(monitor, baseline, note, rows)


def _since(monitor: Monitor, baseline: int) -> tuple[str, ...]:
    """What is to be said of the newest window where none was judged now."""
    if baseline == monitor.baseline.number:
        return ("no new window since",)
    return (f"no window yet since the baseline is {monitor.baseline.source}; this one was judged against the last one",)


def _nothing(monitor: Monitor, baseline: Profile, note: str, rows: int = 0) -> DriftReport:
    """The report where no window can be judged."""
    from mlconsole.domain.drift import ColumnResult

    names = [c for c in baseline.columns if not monitor.columns or c.name in monitor.columns]
    columns = tuple(
        ColumnResult(c.name, "", None, None, Verdict.INSUFFICIENT, c.values, 0, note="no window yet") for c in names
    )
    head = (monitor.baseline.source, monitor.live, Verdict.INSUFFICIENT, baseline.rows, rows)
    return DriftReport(*head, columns, notes=(note,), level=monitor.rule.level, monitor=monitor.name)


@dataclass(frozen=True, slots=True)
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
    from mlconsole.actions.drift import plan_of, rule_of
    from mlconsole.catalog.profiles import window_numbers
    from mlconsole.drift.replay import judge, stacked

    monitors = ctx.catalog.monitors
    monitor = monitors.get(params.name)
    level = monitor.rule.level if params.level is None else params.level
    rule = rule_of(level, params.floor)
    rule = replace(rule, floors=(*monitor.rule.floors, *rule.floors))
    plan = plan_of(params.tests or ",".join(monitor.tests), ",".join(monitor.columns), rule)
    opens = monitor.opens if params.opens is None else _opens(params.opens)
    windows: list[WindowSummary] = []
    bads: dict[float, list[bool]] = {factor: [] for factor in FACTORS}
    for baseline, group in groupby(monitors.counts(monitor), lambda one: one[0].baseline):
        stored = list(group)
        found = judge(monitors.profile(baseline), stacked([window_numbers(counts) for _, counts in stored]), plan)
        told = zip(stored, found.verdicts(level), found.columns_drifted(level), strict=True)
        windows += [_again(one, verdict, n, found.worst(at)) for at, ((one, _), verdict, n) in enumerate(told)]
        for factor, bad in bads.items():
            bad += [verdict is Verdict.DRIFT for verdict in found.verdicts(level, factor)]
    if not windows:
        return Replay(monitor.name, (), (), 0.0)
    span = (windows[-1].ended_at - windows[0].began_at).total_seconds()
    rows = []
    for factor, bad in bads.items():
        alerts = openings(bad, opens, monitor.closes)
        rate = alerts / (span / WEEK_S) if span >= SHORTEST_S else None
        rows.append(ReplayRow(factor, level, len(bad), sum(bad), alerts, rate))
    return Replay(monitor.name, tuple(windows), tuple(rows), span)


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


CHECK = Action(
    "monitor check",
    "Judge the new windows of a monitor",
    MonitorParams,
    Effect.WRITE,
    check,
    plan_check,
    target=lambda p: p.name,
    key="C",
)
REPLAY = Action(
    "monitor replay",
    "Judge stored windows anew, by other thresholds",
    ReplayParams,
    Effect.READ,
    replay,
)
