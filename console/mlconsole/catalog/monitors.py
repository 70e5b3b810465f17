"""Monitors and the windows that were judged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from mlconsole.catalog import performance_counts
from mlconsole.catalog.alerts import end_of_cause
from mlconsole.catalog.profiles import packed, packed_report, unpacked, unpacked_report
from mlconsole.catalog.rows import EPOCH, json_mapping, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.drift import DriftReport, Profile, Rule, Verdict
from mlconsole.domain.monitors import Baseline, Monitor, MonitorState, WindowSummary, window_spec
from mlconsole.domain.performance import PerformanceProfile, Predictions
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, NotFound

BASELINE = "b.n, b.source, b.row_count, b.digest, b.since_us, b.set_by, b.why"
SELECT = f"""
SELECT m.n, m.name, m.live, m.cut, m.how, m.every_us, m.created_us, m.created_by, m.checked_us, m.trouble,
       m.fed_us, {BASELINE}
FROM monitor AS m
JOIN monitor_baseline AS b ON b.n = (SELECT max(n) FROM monitor_baseline WHERE monitor = m.n)
"""
INSERT = """
INSERT INTO monitor (name, live, cut, how, every_us, created_us, created_by)
VALUES (:name, :live, :cut, :how, :every, :now, :by)
"""
INSERT_BASELINE = """
INSERT INTO monitor_baseline (monitor, source, row_count, digest, profile, since_us, set_by, why)
VALUES (:monitor, :source, :rows, :digest, :profile, :now, :by, :why)
"""
SELECT_ALL = f"{SELECT} ORDER BY m.name"
SELECT_NAMED = f"{SELECT} WHERE m.name = :name"
SELECT_BASELINES = f"SELECT {BASELINE} FROM monitor_baseline AS b WHERE b.monitor = :n ORDER BY b.n DESC"
SELECT_PROFILE = "SELECT profile FROM monitor_baseline WHERE n = :n"
SELECT_PROGRESS = "SELECT progress FROM monitor WHERE n = :n"
DELETE = "DELETE FROM monitor WHERE n = :n"
LOOKED = """
UPDATE monitor SET checked_us = :now, trouble = :trouble, fed_us = max(coalesce(fed_us, :fed), coalesce(:fed, fed_us))
WHERE n = :n
"""
MOVE = "UPDATE monitor SET progress = :progress WHERE n = :n"
SUMMARY = """key, label, began_us, ended_us, judged_us, row_count, verdict, drifted, worst, worst_test, worst_effect,
             worst_weight, baseline"""
INSERT_WINDOW = f"""
INSERT INTO monitor_window (monitor, {SUMMARY}, report, counts)
VALUES (:n, :key, :label, :began, :ended, :judged, :rows, :verdict, :drifted, :worst, :test, :effect, :weight,
        :baseline, :report, :counts)
ON CONFLICT DO NOTHING
"""
SELECT_NEWEST = f"""
SELECT {SUMMARY} FROM monitor_window WHERE monitor = :n ORDER BY n DESC LIMIT :limit
"""
COUNT = "SELECT count(*) FROM monitor_window WHERE monitor = :n"
SELECT_REPORT = """
SELECT report, counts, key, label, row_count, baseline FROM monitor_window WHERE monitor = :n ORDER BY n DESC LIMIT 1
"""
SELECT_COUNTS = f"SELECT {SUMMARY}, counts FROM monitor_window WHERE monitor = :n ORDER BY n"
SELECT_KEYS = "SELECT key, row_count FROM monitor_window WHERE monitor = :n"
SELECT_ALERT = """
SELECT state FROM alert WHERE cause = :cause AND state NOT IN ('resolved', 'ok') ORDER BY n DESC LIMIT 1
"""


SILENT = ":silent"
UNREADABLE = ":unreadable"
"""Behind a monitor's own cause: that its live data brings no new rows, and that it cannot be read."""


class NewMonitor(NamedTuple):
    """What is about to be kept."""

    name: str
    profile: Profile | PerformanceProfile
    live: str
    window: str
    how: Mapping[str, Any]
    every_s: float
    at: datetime
    by: str


class NewBaseline(NamedTuple):
    """What windows are to be compared with from now on."""

    profile: Profile | PerformanceProfile
    at: datetime
    by: str
    why: str = ""


class StoredWindow(NamedTuple):
    """A judged window as it is kept; ``baseline`` is the number of what it was judged against."""

    report: DriftReport
    counts: bytes
    key: str
    label: str
    rows: int
    baseline: int


class JudgedWindow(NamedTuple):
    """A window that was judged, with its counts."""

    summary: WindowSummary
    report: DriftReport
    counts: bytes


def put_monitor(db: sqlite3.Connection, new: NewMonitor) -> None:
    """Keep a monitor, inside a write transaction.

    Raises:
        ActionFailed: there is one of that name.
    """
    row = {
        "name": storable(new.name),
        "live": storable(new.live),
        "cut": new.window,
        "how": json.dumps(new.how),
        "every": round(new.every_s * 1e6),
        "now": to_us(new.at),
        "by": storable(new.by),
    }
    try:
        number = db.execute(INSERT, row).lastrowid
    except sqlite3.IntegrityError:
        hint = f"Another baseline: mlconsole monitor rebaseline {new.name} --baseline DATA"
        raise ActionFailed(f'There is a monitor "{new.name}" already.', hint) from None
    assert number is not None
    put_baseline(db, number, NewBaseline(new.profile, new.at, new.by))


def put_baseline(db: sqlite3.Connection, monitor: int, new: NewBaseline) -> None:
    """Keep what a monitor's windows are compared with from now on; those that were judged keep their own."""
    own = new.profile
    row = {
        "monitor": monitor,
        "source": storable(new.profile.source),
        "rows": new.profile.rows,
        "digest": new.profile.digest,
        "profile": packed(own) if isinstance(own, Profile) else performance_counts.packed(own),
        "now": to_us(new.at),
        "by": storable(new.by),
        "why": storable(new.why),
    }
    db.execute(INSERT_BASELINE, row)


def remove_monitor(db: sqlite3.Connection, monitor: Monitor, at: datetime, who: str) -> None:
    """Take a monitor and its windows away; its alerts are over, for nobody would ever look again."""
    db.execute(DELETE, {"n": monitor.number})
    for end in ("", SILENT, UNREADABLE):
        end_of_cause(db, f"monitor:{monitor.name}{end}", "the monitor was taken away", at, who)


def note_look(
    db: sqlite3.Connection, monitor: Monitor, at: datetime, trouble: str = "", fed_at: datetime | None = None
) -> None:
    """Note that a monitor was looked at, why in vain, and when the newest rows were written that were seen."""
    fed = None if fed_at is None else to_us(fed_at)
    db.execute(LOOKED, {"n": monitor.number, "now": to_us(at), "trouble": storable(trouble), "fed": fed})


def note_progress(db: sqlite3.Connection, monitor: Monitor, progress: Mapping[str, Any]) -> None:
    """Keep what is known of files whose rows are judged: they need not be read again."""
    db.execute(MOVE, {"n": monitor.number, "progress": json.dumps(progress)})


def keep_window(db: sqlite3.Connection, monitor: Monitor, window: JudgedWindow, progress: Mapping[str, Any]) -> bool:
    """Keep a judged window and how far the live data was read; False when another process judged it before."""
    summary = window.summary
    row = {
        "n": monitor.number,
        "key": storable(summary.key),
        "label": storable(summary.label),
        "began": to_us(summary.began_at),
        "ended": to_us(summary.ended_at),
        "judged": to_us(summary.judged_at),
        "rows": summary.rows,
        "verdict": summary.verdict.value,
        "drifted": summary.drifted,
        "worst": storable(summary.worst),
        "test": summary.worst_test,
        "effect": summary.worst_effect,
        "weight": summary.worst_weight,
        "baseline": monitor.baseline.number,
        "report": packed_report(window.report),
        "counts": window.counts,
    }
    is_new = db.execute(INSERT_WINDOW, row).rowcount > 0
    if is_new and progress:
        note_progress(db, monitor, progress)
    return is_new


class Monitors:
    """The monitors of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Monitor]:
        """Every monitor."""
        return [_monitor(row) for row in self._store.read(SELECT_ALL)]

    def get(self, name: str) -> Monitor:
        """The monitor of that name.

        Raises:
            NotFound: there is none.
        """
        rows = self._store.read(SELECT_NAMED, {"name": storable(name)})
        if not rows:
            raise NotFound(f'No monitor "{name}" in this catalog.', "List them: mlconsole monitor list")
        return _monitor(rows[0])

    def profile(self, baseline: int) -> Profile:
        """The counts of a baseline."""
        return unpacked(self._store.read(SELECT_PROFILE, {"n": baseline})[0][0])

    def performance(self, baseline: int) -> PerformanceProfile:
        """The counts of a baseline of a monitor of performance."""
        return performance_counts.unpacked(self._store.read(SELECT_PROFILE, {"n": baseline})[0][0])

    def baselines(self, monitor: Monitor) -> tuple[Baseline, ...]:
        """All baselines that it has had, the newest first."""
        return tuple(_baseline(row) for row in self._store.read(SELECT_BASELINES, {"n": monitor.number}))

    def progress(self, monitor: Monitor) -> dict[str, Any]:
        """How far its live data was read."""
        return json_mapping(self._store.read(SELECT_PROGRESS, {"n": monitor.number})[0][0])

    def judged_rows(self, monitor: Monitor) -> dict[str, int]:
        """The keys of its windows, and how many rows each had."""
        return {str(key): int(rows) for key, rows in self._store.read(SELECT_KEYS, {"n": monitor.number})}

    def state(self, monitor: Monitor, limit: int = 30) -> MonitorState:
        """The monitor with its newest windows and its alert."""
        rows = self._store.read(SELECT_NEWEST, {"n": monitor.number, "limit": limit})
        total = int(self._store.read(COUNT, {"n": monitor.number})[0][0])
        windows = tuple(_summary(row) for row in reversed(rows))
        alert, silence = (self._alert(f"monitor:{monitor.name}{end}") for end in ("", SILENT))
        return MonitorState(monitor, windows, total, alert, silence)

    def _alert(self, cause: str) -> str:
        """The state of the alert of a cause that is not over; empty for none."""
        found = self._store.read(SELECT_ALERT, {"cause": storable(cause)})
        return str(found[0][0]) if found else ""

    def newest(self, monitor: Monitor) -> StoredWindow | None:
        """The newest window; None before the first."""
        rows = self._store.read(SELECT_REPORT, {"n": monitor.number})
        if not rows:
            return None
        report, counts, *words, count, baseline = rows[0]
        key, label = map(str, words)
        return StoredWindow(unpacked_report(report), bytes(counts), key, label, int(count), int(baseline))

    def counts(self, monitor: Monitor) -> list[tuple[WindowSummary, bytes]]:
        """Every window with its counts, in order."""
        return [(_summary(row[:-1]), bytes(row[-1])) for row in self._store.read(SELECT_COUNTS, {"n": monitor.number})]


def _monitor(row: Row) -> Monitor:
    n, name, live, cut, how, every, created, by, checked, trouble, fed, *baseline = row
    own = json_mapping(how)

    def names(key: str) -> tuple[str, ...]:
        return tuple(str(one) for one in own.get(key, ()))

    opens: Sequence[int] = own.get("opens", (1, 1))
    floors = tuple((str(test), float(value)) for test, value in own.get("floors", ()))
    rule = Rule(level=float(own.get("level", 0.01)), floors=floors)
    return Monitor(
        n,
        str(name),
        _baseline(baseline),
        str(live),
        window_spec(str(cut)),
        str(own.get("time", "")),
        names("tests"),
        names("columns"),
        names("slices"),
        str(own.get("expect", "")),
        rule,
        every / 1e6,
        (int(opens[0]), int(opens[1])),
        int(own.get("closes", 1)),
        moment(created) or EPOCH,
        str(by),
        moment(checked),
        str(trouble),
        None if own.get("predictions") is None else Predictions(**own["predictions"]),
        None if own.get("silence_s") is None else float(own["silence_s"]),
        moment(fed),
    )


def _baseline(row: Sequence[Any]) -> Baseline:
    n, source, rows, digest, since, by, why = row
    return Baseline(n, str(source), rows, str(digest), moment(since) or EPOCH, str(by), str(why))


def _summary(row: Row) -> WindowSummary:
    key, label, began, ended, judged, rows, verdict, drifted, worst, test, effect, weight, baseline = row
    times = (moment(began) or EPOCH, moment(ended) or EPOCH, moment(judged) or EPOCH)
    found = Verdict(verdict) if verdict in list(Verdict) else Verdict.INSUFFICIENT
    head = (str(key), str(label), *times, rows, found, drifted)
    return WindowSummary(*head, str(worst), str(test), effect, weight, int(baseline))
