"""Alerts: list them, look at one with its timeline, say that somebody is at it, put one off."""

from __future__ import annotations

import shlex
from datetime import timedelta

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.incident import incident
from mlconsole.catalog.alerts import SHOWN, answer
from mlconsole.domain.alerts import Alert, AlertState, AlertStep, Incident, as_of
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Listing
from mlconsole.domain.times import parse_duration
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record

LONGEST_SNOOZE_S = 30 * 86_400


@record
class ListParams:
    """Which alerts."""

    all: bool = param(False, help="also those that are over, and what is well or cannot be judged")
    limit: int = param(200, help="the most to show", metavar="N")


def list_alerts(ctx: Context, params: ListParams) -> Listing[Alert]:
    """Alerts, the newest first."""
    states = tuple(AlertState) if params.all else SHOWN
    found = ctx.catalog.alerts.listed(states, max(1, params.limit))
    return Listing("alert", [as_of(alert, ctx.clock()) for alert in found])


@record
class ShowParams:
    """Which one."""

    alert: str = param(help="its id or the begin of it", positional=True, metavar="ALERT", cursor="alert")


def show(ctx: Context, params: ShowParams) -> Incident:
    """One alert with its timeline."""
    return incident(ctx, as_of(ctx.catalog.alerts.get(params.alert), ctx.clock()))


@record
class AckParams:
    """Which one, and what about it."""

    alert: str = param(help="its id or the begin of it", positional=True, metavar="ALERT", cursor="alert")
    why: str = param("", help="what is being done about it", metavar="TEXT")


def plan_ack(ctx: Context, params: AckParams) -> Plan:
    """What would be said."""
    alert = ctx.catalog.alerts.get(params.alert)
    command = shlex.join(["mlconsole", "alert", "ack", alert.id, *([f"--why={params.why}"] if params.why else [])])
    step = Step(f'say that you are at it: "{alert.title}"; it is told again only when it gets worse', alert.id)
    return Plan("alert ack", Effect.WRITE, (step,), command=command)


def ack(ctx: Context, params: AckParams) -> Alert:
    """Say that somebody is at it.

    Raises:
        ActionFailed: it does not fire.
    """
    return _answer(ctx, params.alert, AlertStep(AlertState.ACKED, params.why or "acknowledged"), None)


@record
class SnoozeParams:
    """Which one, and for how long."""

    alert: str = param(help="its id or the begin of it", positional=True, metavar="ALERT", cursor="alert")
    time: str = param("1h", help="for how long, as in 30m or 8h", positional=True, metavar="DURATION")
    why: str = param("", help="why it can wait", metavar="TEXT")


def _seconds(params: SnoozeParams) -> float:
    seconds = parse_duration(params.time)
    if seconds is None or not 0 < seconds <= LONGEST_SNOOZE_S:
        raise UsageError(f'"{params.time}" is no time to snooze for.', "Write 30m or 8h, 30 days at the most.")
    return seconds


def plan_snooze(ctx: Context, params: SnoozeParams) -> Plan:
    """What would be put off."""
    alert, until = ctx.catalog.alerts.get(params.alert), ctx.clock() + timedelta(seconds=_seconds(params))
    words = ["mlconsole", "alert", "snooze", alert.id, params.time, *([f"--why={params.why}"] if params.why else [])]
    step = Step(f'be silent about "{alert.title}" until {until:%Y-%m-%d %H:%M} UTC, unless it gets worse', alert.id)
    return Plan("alert snooze", Effect.WRITE, (step,), command=shlex.join(words))


def snooze(ctx: Context, params: SnoozeParams) -> Alert:
    """Put an alert off; it fires again when the time is over and it still is so.

    Raises:
        ActionFailed: it does not fire.
    """
    seconds = _seconds(params)
    why = f"for {params.time}{': ' if params.why else ''}{params.why}"
    return _answer(ctx, params.alert, AlertStep(AlertState.SNOOZED, why), seconds)


def _answer(ctx: Context, word: str, step: AlertStep, seconds: float | None) -> Alert:
    alert, now = ctx.catalog.alerts.get(word), ctx.clock()
    if not alert.state.is_open:
        raise ActionFailed(f'The alert "{alert.id}" is {alert.state}, it does not fire.', "See: mlconsole alert list")
    until = None if seconds is None else now + timedelta(seconds=seconds)
    ctx.write(lambda db: answer(db, alert, step, now, ctx.settings.user, until), durable=True)
    return ctx.catalog.alerts.get(alert.id)


LIST = Action("alert list", "List alerts", ListParams, Effect.READ, list_alerts)
SHOW = Action("alert show", "Show an alert with its timeline", ShowParams, Effect.READ, show)
ACK = Action(
    "alert ack",
    "Say that you are at an alert",
    AckParams,
    Effect.WRITE,
    ack,
    plan_ack,
    target=lambda p: p.alert,
    key="A",
)
SNOOZE = Action(
    "alert snooze",
    "Put an alert off for a while",
    SnoozeParams,
    Effect.WRITE,
    snooze,
    plan_snooze,
    target=lambda p: p.alert,
    key="Z",
)
