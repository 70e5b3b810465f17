"""Environments: making, listing, showing and comparing them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from datetime import datetime

from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.actions.looking import look
from mlconsole.actions.names import parse_pairs
from mlconsole.actions.people import groups
from mlconsole.actions.preflight import refusal
from mlconsole.actions.sync import refresh
from mlconsole.catalog.environments import put_environment, set_environment
from mlconsole.domain.contracts import Axis
from mlconsole.domain.environments import Environment, EnvironmentPage, Move, may_move, standing_of
from mlconsole.domain.gates import Gate, gate_of
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.releases import Release, ReleaseDiff, compare_releases
from mlconsole.domain.results import Listing
from mlconsole.domain.rollouts import Rollout
from mlconsole.domain.times import parse_duration, parse_when
from mlconsole.errors import ActionFailed, NotFound, UsageError
from mlconsole.records import record, replace

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LONGEST_BAKE_S = 30 * 86400.0
HISTORY = 200
AXES = tuple(axis.value for axis in Axis)


@record
class CreateParams:
    """What it is called, where releases go, and what is asked before one is done."""

    name: str = param(help="name of the environment, as in prod", positional=True, metavar="NAME")
    target: str | None = param(
        None, help="where releases go: directory:/PATH, or process[:PORT]", metavar="KIND[:WHERE]"
    )
    set: tuple[str, ...] = param((), help="a setting of the target: KEY=VALUE; may be given again", metavar="KEY=VALUE")
    gate: tuple[str, ...] = param(
        (),
        help="asked of a release: metric:acc>=0.9, command:PROGRAM, http:/PATH; may be given again",
        metavar="GATE",
    )
    bake: str = param("0s", help="how long a release is looked at before it is done", metavar="DURATION")
    allow: tuple[str, ...] = param(
        (), help="user, or @group, who alone may move it; may be given again", metavar="USER|@GROUP"
    )
    production: bool = param(False, help="its name has to be typed on screen; of itself where it begins with prod")


def environment_of(ctx: Context, params: CreateParams) -> Environment:
    """The environment that the params say.

    Raises:
        UsageError: something of it is none.
        NotFound: no such kind of target is installed.
    """
    if not NAME.fullmatch(params.name):
        raise UsageError(f'"{params.name}" is no name for an environment.', "Letters, digits, dots and dashes.")
    kind, _, where = (params.target or "").partition(":")
    if not kind:
        raise UsageError("Where do releases go?", "Say it: --target directory:/srv/model")
    ctx.target(kind)
    settings = parse_pairs(params.set, "--set")
    if where:
        settings |= _where(kind, where)
    return Environment(
        number=0,
        name=params.name,
        target=kind,
        settings=settings,
        host=ctx.settings.host,
        allowed=params.allow,
        is_production=params.production or params.name.lower().startswith("prod"),
        gates=tuple(gate_of(text) for text in params.gate),
        bake_s=bake_s(params.bake),
        created_at=ctx.clock(),
        created_by=ctx.settings.user,
    )


def _where(kind: str, where: str) -> dict[str, str]:
    """What stands behind the kind of a target: a port, or a path."""
    if where.isdecimal():
        return {"port": where}
    return {"socket" if kind == "process" else "path": os.path.abspath(os.path.expanduser(where))}


def bake_s(text: str) -> float:
    """The seconds of a duration.

    Raises:
        UsageError: it is none.
    """
    found = parse_duration(text)
    if found is None or not 0 <= found <= LONGEST_BAKE_S:
        raise UsageError(f'"{text}" is no time to look at a release.', "Write --bake 10m.")
    return found


def plan_create(ctx: Context, params: CreateParams) -> Plan:
    """What there would be."""
    new = environment_of(ctx, params)
    where = ", ".join(f"{key}={value}" for key, value in new.settings.items())
    steps = [Step(f'make "{new.name}", empty, deployed to by {new.target} from {new.host}', where)]
    steps += [Step(f"ask of each release: {gate.words}") for gate in new.gates] or [Step("ask nothing: no gate")]
    if new.allowed:
        steps.append(Step(f"let {', '.join(new.allowed)} move it alone"))
    words = ["mlconsole", "env", "create", new.name, f"--target={params.target}", f"--bake={params.bake}"]
    words += [f"--set={text}" for text in params.set] + [f"--gate={text}" for text in params.gate]
    words += [f"--allow={text}" for text in params.allow] + (["--production"] if params.production else [])
    return Plan("env create", Effect.WRITE, tuple(steps), command=shlex.join(words))


def create(ctx: Context, params: CreateParams) -> EnvironmentPage:
    """Make an environment.

    Raises:
        ActionFailed: there is one of that name, or its maker could not move it.
    """
    new = environment_of(ctx, params)
    refuse_to_lock_out(ctx, new)
    ctx.write(lambda db: put_environment(db, new), durable=True)
    return page_of(ctx, ctx.catalog.environments.get(new.name))


def refuse_to_lock_out(ctx: Context, environment: Environment) -> None:
    """See that a person leaves themselves among those who may move an environment.

    Raises:
        ActionFailed: they would not be.
    """
    if not may_move(ctx.settings.user, groups(), environment.allowed):
        raise ActionFailed(f"{ctx.settings.user} is not among those who may move it.", "Add --allow for yourself.")


@record
class SetParams:
    """Which one, and what is to change; gates and allowed people are given anew as a whole."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="NAME")
    set: tuple[str, ...] = param(
        (), help="a setting of the target: KEY=VALUE; an empty value takes it away", metavar="KEY=VALUE"
    )
    gate: tuple[str, ...] = param(
        (), help="the gates from now on; none takes all away; may be given again", metavar="GATE"
    )
    bake: str | None = param(None, help="how long a release is looked at before it is done", metavar="DURATION")
    allow: tuple[str, ...] = param(
        (), help="user, or @group, who alone may move it; anyone lets all; may be repeated", metavar="USER|@GROUP"
    )


def changed_by(ctx: Context, params: SetParams) -> Environment:
    """The environment as it would be.

    Raises:
        ActionFailed: the person may not move it.
    """
    before = ctx.catalog.environments.get(params.name)
    refuse_stranger(ctx, before)
    settings = {**before.settings, **parse_pairs(params.set, "--set")}
    gates = before.gates if not params.gate else _gates(params.gate)
    allowed = before.allowed if not params.allow else () if params.allow == ("anyone",) else params.allow
    bake = before.bake_s if params.bake is None else bake_s(params.bake)
    kept = {key: value for key, value in settings.items() if value}
    return replace(before, settings=kept, gates=gates, allowed=allowed, bake_s=bake)


def _gates(texts: Sequence[str]) -> tuple[Gate, ...]:
    return () if tuple(texts) == ("none",) else tuple(gate_of(text) for text in texts)


def plan_set(ctx: Context, params: SetParams) -> Plan:
    """What would be otherwise."""
    before, after = ctx.catalog.environments.get(params.name), changed_by(ctx, params)
    facts = [(_facts(before).get(key, "-"), key, value) for key, value in _facts(after).items()]
    steps = [Step(f"{key}: {old} becomes {new}", before.name) for old, key, new in facts if old != new]
    words = ["mlconsole", "env", "set", params.name, *(f"--set={text}" for text in params.set)]
    words += [f"--gate={text}" for text in params.gate] + [f"--allow={text}" for text in params.allow]
    words += [f"--bake={params.bake}"] if params.bake else []
    return Plan("env set", Effect.WRITE, tuple(steps), command=shlex.join(words))


def _facts(environment: Environment) -> dict[str, str]:
    return {
        "settings": ", ".join(f"{key}={value}" for key, value in environment.settings.items()),
        "gates": ", ".join(gate.words for gate in environment.gates) or "none",
        "bake": f"{environment.bake_s:g} s",
        "allowed": ", ".join(environment.allowed) or "anyone",
    }


def set_(ctx: Context, params: SetParams) -> EnvironmentPage:
    """Change settings, gates, bake time or who may move an environment; what is live stays.

    Raises:
        ActionFailed: the person may not move it, or could not afterwards.
    """
    changed = changed_by(ctx, params)
    refuse_to_lock_out(ctx, changed)
    ctx.write(lambda db: set_environment(db, changed), durable=True)
    return page_of(ctx, ctx.catalog.environments.get(params.name))


def page_of(ctx: Context, environment: Environment) -> EnvironmentPage:
    """An environment with all that belongs to it."""
    catalog, now = ctx.catalog, ctx.clock()
    under_way = [one for one in catalog.rollouts.open_of(environment.number) if one.state.value != "compensating"]
    rollout = under_way[-1] if under_way else None
    return EnvironmentPage(
        environment,
        catalog.environments.pins(environment.number),
        catalog.environments.freezes(environment.number, now),
        rollout,
        catalog.rollouts.last(environment.number),
        tuple(catalog.environments.moves(environment.number, limit=HISTORY)),
        standing=standing_of(environment, rollout),
    )


def list_environments(ctx: Context, params: NoParams) -> Listing[EnvironmentPage]:
    """Every environment, what is live there and whether that is what is intended."""
    refresh(ctx)
    return Listing("environment", [page_of(ctx, one) for one in ctx.catalog.environments.all()])


@record
class ShowParams:
    """Which one, and as it was when."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="NAME")
    at: str | None = param(None, help="as it was then: 2h ago, or a date and time", metavar="TIME")


def show(ctx: Context, params: ShowParams) -> EnvironmentPage:
    """An environment now, looked at, or as its pointer stood at some time."""
    environment = ctx.catalog.environments.get(params.name)
    if params.at is None:
        refresh(ctx)
        environment = ctx.catalog.environments.get(params.name)
        if environment.pointer.generation and environment.host == ctx.settings.host:
            environment = look(ctx, environment)
        return page_of(ctx, environment)
    at = moment_of(ctx, params.at)
    moves = ctx.catalog.environments.moves(environment.number, limit=1, until=at)
    return EnvironmentPage(as_of(ctx, environment, moves), history=tuple(moves), at=at)


def as_of(ctx: Context, environment: Environment, moves: Sequence[Move]) -> Environment:
    """The environment with the pointer of its newest move among these, and nothing seen."""
    from mlconsole.domain.environments import Observed, Pointer

    if not moves:
        return replace(environment, pointer=Pointer(), release=None, observed=Observed(), breaker="")
    release = ctx.catalog.releases.by_id(moves[0].release_id)
    pointer = Pointer(release.id, moves[0].generation)
    return replace(environment, pointer=pointer, release=release, observed=Observed(), breaker="")


def moment_of(ctx: Context, text: str) -> datetime:
    """The moment that a text says.

    Raises:
        UsageError: it says none.
    """
    found = parse_when(text, ctx.clock())
    if found is None:
        raise UsageError(f'"{text}" is no time.', "Write 2h ago, yesterday, or 2026-01-31T12:00.")
    return found


@record
class HistoryParams:
    """Whose."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="NAME")
    limit: int = param(100, help="the most moves", metavar="N")


def history(ctx: Context, params: HistoryParams) -> Listing[Move]:
    """Every move of the pointer, the newest first."""
    refresh(ctx)
    environment = ctx.catalog.environments.get(params.name)
    return Listing("move", ctx.catalog.environments.moves(environment.number, limit=max(1, params.limit)))


@record
class DiffParams:
    """Two environments, or one at two times."""

    before: str = param(help="name of an environment, or NAME@GENERATION", positional=True, metavar="ENV")
    after: str = param(help="the other one", positional=True, metavar="ENV")


def diff(ctx: Context, params: DiffParams) -> ReleaseDiff:
    """What is not the same in two environments, or between two generations of one."""
    return compare_releases(release_in(ctx, params.before), release_in(ctx, params.after))


def release_in(ctx: Context, word: str) -> Release:
    """The release that an environment points to, or pointed to at a generation.

    Raises:
        NotFound: there is none.
    """
    name, at, generation = word.rpartition("@")
    environment = ctx.catalog.environments.get(name if at else word)
    if not at:
        if environment.release is None:
            raise NotFound(f'Nothing is live in "{word}".', f"Roll out: mlconsole env rollout {word} RELEASE")
        return environment.release
    moves = ctx.catalog.environments.moves(environment.number)
    found = next((move for move in moves if str(move.generation) == generation), None)
    if found is None:
        raise NotFound(f'"{name}" has no generation "{generation}".', f"See: mlconsole env history {name}")
    return ctx.catalog.releases.by_id(found.release_id)


@record
class NameParams:
    """Which one."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="NAME")


def refuse_stranger(ctx: Context, environment: Environment) -> None:
    """Refuse somebody who may not move an environment.

    Raises:
        ActionFailed: this session's user may not.
    """
    if why := refusal(ctx, environment):
        raise ActionFailed(f"{why}.", f"Ask one of them, or: mlconsole env show {environment.name}")


def under_way(ctx: Context, environment: Environment) -> Rollout:
    """The rollout of an environment that is not over.

    Raises:
        NotFound: there is none.
    """
    found = [one for one in ctx.catalog.rollouts.open_of(environment.number) if one.intent == "go"]
    if not found:
        raise NotFound(
            f'No rollout of "{environment.name}" is under way.', f"See: mlconsole env show {environment.name}"
        )
    return found[-1]


def name_of(params: object) -> str:
    """The environment that params name."""
    return str(getattr(params, "name", ""))


CREATE = Action(
    "env create",
    "Make an environment that releases can be rolled out to",
    CreateParams,
    Effect.WRITE,
    create,
    plan_create,
    target=name_of,
    examples=(
        "mlconsole env create staging --target directory:/srv/app",
        "mlconsole env create prod --target process:8080 --bake 10m --gate 'metric:val/acc>=present-0.01'",
    ),
)
SET = Action(
    "env set",
    "Change the gates, settings or people of an environment",
    SetParams,
    Effect.WRITE,
    set_,
    plan_set,
    target=name_of,
)
LIST = Action("env list", "List environments and what is live there", NoParams, Effect.READ, list_environments)
SHOW = Action("env show", "Show an environment now or at some time", ShowParams, Effect.READ, show)
HISTORY_ = Action("env history", "List every move of an environment", HistoryParams, Effect.READ, history)
DIFF = Action("env diff", "Compare what is live in two environments", DiffParams, Effect.READ, diff)
