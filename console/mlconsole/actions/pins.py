"""What may not be moved in an environment: pins, until somebody takes them out, and freezes, until they end."""

from __future__ import annotations

import shlex
from datetime import timedelta

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.environments import AXES, NameParams, moment_of, name_of, refuse_stranger
from mlconsole.catalog.environments import put_freeze, put_pin, take_pin, thaw
from mlconsole.domain.contracts import Axis
from mlconsole.domain.environments import Freeze, Pin
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done
from mlconsole.domain.times import parse_duration
from mlconsole.errors import NotFound, UsageError
from mlconsole.records import record


@record
class PinParams:
    """What may not change, and why."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="NAME")
    axis: str | None = param(None, help="this part alone, instead of all", choices=AXES, asked=True)
    reason: str = param("", help="why, for those who ask later", metavar="TEXT")


def plan_pin(ctx: Context, params: PinParams) -> Plan:
    """What would stay."""
    environment = ctx.catalog.environments.get(params.name)
    release = environment.release
    member = release.members.get(Axis(params.axis)) if release and params.axis else None
    what = f"{params.axis} {member.label if member else ''}".strip() if params.axis else "everything"
    words = ["mlconsole", "env", "pin", params.name, *([f"--axis={params.axis}"] if params.axis else [])]
    words += [f"--reason={params.reason}"] if params.reason else []
    step = Step(f"let no rollout change {what} of {params.name}", params.name)
    return Plan("env pin", Effect.WRITE, (step,), command=shlex.join(words))


def pin(ctx: Context, params: PinParams) -> Done:
    """Let an environment, or one axis of it, stay as it is."""
    environment = ctx.catalog.environments.get(params.name)
    refuse_stranger(ctx, environment)
    new = Pin(Axis(params.axis) if params.axis else None, ctx.settings.user, ctx.clock(), params.reason)
    ctx.write(lambda db: put_pin(db, environment.number, new), durable=True)
    return Done("pin", f"{environment.name}: {new.words}.", fields={"environment": params.name, "axis": params.axis})


@record
class UnpinParams:
    """What may change again."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="NAME")
    axis: str | None = param(
        None, help="this part alone, instead of what was pinned as a whole", choices=AXES, asked=True
    )


def plan_unpin(ctx: Context, params: UnpinParams) -> Plan:
    """What would be free."""
    environment = ctx.catalog.environments.get(params.name)
    words = ["mlconsole", "env", "unpin", params.name, *([f"--axis={params.axis}"] if params.axis else [])]
    step = Step(f"let rollouts change {params.axis or 'everything'} of {environment.name} again", environment.name)
    return Plan("env unpin", Effect.WRITE, (step,), command=shlex.join(words))


def unpin(ctx: Context, params: UnpinParams) -> Done:
    """Let what was pinned change again.

    Raises:
        NotFound: it was not pinned.
    """
    environment = ctx.catalog.environments.get(params.name)
    refuse_stranger(ctx, environment)
    axis = Axis(params.axis) if params.axis else None
    if not ctx.write(lambda db: take_pin(db, environment.number, axis), durable=True):
        what = f"{params.axis} of " if params.axis else ""
        raise NotFound(f'{what}"{environment.name}" is not pinned.', f"See: mlconsole env show {environment.name}")
    return Done("pin", f"{environment.name}: {params.axis or 'everything'} may change again.")


@record
class FreezeParams:
    """For how long, and why."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="NAME")
    until: str | None = param(
        None, help="when it ends: a duration from now, or a date and time", metavar="TIME", asked=True
    )
    since: str = param("now", help="when it begins: a date and time", metavar="TIME")
    reason: str = param("", help="why, for those who ask later", metavar="TEXT")


def freeze_of(ctx: Context, params: FreezeParams) -> Freeze:
    """The freeze that the params say.

    Raises:
        UsageError: it has no end, or ends before it begins.
    """
    if not params.until:
        raise UsageError("Until when?", "Say it: --until 8h, or --until 2026-12-28T08:00")
    now = ctx.clock()
    since = moment_of(ctx, params.since)
    span = parse_duration(params.until)
    until = now + timedelta(seconds=span) if span is not None and span < 1e9 else moment_of(ctx, params.until)
    if until <= max(since, now):
        raise UsageError(f'"{params.until}" is not after the begin.', "Write --until 8h.")
    return Freeze(0, since, until, ctx.settings.user, params.reason)


def plan_freeze(ctx: Context, params: FreezeParams) -> Plan:
    """When nothing would move."""
    environment, new = ctx.catalog.environments.get(params.name), freeze_of(ctx, params)
    step = Step(
        f"{environment.name}: {new.words_at(ctx.clock())}; what goes back by itself, or with --override, still may",
        params.name,
    )
    words = ["mlconsole", "env", "freeze", params.name, f"--until={params.until}", f"--since={params.since}"]
    words += [f"--reason={params.reason}"] if params.reason else []
    return Plan("env freeze", Effect.WRITE, (step,), command=shlex.join(words))


def freeze(ctx: Context, params: FreezeParams) -> Done:
    """Let nobody move an environment for a time."""
    environment, new = ctx.catalog.environments.get(params.name), freeze_of(ctx, params)
    refuse_stranger(ctx, environment)
    ctx.write(lambda db: put_freeze(db, environment.number, new), durable=True)
    return Done("freeze", f"{environment.name} is {new.words_at(ctx.clock())}.", fields={"environment": params.name})


def plan_thaw(ctx: Context, params: NameParams) -> Plan:
    """What would end."""
    environment = ctx.catalog.environments.get(params.name)
    found = ctx.catalog.environments.freezes(environment.number, ctx.clock())
    steps = tuple(Step(f"end it: {one.words_at(ctx.clock())}", environment.name) for one in found)
    return Plan("env thaw", Effect.WRITE, steps, command=shlex.join(["mlconsole", "env", "thaw", params.name]))


def thaw_(ctx: Context, params: NameParams) -> Done:
    """End the freezes of an environment, and those to come.

    Raises:
        NotFound: there is none.
    """
    environment = ctx.catalog.environments.get(params.name)
    refuse_stranger(ctx, environment)
    if not ctx.write(lambda db: thaw(db, environment.number, ctx.clock()), durable=True):
        raise NotFound(f'"{environment.name}" is not frozen.', f"See: mlconsole env show {environment.name}")
    return Done("freeze", f"{environment.name} may be moved again.", fields={"environment": params.name})


PIN = Action("env pin", "Let an environment stay as it is", PinParams, Effect.WRITE, pin, plan_pin, target=name_of)
UNPIN = Action(
    "env unpin", "Let what was pinned change again", UnpinParams, Effect.WRITE, unpin, plan_unpin, target=name_of
)
FREEZE = Action(
    "env freeze",
    "Let nobody move an environment for a time",
    FreezeParams,
    Effect.WRITE,
    freeze,
    plan_freeze,
    target=name_of,
    examples=("mlconsole env freeze prod --until 8h --reason 'quarter end'",),
)
THAW = Action(
    "env thaw", "End the freezes of an environment", NameParams, Effect.WRITE, thaw_, plan_thaw, target=name_of
)
