"""Looking at monitors: new windows are judged once, kept, and told to the alerts in the same transaction."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action
from mlconsole.actions.context import Context
from mlconsole.actions.judges import Judge, judge_of
from mlconsole.actions.monitor import MonitorParams
from mlconsole.catalog.monitors import SILENT, UNREADABLE
from mlconsole.domain.alerts import ONCE, AlertRules, Part, Signal
from mlconsole.domain.alerts import Verdict as Look
from mlconsole.domain.drift import DriftReport, SchemaFinding, Verdict
from mlconsole.domain.monitors import Monitor, MonitorCheck, WindowKind, WindowSummary
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.times import from_us
from mlconsole.errors import MlconsoleError
from mlconsole.records import replace
from mlconsole.render.numbers import duration

if TYPE_CHECKING:
    from mlconsole.drift.windows import Feed, Window

NEARLY = 0.75
"""An effect of this share of its floor, if it is significant, is neither bad nor clean: an alert stays as it is."""
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
        found, feed = _look(ctx, monitor)
    except MlconsoleError as error:
        _note(ctx, monitor, str(error))
        raise
    _note(ctx, monitor, " ".join(found.unread), feed)
    return found


def _note(ctx: Context, monitor: Monitor, trouble: str = "", feed: Feed | None = None) -> None:
    """Keep that a monitor was looked at, what was learned and why that failed, and tell the alerts."""
    from mlconsole.catalog.alerts import tell
    from mlconsole.catalog.monitors import note_look, note_progress

    now = ctx.clock()
    fed_at = min(now, from_us(round(feed.newest_s * 1e6))) if feed is not None and feed.newest_s else None
    is_new = feed is not None and feed.files and feed.files != ctx.catalog.monitors.progress(monitor).get("dated")
    signals = [_signal(monitor, UNREADABLE, trouble, "all of it could be read")]
    if not trouble:
        silence = _silence(ctx, replace(monitor, fed_at=fed_at or monitor.fed_at))
        signals.append(_signal(monitor, SILENT, silence, "new rows have come"))

    def note(db: Connection) -> None:
        note_look(db, monitor, now, trouble, fed_at)
        if feed is not None and is_new:
            note_progress(db, monitor, {"dated": feed.files})
        for signal in signals:
            tell(db, signal, now)

    ctx.write(note)


def _signal(monitor: Monitor, end: str, wrong: str, well: str) -> Signal:
    """What a look says of the live data itself, beside what is in it: what is wrong, or else that it is well."""
    subject = f"monitor:{monitor.name}"
    data = {"monitor": monitor.name, "dataset": monitor.baseline.source, "live": monitor.live}
    verdict = Look.BAD if wrong else Look.CLEAN
    title = (wrong or well)[:MOST_WORDS]
    return Signal(f"{subject}{end}", "monitor", subject, verdict, title, data=data, rules=ONCE)


def _silence(ctx: Context, monitor: Monitor) -> str:
    """Words on live data that brings no new rows for longer than it may; empty where it does, or may."""
    state = ctx.catalog.monitors.state(monitor)
    since = state.fed_at
    longest_s = state.silent_after_s
    if longest_s is None or (ctx.clock() - since).total_seconds() < longest_s:
        return ""
    usual = "usually they come sooner than" if monitor.silence_s is None else "they are expected within"
    return f"no new rows since {since:%Y-%m-%d %H:%M} UTC; {usual} {duration(longest_s)}"


def _look(ctx: Context, monitor: Monitor) -> tuple[MonitorCheck, Feed | None]:
    from mlconsole.drift.windows import windows

    judge = judge_of(ctx, monitor)
    cutting = judge.cutting()
    if cutting is None:
        return MonitorCheck(_nothing(monitor, judge, f'there is no live data yet at "{monitor.live}"')), None
    judged: list[tuple[WindowSummary, DriftReport]] = []
    rest, waits = 0, ""
    for window in windows(cutting):
        if ctx.cancelled.is_set():
            break
        full = f"{window.profile.rows:,} rows wait for a window to be full"
        if why := judge.waits(window) if window.is_whole else full:
            rest, waits = window.profile.rows, why
            if monitor.window.kind is WindowKind.ROWS:
                break  # The windows behind it begin where it ends.
            continue
        found = report_of(judge, window, ctx.clock())
        if keep(ctx, monitor, judge, window, found):
            judged.append(found)
    shown = _shown(ctx, monitor, judge, judged, (rest, waits))
    shown = replace(shown, notes=tuple(dict.fromkeys((*shown.notes, *cutting.notes))))
    return MonitorCheck(shown, tuple(one for one, _ in judged), rest, tuple(cutting.unread.values())), cutting.feed


def report_of(judge: Judge, window: Window, now: datetime) -> tuple[WindowSummary, DriftReport]:
    """What a window is like, in short and in full."""
    report = judge.report(window)
    return _summary(window, report, now), report


def _summary(window: Window, report: DriftReport, now: datetime) -> WindowSummary:
    broken = _broken(report)
    worst = None if report.verdict is Verdict.SCHEMA else report.worst
    drifted = {one.column for one in report.columns if one.verdict is Verdict.DRIFT}
    drifted |= {one.column for one in report.schema if one.level == "failure"}
    began, ended = (from_us(round(seconds * 1e6)) for seconds in (window.began_s, window.ended_s))
    rows = window.profile.rows
    summary = WindowSummary(window.key, window.label, began, ended, now, rows, report.verdict, len(drifted))
    if worst is None:
        return replace(summary, worst=broken[0].column) if broken else summary
    summary = replace(summary, worst=worst.column, worst_test=worst.test)
    return replace(summary, worst_effect=worst.effect, worst_weight=worst.weight)


def keep(
    ctx: Context, monitor: Monitor, judge: Judge, window: Window, found: tuple[WindowSummary, DriftReport]
) -> bool:
    """Keep a window and tell of it, in one transaction; False when somebody else has judged it meanwhile."""
    from mlconsole.catalog.alerts import tell
    from mlconsole.catalog.monitors import JudgedWindow, keep_window

    summary, report = found
    signal, counts = signal_of(monitor, summary, report), judge.counts(window)

    def change(db: Connection) -> bool:
        is_new = keep_window(db, monitor, JudgedWindow(summary, report, counts), window.progress)
        if is_new:
            tell(db, signal, summary.judged_at)
        return is_new

    return ctx.write(change)


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
    title = title_of(
        report, summary.label, ("column", "moved") if monitor.predictions is None else ("metric", "got worse")
    )
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


def _broken(report: DriftReport) -> list[SchemaFinding]:
    """What of the columns is not as it has to be."""
    return [one for one in report.schema if one.level == "failure"]


def title_of(report: DriftReport, label: str, words: tuple[str, str]) -> str:
    """One line on what is wrong in a window: what moved, and what cannot even be compared."""
    unit, did = words
    moved = sorted((one for one in report.columns if one.verdict is Verdict.DRIFT), key=lambda one: -one.weight)
    broken = _broken(report)
    of = len({one.column for one in report.columns})
    told = []
    if moved:
        count = len({one.column for one in moved})
        told.append(f"{count} of {of} {unit}s {did} in {label}, most of all {moved[0].column}")
    if broken:
        first = ": ".join(word for word in (broken[0].column, broken[0].message) if word)
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        told.append(f"{'' if moved else f'in {label} '}the data is not as expected: {first}{more}")
    return "; ".join(told) or f"no {unit} {did} in {label}"


def _is_near(report: DriftReport) -> bool:
    return any(
        one.q_value is not None and one.q_value <= report.level and one.weight >= NEARLY for one in report.columns
    )


def _shown(
    ctx: Context,
    monitor: Monitor,
    judge: Judge,
    judged: Sequence[tuple[WindowSummary, DriftReport]],
    waiting: tuple[int, str],
) -> DriftReport:
    """The report of the newest window; before the first one, that of what waits, which is insufficient."""
    rows, waits = waiting
    rest = [waits] if rows else []
    if judged:
        return replace(judged[-1][1], notes=(*judged[-1][1].notes, *rest))
    newest = ctx.catalog.monitors.newest(monitor)
    if newest is not None:
        return replace(newest.report, notes=(*newest.report.notes, *_since(monitor, newest.baseline), *rest))
    full = f"the first window ({monitor.window.text}) is not full yet"
    return _nothing(monitor, judge, waits if "label" in waits else full, rows)


def _since(monitor: Monitor, baseline: int) -> tuple[str, ...]:
    """What is to be said of the newest window where none was judged now."""
    if baseline == monitor.baseline.number:
        return ("no new window since",)
    return (f"no window yet since the baseline is {monitor.baseline.source}; this one was judged against the last one",)


def _nothing(monitor: Monitor, judge: Judge, note: str, rows: int = 0) -> DriftReport:
    """The report where no window can be judged."""
    from mlconsole.domain.drift import ColumnResult

    columns = tuple(
        ColumnResult(name, "", None, None, Verdict.INSUFFICIENT, count, 0, note="no window yet")
        for name, count in judge.expected()
    )
    head = (monitor.baseline.source, monitor.live, Verdict.INSUFFICIENT, monitor.baseline.rows, rows)
    return DriftReport(*head, columns, notes=(note,), level=monitor.rule.level, monitor=monitor.name)


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
