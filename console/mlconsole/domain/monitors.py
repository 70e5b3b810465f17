"""Monitors: live data in windows, each one compared with a baseline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from mlconsole.domain.drift import DriftReport, Profile, Rule, Verdict
from mlconsole.domain.performance import Predictions
from mlconsole.domain.times import parse_duration
from mlconsole.errors import UsageError
from mlconsole.records import record


class WindowKind(StrEnum):
    """How live data is cut: every so many rows, every so long, or always the newest files."""

    ROWS = "rows"
    TIME = "time"
    LAST = "last"


@record
class WindowSpec:
    """``rows:1000``, ``24h``, ``last:5``; ``size`` is rows, seconds or files."""

    kind: WindowKind
    size: float
    text: str


def window_spec(text: str) -> WindowSpec:
    """The window that a text says.

    Raises:
        UsageError: it says none.
    """
    found = re.fullmatch(r"(rows|last):(\d{1,9})", text.strip())
    if found and int(found[2]) > 0:
        return WindowSpec(WindowKind(found[1]), int(found[2]), text.strip())
    seconds = parse_duration(text) if text.strip()[-1:].isalpha() else None
    if seconds is None or not 60 <= seconds <= 366 * 86_400:
        raise UsageError(f'"{text}" is no window.', "Write rows:1000, 24h (a minute to a year) or last:5.")
    return WindowSpec(WindowKind.TIME, seconds, text.strip())


@record
class Baseline:
    """What windows are compared with, from when on.

    Attributes:
        number: its row; every window says by it what it was judged against.
        source: what it was made from, in words.
        rows: how many rows that had.
        digest: the id of the dataset version or of the files.
        since: from when on it has been the monitor's.
        set_by: who said so; ``policy:NAME`` for a rule.
        why: what for.
    """

    number: int
    source: str
    rows: int
    digest: str
    since: datetime
    set_by: str
    why: str = ""


@record
class Monitor:
    """What is watched, against what, how.

    Attributes:
        number: its row.
        name: what it is called.
        baseline: what new windows are compared with.
        live: the pattern of the live data.
        window: how it is cut.
        time_column: the column of moments that decides the window of a row; empty: the file's time does.
        tests: names of tests, none for one by the kind of column.
        columns: those that are watched, none for all.
        slices: columns whose frequent values are watched on their own.
        expect: a file of expectations that windows are checked against first.
        rule: how verdicts are made.
        every_s: how often it is looked at.
        opens: so many bad ones of so many windows open an alert.
        closes: so many clean windows in a row close it.
        created_at: when it was made.
        created_by: by whom.
        checked_at: when it was last looked at.
        trouble: why the last look failed; empty where it did not.
        predictions: what of the rows is judged, where that is how good predictions are; None where it is drift.
        silence_s: for how long no new rows may come; None for three times the usual, 0 for as long as they like.
        fed_at: when the newest rows were written that were seen; None before the first.
    """

    number: int
    name: str
    baseline: Baseline
    live: str
    window: WindowSpec
    time_column: str
    tests: tuple[str, ...]
    columns: tuple[str, ...]
    slices: tuple[str, ...]
    expect: str
    rule: Rule
    every_s: float
    opens: tuple[int, int]
    closes: int
    created_at: datetime
    created_by: str
    checked_at: datetime | None = None
    trouble: str = ""
    predictions: Predictions | None = None
    silence_s: float | None = None
    fed_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """True when it is time to look again."""
        return self.checked_at is None or (now - self.checked_at).total_seconds() >= self.every_s


@record
class WindowSummary:
    """A window that was judged.

    Attributes:
        key: tells it from the others of its monitor.
        label: which rows, in words.
        began_at: the moment that its data begins, as far as known.
        ended_at: and ends.
        judged_at: when it was looked at.
        rows: how many it has.
        verdict: what came of it.
        drifted: how many columns drifted.
        worst: the column that counts most.
        worst_test: its test.
        worst_effect: its effect.
        worst_weight: that in floors.
        baseline: the number of the baseline that it was judged against.
    """

    key: str
    label: str
    began_at: datetime
    ended_at: datetime
    judged_at: datetime
    rows: int
    verdict: Verdict
    drifted: int = 0
    worst: str = ""
    worst_test: str = ""
    worst_effect: float | None = None
    worst_weight: float = 0.0
    baseline: int = 0


@record
class MonitorState:
    """A monitor and its newest windows, the oldest of them first.

    ``alert`` is the state of its alert, ``silence`` that of the alert that no new rows come; empty for none.
    """

    monitor: Monitor
    windows: tuple[WindowSummary, ...]
    total: int = 0
    alert: str = ""
    silence: str = ""

    @property
    def newest(self) -> WindowSummary | None:
        """The last window that was judged."""
        return self.windows[-1] if self.windows else None

    @property
    def fed_at(self) -> datetime:
        """Since when no new rows have come, as far as was seen: since it was made, where none ever did."""
        return self.monitor.fed_at or (self.newest.ended_at if self.newest else self.monitor.created_at)

    @property
    def silent_after_s(self) -> float | None:
        """From how long a silence on it is too long; None where that is not known, or none ever is."""
        longest = self.monitor.silence_s
        if longest is None:
            longest = usual_silence_s([one.judged_at for one in self.windows], self.monitor.every_s)
        return longest or None


FEWEST_PAUSES = 3
USUAL_PAUSES = 3.0
SHORTEST_SILENCE_S = 86_400.0


def usual_silence_s(judged: Sequence[datetime], every_s: float) -> float | None:
    """Three times the longest pause between windows that came while it was watched, a day at the least.

    A night, and from the second week on a weekend, are pauses like others. Windows that were judged in one look, as
    those that lay there when it began, tell nothing. None where there were too few pauses to know.
    """
    pauses = [(after - before).total_seconds() for before, after in pairwise(sorted(judged))]
    pauses = [pause for pause in pauses if pause >= every_s / 2]
    return max(SHORTEST_SILENCE_S, USUAL_PAUSES * max(pauses)) if len(pauses) >= FEWEST_PAUSES else None


@record
class MonitorPage:
    """A monitor with what its newest window found.

    ``baseline`` and ``current`` are the counts that were compared then; ``baselines`` all that it has had, the newest
    first.
    """

    state: MonitorState
    report: DriftReport | None
    baseline: Profile | None = None
    current: Profile | None = None
    baselines: tuple[Baseline, ...] = ()

    @property
    def against(self) -> str:
        """What the newest window was judged against, in words."""
        newest = self.state.newest
        wanted = self.state.monitor.baseline.number if newest is None else newest.baseline
        return next((one.source for one in self.baselines if one.number == wanted), "")


@record
class MonitorCheck:
    """What a look at a monitor found: the report of its newest window, and the windows that were judged now.

    ``waiting`` rows do not fill a window yet; ``unread`` says which files could not be read, or not whole, and why.
    """

    report: DriftReport
    windows: tuple[WindowSummary, ...] = ()
    waiting: int = 0
    unread: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """True when a window that was judged now, or the newest one, has something, or a file could not be read."""
        bad = (Verdict.DRIFT, Verdict.SCHEMA)
        return self.report.failed or bool(self.unread) or any(window.verdict in bad for window in self.windows)


@record
class ReplayRow:
    """Stored windows judged with floors times ``factor``: how many are bad, and how often an alert would open."""

    factor: float
    level: float
    windows: int
    drift: int
    alerts: int
    alerts_per_week: float | None


@record
class Replay:
    """The windows of a monitor judged anew: by themselves, and by other thresholds."""

    monitor: str
    windows: tuple[WindowSummary, ...]
    rows: tuple[ReplayRow, ...]
    span_s: float


def openings(bad: list[bool], opens: tuple[int, int], closes: int) -> int:
    """How many alerts these windows open: k bad ones of the last n open one, m clean ones in a row close it."""
    k, n = opens
    count, is_open, clean, recent = 0, False, 0, [False] * n
    for one in bad:
        recent = [*recent[1:], one]
        clean = 0 if one else clean + 1
        if is_open and clean >= closes:
            is_open, recent = False, [False] * n
        elif not is_open and sum(recent) >= k:
            is_open = True
            count += 1
    return count
