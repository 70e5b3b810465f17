"""Alerts: when something that was seen becomes one, and when it is over. Pure: looks and moments in, steps out.

An alert opens when k of the last n looks were bad, and closes when m looks in a row were clean, each below the lower
bar, and nothing was bad for the cool-down. So what flaps is one incident. Too little to judge by says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from mlconsole.records import field, record, replace


class AlertState(StrEnum):
    """Where an alert is. ``OK`` and ``INSUFFICIENT`` are not shown unless asked for."""

    OK = "ok"
    INSUFFICIENT = "insufficient"
    PENDING = "pending"
    FIRING = "firing"
    ACKED = "acked"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"

    @property
    def is_open(self) -> bool:
        """True while it is an incident: it has fired and is not over."""
        return self in (AlertState.FIRING, AlertState.ACKED, AlertState.SNOOZED)


SNOOZE_OVER = "its snooze is over, and it still is so"


class Severity(StrEnum):
    """How bad it is, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """For comparing."""
        return list(Severity).index(self)


class Verdict(StrEnum):
    """What one look says. ``BETWEEN``: below the bar that opens, above the one that closes."""

    BAD = "bad"
    BETWEEN = "between"
    CLEAN = "clean"
    INSUFFICIENT = "insufficient"


LETTERS = {Verdict.BAD: "b", Verdict.BETWEEN: "-", Verdict.CLEAN: "c"}


@record
class AlertRules:
    """When to open and when to close.

    Attributes:
        k: so many of the last ``n`` looks must be bad to open.
        n: how many looks back count.
        m: so many looks in a row must be clean to close.
        cool_down_s: and so long must nothing have been bad.
    """

    k: int = 1
    n: int = 1
    m: int = 1
    cool_down_s: float = 600.0


ONCE = AlertRules(cool_down_s=0.0)


@record
class Part:
    """A child of an alert, as one column of a dataset: told with its parent, never by itself."""

    name: str
    words: str
    effect: float | None = None


@record
class Signal:
    """One look at one possible cause of an alert.

    Attributes:
        cause: what makes two looks the same incident, as ``monitor:churn``.
        source: what says so: ``run``, ``gpu``, ``budget``, ``environment``, ``endpoint``, ``monitor``, ``check``.
        subject: what it is about, as events name it.
        verdict: what the look says.
        title: in one line, without the subject's markup or colours.
        severity: how bad it is while it is bad.
        parts: its children.
        data: fields for the event and for policies.
        rules: when it opens and closes.
        opens: a further kind of event that is emitted when it opens, as ``drift.opened``.
    """

    cause: str
    source: str
    subject: str
    verdict: Verdict
    title: str
    severity: Severity = Severity.WARNING
    parts: tuple[Part, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    rules: AlertRules = ONCE
    opens: str = ""


@record
class Track:
    """What is remembered of a cause between looks.

    Attributes:
        state: where it is.
        looks: the last looks, the newest at the end, a letter each.
        clean: how many in a row were clean.
        severity: how bad it was at its worst since it opened.
        bad_at: when it was last bad.
        until: the end of a snooze.
    """

    state: AlertState = AlertState.OK
    looks: str = ""
    clean: int = 0
    severity: Severity = Severity.INFO
    bad_at: datetime | None = None
    until: datetime | None = None


@record
class AlertStep:
    """A change of state, and why."""

    state: AlertState
    why: str


def follow(track: Track, signal: Signal, now: datetime) -> tuple[Track, AlertStep | None]:
    """What is known after one more look, and the change of state that it brings, if any."""
    if signal.verdict is Verdict.INSUFFICIENT:
        if track.state in (AlertState.OK, AlertState.PENDING):
            return _to(
                replace(track, looks="", clean=0), AlertState.INSUFFICIENT, f"too little to judge by: {signal.title}"
            )
        return track, None
    track = _remember(track, signal, now)
    if not track.state.is_open:
        return _closed(track, signal)
    if signal.verdict is Verdict.BAD:
        return _still_bad(track, signal, now)
    if track.clean >= signal.rules.m and _is_cool(track, signal, now):
        times = f"{track.clean} clean looks" if track.clean > 1 else "a clean look"
        return _to(Track(severity=track.severity, bad_at=track.bad_at), AlertState.RESOLVED, f"{times}: {signal.title}")
    return track, None


def _remember(track: Track, signal: Signal, now: datetime) -> Track:
    looks = (track.looks + LETTERS[signal.verdict])[-max(signal.rules.n, 1) :]
    clean = track.clean + 1 if signal.verdict is Verdict.CLEAN else 0
    bad_at = now if signal.verdict is Verdict.BAD else track.bad_at
    if bad_at is not None and bad_at > now:
        bad_at = now  # The clock was set back: what is left of the cool-down begins anew, and is never longer.
    return replace(track, looks=looks, clean=clean, bad_at=bad_at)


def _closed(track: Track, signal: Signal) -> tuple[Track, AlertStep | None]:
    bad, rules = track.looks.count("b"), signal.rules
    if bad >= rules.k:
        opened = replace(track, severity=signal.severity, until=None)
        return _to(opened, AlertState.FIRING, f"{_share(bad, rules)}{signal.title}")
    if bad:
        if track.state is AlertState.PENDING:
            return track, None
        return _to(track, AlertState.PENDING, f"{bad} bad of the {rules.k} in {rules.n} that it takes: {signal.title}")
    if track.state in (AlertState.OK, AlertState.RESOLVED):
        return track, None
    return _to(track, AlertState.OK, f"nothing bad any more: {signal.title}")


def _share(bad: int, rules: AlertRules) -> str:
    return f"{bad} of the last {rules.n} looks were bad: " if rules.n > 1 else ""


def _still_bad(track: Track, signal: Signal, now: datetime) -> tuple[Track, AlertStep | None]:
    if signal.severity.rank > track.severity.rank:
        worse = replace(track, severity=signal.severity, until=None)
        return _to(worse, AlertState.FIRING, f"it has become {signal.severity}: {signal.title}")
    return wake(track, now)


def wake(track: Track, now: datetime) -> tuple[Track, AlertStep | None]:
    """The end of a snooze, when it has come."""
    if track.state is AlertState.SNOOZED and track.until is not None and now >= track.until:
        return _to(replace(track, until=None), AlertState.FIRING, SNOOZE_OVER)
    return track, None


def _is_cool(track: Track, signal: Signal, now: datetime) -> bool:
    return track.bad_at is None or now - track.bad_at >= timedelta(seconds=signal.rules.cool_down_s)


def _to(track: Track, state: AlertState, why: str) -> tuple[Track, AlertStep | None]:
    return replace(track, state=state), AlertStep(state, why)


@record
class AlertChange:
    """One change of an alert: when, to what, by whom and why."""

    at: datetime
    state: AlertState
    who: str
    why: str


@record
class Alert:
    """An alert as it stands.

    Attributes:
        number: the catalog's own key, in the order of opening.
        id: what people call it by.
        cause: what it is one incident of.
        source: what says so.
        subject: what it is about.
        title: in one line.
        state: where it is.
        severity: how bad it was at its worst.
        opened_at: when it fired first; None while it has not.
        changed_at: when its state last changed.
        resolved_at: when it was over.
        until: the end of a snooze.
        who: who changed it last.
        why: and why.
        parts: its children, the worst first.
        data: what the last look told.
        answers: what people have said to it since it fired last, the oldest first; one does not replace another.
    """

    number: int
    id: str
    cause: str
    source: str
    subject: str
    title: str
    state: AlertState
    severity: Severity
    opened_at: datetime | None
    changed_at: datetime
    resolved_at: datetime | None = None
    until: datetime | None = None
    who: str = ""
    why: str = ""
    parts: tuple[Part, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[AlertChange, ...] = ()

    @property
    def said(self) -> str:
        """What people have said to it, the last first; what its last change told where nobody has."""
        words = [f"{one.who}: {one.why}" for one in reversed(self.answers)]
        return "; ".join(dict.fromkeys(words)) or self.why

    @property
    def people(self) -> str:
        """Who is at it, the last to say so first; empty where nobody is."""
        return ", ".join(dict.fromkeys(one.who for one in reversed(self.answers)))


def as_of(alert: Alert, now: datetime) -> Alert:
    """An alert as it stands at a moment: a snooze that is over is none, whether anybody has said so or not."""
    if alert.state is AlertState.SNOOZED and alert.until is not None and now >= alert.until:
        return replace(alert, state=AlertState.FIRING, until=None, why=SNOOZE_OVER, answers=())
    return alert


@record
class Moment:
    """One line of an incident's timeline: an event, an alert's change, a policy's firing, an audit row."""

    at: datetime
    kind: str
    who: str
    words: str


@record
class Incident:
    """An alert with all that happened about it, the oldest first."""

    alert: Alert
    timeline: tuple[Moment, ...]
