"""Drift, checks and monitors as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.alerts import AlertState
from mlconsole.domain.drift import CheckReport, ColumnResult, DriftReport, SchemaFinding, TestDefinition, Verdict
from mlconsole.domain.monitors import Baseline, MonitorCheck, MonitorPage, MonitorState, Replay, WindowSummary
from mlconsole.domain.parity import Parity
from mlconsole.domain.performance import METRICS, PerformanceReport, Predictions
from mlconsole.domain.times import iso
from mlconsole.render import numbers, parity, performance
from mlconsole.render.sanitise import clean
from mlconsole.render.spark import sparkline
from mlconsole.render.tables import table
from mlconsole.render.watch_tables import GLYPHS

MOST_LINES = 200
MOST_SCHEMA = 20
NAMELESS = '""'
MOST_BASELINES = 10
TOP_FLOORS, MOST_FLOORS = 2.0, 10.0
WORDS = {
    Verdict.OK: "✔ ok",
    Verdict.DRIFT: "▲ drift",
    Verdict.INSUFFICIENT: "? insufficient",
    Verdict.SCHEMA: "✖ schema",
}
ORDER = (Verdict.DRIFT, Verdict.SCHEMA, Verdict.INSUFFICIENT, Verdict.OK)


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about drift; None for any other."""
    if isinstance(result, DriftReport):
        return _report(result)
    if isinstance(result, CheckReport):
        return _check(result)
    if isinstance(result, MonitorCheck):
        return _monitor_check(result)
    if isinstance(result, MonitorPage):
        return _page(result, now)
    if isinstance(result, Replay):
        return _replay(result)
    if isinstance(result, Parity):
        return parity.lines(result)
    if isinstance(result, PerformanceReport):
        return performance.lines(result)
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about drift; None for any other."""
    if isinstance(items[0], MonitorState):
        rows = [_state(one, now) for one in items if isinstance(one, MonitorState)]
        titles = ("MONITOR", "STATE", "LAST WINDOWS", "WORST", "EFFECT", "ROWS", "WINDOW", "NEW ROWS", "CHECKED")
        return table(titles, rows, {4, 5})
    if isinstance(items[0], TestDefinition):
        return [line for one in items if isinstance(one, TestDefinition) for line in _definition(one)][1:]
    return None


def _report(report: DriftReport) -> list[str]:
    drifted = sum(one.verdict is Verdict.DRIFT for one in report.columns)
    of = f"  {drifted} of {len(report.columns)} drifted" if drifted else ""
    head = f"{WORDS[report.verdict]}  {report.rows:,} rows against {report.rows_reference:,}{of}"
    if report.monitor:
        head = f"{clean(report.monitor)}  {clean(report.window)}  {head}"
    out = [head, *_schema(report.schema)]
    out += [f"  {clean(note, 300)}" for note in report.notes]
    found = sorted(report.columns, key=lambda one: (ORDER.index(one.verdict), -one.weight))
    has_slices = any(one.slice for one in found)
    titles = ("COLUMN", "TEST", "EFFECT", "FLOOR", "P", "P ADJUSTED", "VERDICT", "ROWS", "MOVED MOST")
    rows = [_row(one, has_slices) for one in found[:MOST_LINES]]
    right = {place + has_slices for place in (2, 3, 4, 5, 7)}
    out += ["", *table(("SLICE", *titles) if has_slices else titles, rows, right)]
    more = len(found) - MOST_LINES
    return out + ([f"... and {more:,} more: --json has all"] if more > 0 else [])


def _schema(found: Sequence[SchemaFinding]) -> list[str]:
    """What was found of the columns, failures first."""
    ordered = sorted(found, key=lambda one: one.level != "failure")
    out = [f"  {clean(f.column) or NAMELESS}: {clean(f.message, 300)}  ({f.level})" for f in ordered[:MOST_SCHEMA]]
    more = len(ordered) - MOST_SCHEMA
    return out + ([f"  ... and {more:,} more: --json has all"] if more > 0 else [])


def _row(one: ColumnResult, has_slices: bool) -> tuple[str, ...]:
    chance = [f"{value:.2g}" if value is not None else "" for value in (one.p_value, one.q_value)]
    floor = numbers.number(one.floor) if one.floor else ""
    own = (one.column, one.test, numbers.number(one.effect), floor, *chance, WORDS[one.verdict])
    row = (*own, f"{one.n_current:,}", "; ".join(word for word in (moved(one), one.note) if word))
    return (one.slice, *row) if has_slices else row


def moved(one: ColumnResult) -> str:
    """The bin or category that moved most, in words."""
    worst = one.worst
    if worst is None or worst.reference == worst.current:
        return ""
    if one.test in METRICS:
        return f"{numbers.number(worst.reference)} -> {numbers.number(worst.current)}"
    return f"{clean(worst.label, 30)}: {worst.reference:.1%} -> {worst.current:.1%}"


def _check(report: CheckReport) -> list[str]:
    failed = [one for one in report.findings if one.level == "failure"]
    told = [one for one in report.findings if one.level != "ok"]
    held = len(report.findings) - len(told)
    head = f"{'✖ failed' if failed else '✔ ok'}  {report.rows:,} rows in {numbers.counted(report.files, 'file')}"
    out = [f"{head}  {len(failed)} failed, {held} hold" if failed else f"{head}  {held} checks hold"]
    if told:
        words = {"failure": "✖ failure", "note": "· note"}
        rows = [
            (words[one.level], one.column, one.check, f"{one.count:,}" if one.count else "", one.message)
            for one in told
        ]
        out += ["", *table(("LEVEL", "COLUMN", "CHECK", "COUNT", "FOUND"), rows[:MOST_LINES], {3})]
    if report.suppressed:
        out += ["", f"Not tested for drift because of this: {clean(', '.join(report.suppressed), 500)}"]
    return out


def _definition(one: TestDefinition) -> list[str]:
    pairs = [
        ("takes", one.applies),
        ("effect", f"{one.unit}; floor {one.floor:g}"),
        ("is", one.definition),
        ("p", one.p_value),
        ("source", one.source),
    ]
    return ["", f"{one.name}  {one.summary}", *(f"  {title:7} {text}" for title, text in pairs)]


def state_words(state: MonitorState) -> str:
    """How a monitor stands, in a glyph and words: its alert if it fires, else that not all of its data can be read,
    or that none comes any more, else its newest window's verdict."""
    if state.monitor.trouble and state.alert not in (AlertState.FIRING, AlertState.ACKED):
        return "? trouble"
    if state.silence in (AlertState.FIRING, AlertState.ACKED) and state.alert not in (
        AlertState.FIRING,
        AlertState.ACKED,
    ):
        return "? no new rows"
    if state.alert and state.alert != AlertState.INSUFFICIENT:
        return f"{GLYPHS[AlertState(state.alert)]} {state.alert}"
    return WORDS[state.newest.verdict] if state.newest else "· no window yet"


def _height(window: WindowSummary) -> float:
    """How high a window is drawn, in floors."""
    if window.verdict is Verdict.INSUFFICIENT:
        return float("nan")
    if window.verdict is Verdict.SCHEMA:
        return max(TOP_FLOORS, min(window.worst_weight, MOST_FLOORS))
    return min(window.worst_weight, MOST_FLOORS if window.verdict is Verdict.DRIFT else 1.0)


def course(state: MonitorState, width: int = 30, *, is_ascii: bool = False) -> str:
    """The worst effect of the last windows as a sparkline, in floors; insufficient ones are gaps.

    It begins at 0 and reaches at least twice the floor, and what did not drift is no higher than its floor: an effect
    that chance alone makes in a small window is no alarm. What cannot be compared is as high as twice the floor, and
    nothing is higher than ten times: one window that is far off would flatten all others. ``width`` may be less than
    the windows: then each cell is the worst of its share.
    """
    values = [_height(one) for one in state.windows]
    drawn = sparkline(values, min(width, len(values)), is_ascii=is_ascii, least=0.0, top=TOP_FLOORS)
    return drawn.strip()


def _state(state: MonitorState, now: datetime) -> tuple[str, ...]:
    newest, monitor = state.newest, state.monitor
    worst = (newest.worst, numbers.number(newest.worst_effect), f"{newest.rows:,}") if newest else ("", "", "")
    times = (numbers.ago(monitor.fed_at, now), numbers.ago(monitor.checked_at, now))
    return (monitor.name, state_words(state), course(state), *worst, monitor.window.text, *times)


def _monitor_check(found: MonitorCheck) -> list[str]:
    out = _report(found.report)
    if len(found.windows) > 1:
        out += ["", *_windows(found.windows)]
    return out


def _windows(windows: Sequence[WindowSummary], baselines: Sequence[Baseline] = ()) -> list[str]:
    """A line a window; where there were several baselines, what each was judged against."""
    rows = [
        (w.label, WORDS[w.verdict], f"{w.rows:,}", str(w.drifted), w.worst, numbers.number(w.worst_effect))
        for w in windows[-MOST_LINES:]
    ]
    titles = ("WINDOW", "VERDICT", "ROWS", "DRIFTED", "WORST", "EFFECT")
    if len(baselines) < 2:
        return table(titles, rows, {2, 3, 5})
    against = {one.number: one.source for one in baselines}
    shown = zip(rows, windows[-MOST_LINES:], strict=True)
    return table((*titles, "AGAINST"), [(*row, against.get(w.baseline, "")) for row, w in shown], {2, 3, 5})


def baseline_words(one: Baseline) -> str:
    """What windows are compared with, and who said so."""
    by = f" by {one.set_by}" if one.set_by else ""
    why = f": {one.why}" if one.why else ""
    return f"{one.source}  {one.rows:,} rows  {one.digest[:19]}  since {iso(one.since)}{by}{why}"


def _page(page: MonitorPage, now: datetime) -> list[str]:
    monitor = page.state.monitor
    k, n = monitor.opens
    pairs = [
        ("monitor", monitor.name),
        ("state", state_words(page.state)),
        ("trouble", monitor.trouble),
        ("baseline", baseline_words(monitor.baseline)),
        *(("before", baseline_words(one)) for one in page.baselines[1:MOST_BASELINES]),
        ("live", monitor.live),
        ("windows", f"{monitor.window.text}, {page.state.total:,} judged{_newest(page.state, now)}"),
        ("new rows", _fed(page.state, now)),
        ("rule", f"{k} of {n} bad windows open, {monitor.closes} clean close; level {monitor.rule.level:g}"),
        ("tests", ", ".join(monitor.tests)),
        ("columns", ", ".join(monitor.columns)),
        ("slices", ", ".join(monitor.slices)),
        ("predictions", _predictions(monitor.predictions)),
        ("checked", iso(monitor.checked_at) or "not yet"),
        ("course", course(page.state)),
    ]
    out = [f"{title:12}{clean(text, 2000)}" for title, text in pairs if text]
    if page.state.windows:
        out += ["", *_windows(page.state.windows, page.baselines)]
    return out + (["", *_report(page.report)] if page.report is not None else [])


def _newest(state: MonitorState, now: datetime) -> str:
    """How old the newest data is that was judged: where none comes any more, nothing is found either."""
    return f"; the newest data is of {numbers.ago(state.windows[-1].ended_at, now)}" if state.windows else ""


def _fed(state: MonitorState, now: datetime) -> str:
    """When rows came last, and from when on their silence is an alert."""
    last = f"the last came {numbers.ago(state.fed_at, now)}" if state.monitor.fed_at else "none were seen yet"
    if state.monitor.silence_s == 0:
        return f"{last}; their silence is no alert"
    if state.silent_after_s is None:
        return f"{last}; how often they come is not known yet"
    kind = "three times the longest pause, a day at least" if state.monitor.silence_s is None else "as you said"
    return f"{last}; none for {numbers.duration(state.silent_after_s)} is an alert ({kind})"


def _predictions(asked: Predictions | None) -> str:
    if asked is None:
        return ""
    names = " and ".join(name for name in (asked.prediction, asked.score) if name)
    late = f"; labels in {asked.labels} by {asked.key}, waited for {numbers.duration(asked.within_s)}"
    return f"{names} against {asked.label}{late if asked.labels else ''}"


def _replay(found: Replay) -> list[str]:
    if not found.windows:
        return ["No window was judged yet."]
    bad = [window for window in found.windows if window.verdict in (Verdict.DRIFT, Verdict.SCHEMA)]
    span = numbers.duration(found.span_s)
    out = [f"{clean(found.monitor)}  {len(found.windows):,} windows over {span}, {len(bad):,} are bad", ""]
    rows = [
        (f"x {row.factor:g}", f"{row.drift:,}", f"{row.alerts:,}", numbers.number(row.alerts_per_week))
        for row in found.rows
    ]
    out += table(("FLOORS", "BAD", "ALERTS", "ALERTS A WEEK"), rows, {1, 2, 3})
    return [*out, "", *_windows(bad)] if bad else out
