"""The page of an incident as styled lines."""

from __future__ import annotations

from datetime import datetime

from mlconsole.domain.alerts import Alert, AlertState, Incident, Moment, Severity
from mlconsole.render import numbers
from mlconsole.tui.widgets.line import Span

Lines = list[list[Span]]
TOKENS = {
    AlertState.PENDING: "state.waiting",
    AlertState.FIRING: "state.bad",
    AlertState.ACKED: "warn",
    AlertState.SNOOZED: "state.idle",
    AlertState.RESOLVED: "state.good",
}
SEVERITIES = {Severity.INFO: "dim", Severity.WARNING: "warn", Severity.CRITICAL: "error"}
LABEL = 12


def token_of(alert: Alert) -> str:
    """The colour of an alert's state: what fires and is not critical is amber."""
    if alert.state is AlertState.FIRING and alert.severity is not Severity.CRITICAL:
        return "warn"
    return TOKENS.get(alert.state, "dim")


def head(found: Incident | str, now: datetime) -> Lines:
    """What it is, how bad, since when, and who is at it."""
    if isinstance(found, str):
        return [[(found, "warn")]]
    alert = found.alert
    opened = alert.opened_at or alert.changed_at
    told = f"{alert.source}  {alert.subject}  since {opened:%Y-%m-%d %H:%M:%S} ({numbers.ago(opened, now)})"
    ago = numbers.ago(alert.changed_at, now)
    changed = f"{ago}  {alert.said}" if alert.answers else f"{alert.who}, {ago}: {alert.why}"
    return [
        [(f"{'what':{LABEL}}", "label"), (alert.title, "strong")],
        [(f"{'about':{LABEL}}", "label"), (f"{alert.severity}  ", SEVERITIES[alert.severity]), (told, "value")],
        [(f"{alert.state.value:{LABEL}}", "label"), (changed, "value")],
    ]


def timeline(found: Incident) -> Lines:
    """Everything that happened, the oldest on top."""
    width = max((len(moment.kind) for moment in found.timeline), default=0)
    room = min(LABEL, max((len(moment.who) for moment in found.timeline), default=0))
    out: Lines = []
    day = ""
    for moment in found.timeline:
        if day != (day := f"{moment.at:%Y-%m-%d}"):
            out.append([(day, "label")])
        glyph, token = _mark(moment)
        out.append(
            [
                (f"  {moment.at:%H:%M:%S}  ", "dim"),
                (f"{glyph} ", token),
                (f"{moment.kind:{width}}  ", token),
                (f"{moment.who:{room}}  ", "accent"),
                (moment.words, "value"),
            ]
        )
    return out


MARKS: dict[str, tuple[str, str]] = {
    "alert firing": ("▲", "state.bad"),
    "alert pending": ("◌", "state.waiting"),
    "alert acked": ("△", "warn"),
    "alert snoozed": ("■", "state.idle"),
    "alert resolved": ("✔", "state.good"),
    "alert ok": ("✔", "state.good"),
    "policy held": ("■", "warn"),
    "policy fired": ("●", "state.running"),
    "policy proposed": ("?", "state.waiting"),
    "policy waiting": ("◌", "state.waiting"),
    "policy due": ("◌", "state.waiting"),
    "policy started": ("●", "state.running"),
    "policy done": ("✔", "state.good"),
    "policy failed": ("✖", "state.bad"),
    "policy stuck": ("✖", "state.bad"),
    "drift.opened": ("▲", "state.bad"),
    "check.failed": ("✖", "state.bad"),
    "rollout.failed": ("✖", "state.bad"),
    "rollout.done": ("✔", "state.good"),
    "rollout committed": ("●", "state.running"),
    "gate pass": ("✔", "state.good"),
    "gate fail": ("✖", "state.bad"),
    "gate error": ("▲", "warn"),
    "gate inconclusive": ("?", "warn"),
    "rollout done": ("✔", "state.good"),
    "rollout failed": ("✖", "state.bad"),
    "rollout rolled back": ("✖", "state.bad"),
    "automatic done": ("✔", "state.good"),
}


def _mark(moment: Moment) -> tuple[str, str]:
    if moment.kind == "run.ended":
        return ("✔", "state.good") if "succeeded" in moment.words.split() else ("✖", "state.bad")
    return MARKS.get(moment.kind, ("·", "dim"))


def parts(found: Incident) -> Lines:
    """Its children, the worst first."""
    parts = found.alert.parts
    if not parts:
        return [[("It has no parts: it is about one thing.", "dim")]]
    width = max(len(part.name) for part in parts)
    return [
        [
            (f"  {part.name:{min(width, 40)}}  ", "name"),
            (f"{'' if part.effect is None else numbers.number(part.effect):>10}  ", "strong"),
            (part.words, "value"),
        ]
        for part in parts
    ]


def data(found: Incident) -> Lines:
    """The fields that policies see."""
    alert = found.alert
    told = {"id": alert.id, "cause": alert.cause, **alert.data}
    width = max(len(name) for name in told)
    return [[(f"  {name:{width}}  ", "label"), (str(value), "value")] for name, value in told.items()]
