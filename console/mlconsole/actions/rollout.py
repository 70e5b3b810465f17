"""Rollouts as a person asks for them: begin, abort, accept what a gate could not tell, repair a drift."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from sqlite3 import Connection

from mlconsole.actions.asking import not_compared
from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.environments import NameParams, under_way
from mlconsole.actions.preflight import refusal, troubles
from mlconsole.actions.rollouts import carry_on, carry_through
from mlconsole.actions.sync import refresh
from mlconsole.catalog.environments import pointer_of, set_breaker
from mlconsole.catalog.releases import NewRelease, put_release
from mlconsole.catalog.rollouts import accept, enter, insert_rollout, open_of, rewrite_intent
from mlconsole.domain.contracts import Axis, Verdict
from mlconsole.domain.environments import Environment, changed_axes
from mlconsole.domain.gates import Answer, brief
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.releases import Release, short
from mlconsole.domain.results import Done
from mlconsole.domain.rollouts import Rollout, RolloutKind, RolloutPage, RolloutState
from mlconsole.errors import ActionFailed, CheckFailed, NotFound, UsageError
from mlconsole.records import record

IRREVERSIBLE = (
    "What it answers meanwhile is answered: a rollback takes back what is live, not what it has said or done."
)


@record
class Asked:
    """A rollout that somebody wants.

    Attributes:
        environment: where.
        release: what.
        kind: why.
        override: why pins and freezes shall not hold; empty: they do.
        expect: the generation that it must be at; None for any.
        made: the release, when it is kept with the intent.
    """

    environment: Environment
    release: Release
    kind: RolloutKind
    override: str = ""
    expect: int | None = None
    made: NewRelease | None = None


@record
class RolloutParams:
    """What goes where."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="ENV")
    release: str = param(help="name, id, or the start of an id", positional=True, metavar="RELEASE")
    expect: int | None = param(None, help="only if it is at this generation now; 0 for none", metavar="GENERATION")
    override: str = param("", help="go through pins and freezes, for this reason", metavar="REASON")
    detach: bool = param(False, help="do not wait for the gates: any later command carries it on")


def _asked(ctx: Context, params: RolloutParams) -> Asked:
    environment = ctx.catalog.environments.get(params.name)
    release = ctx.catalog.releases.get(params.release)
    return Asked(environment, release, RolloutKind.ROLLOUT, params.override, params.expect)


def plan_rollout(ctx: Context, params: RolloutParams) -> Plan:
    """What would change, what stands against it, and what is asked before it is done."""
    refresh(ctx)
    asked = _asked(ctx, params)
    words = ["mlconsole", "env", "rollout", params.name, asked.release.short]
    words += [f"--expect={params.expect}"] if params.expect is not None else []
    words += [f"--override={params.override}"] if params.override else []
    steps = tuple(steps_of(ctx, asked))
    return Plan(
        "env rollout",
        Effect.DESTROY,
        steps,
        irreversible=(IRREVERSIBLE,),
        confirm=asked.environment.name if asked.environment.is_production else "",
        command=shlex.join([*words, "--yes"]),
    )


def steps_of(ctx: Context, asked: Asked) -> Iterator[Step]:
    """The steps of a rollout, in words."""
    environment, release = asked.environment, asked.release
    generation = environment.pointer.generation + 1
    before = environment.release
    where = f'"{environment.name}"'
    yield Step(f"{where} goes from {before.label if before else 'nothing'} to {release.label}", environment.target)
    changed = changed_axes(before, release)
    found = troubles(ctx, environment, release, asked.kind, asked.override, is_thorough=False)
    if why := refusal(ctx, environment):
        found.insert(0, why)
    for trouble in found:
        yield Step(f"stands against it: {trouble}", warns=True)
    for axis in (one for one in Axis if one in changed):
        old, new = before.members.get(axis) if before else None, release.members.get(axis)
        yield Step(f"{axis.value} changes: {old.label if old else '-'} becomes {new.label if new else '-'}")
    if stays := [f"{axis.value} {one.label}" for axis, one in release.members.items() if axis not in changed]:
        yield Step(f"stays: {', '.join(stays)}")
    for one in release.checks:
        if one.verdict is not Verdict.PROVEN:
            yield Step(f"{one.verdict.value}: {one.words}")
    if not any("bytes" in trouble or "has changed" in trouble for trouble in found):
        yield Step("the bytes of every part are there; they are read again before anything moves")
    yield Step(f"the pointer moves to generation {generation}, and the target makes it live", environment.host)
    yield from _asked_of(environment, asked)


def _asked_of(environment: Environment, asked: Asked) -> Iterator[Step]:
    if environment.bake_s:
        yield Step(f"it is looked at for {environment.bake_s:g} s")
    for gate in environment.gates:
        why_not = not_compared(gate, asked.kind, environment.release)
        yield Step(f"gate: {brief(gate.words)}{f' is not asked: {why_not}' if why_not else ''}")
    if not environment.gates:
        yield Step("no gate is asked: nothing says whether it is good")
    elif asked.environment.release is not None:
        yield Step("when a gate fails it is quarantined, and what was good before comes back by itself")


def rollout(ctx: Context, params: RolloutParams) -> RolloutPage:
    """Move an environment to a release, and see that it is good there.

    Raises:
        ActionFailed: it may not be moved, another was quicker, or a gate could not be told: then it is held.
        CheckFailed: a gate failed; what was good before is live again, if it could be.
    """
    refresh(ctx)
    number = begin(ctx, _asked(ctx, params))
    if params.detach:
        carry_on(ctx, number)
        return ctx.catalog.rollouts.page(number)
    return see_through(ctx, number)


def begin(ctx: Context, asked: Asked) -> int:
    """Record the intent of a rollout; returns its number.

    Raises:
        ActionFailed: the person may not, another is under way, or the environment is not where it was expected.
    """
    environment = asked.environment
    if why := refusal(ctx, environment):
        raise ActionFailed(f"{why}.", f"Ask one of them, or: mlconsole env show {environment.name}")

    def change(db: Connection) -> int:
        pointer = pointer_of(db, environment.number)
        if asked.expect is not None and asked.expect != pointer.generation:
            where = f"generation {pointer.generation}, not at {asked.expect}"
            raise ActionFailed(
                f'"{environment.name}" is at {where}; nothing was changed.',
                f"Look again: mlconsole env show {environment.name}",
            )
        _make_way(db, ctx, asked)
        if asked.made is not None:
            put_release(db, asked.made)
        now, who = ctx.clock(), ctx.settings.user
        return insert_rollout(
            db,
            Rollout(
                0, environment.number, environment.name, asked.kind, asked.release.id, pointer.release_id,
                pointer.generation, RolloutState.PLANNED, who, now, now, override=asked.override,
            ),
        )  # fmt: skip

    return ctx.write(change, durable=True)


def _make_way(db: Connection, ctx: Context, asked: Asked) -> None:
    """Settle what is under way: a rollback goes before it, a rollout does not, unless it is held.

    Raises:
        ActionFailed: another is under way.
    """
    for one in open_of(db, asked.environment.number):
        may_replace = asked.kind is not RolloutKind.ROLLOUT
        if one.state is RolloutState.COMPENSATING:
            continue
        if one.state.has_moved and (may_replace or one.held):
            words = f"{ctx.settings.user} asked for {short(asked.release.id)}"
            enter(db, one, RolloutState.SUPERSEDED, ctx.clock(), words, whatever_intent=True)
        elif may_replace:
            rewrite_intent(db, one.number)
        else:
            raise ActionFailed(
                f"{one.words} Nothing was changed.",
                f"Wait for it, or: mlconsole env abort {one.name}",
            )


def see_through(ctx: Context, number: int) -> RolloutPage:
    """Carry a rollout on to its end, and say how that was.

    Raises:
        ActionFailed: it was not to be; nothing has moved, or it is held.
        CheckFailed: a gate failed.
    """
    last = carry_through(ctx, number)
    first = ctx.catalog.rollouts.get(number)
    if last.held:
        raise ActionFailed(f"{last.words}", f"Look: mlconsole env show {last.name}")
    if ctx.journal is not None:
        ctx.journal.note = f"{first.state.value}: {first.message}"
    if first.state in (RolloutState.DONE, RolloutState.SUPERSEDED) or first.intent == "abort":
        return ctx.catalog.rollouts.page(number)
    if first.state is RolloutState.ROLLED_BACK or first.answer is Answer.FAIL:
        is_back = last.number != number and last.state is RolloutState.DONE
        end = f"Now {_label(ctx, last)} is live." if is_back else ""
        raise CheckFailed(f"{_label(ctx, first)} failed in {first.name}: {first.message.rstrip('.')}.", end)
    raise ActionFailed(f"{_label(ctx, first)} was not rolled out to {first.name}: {first.message.rstrip('.')}.")


def _label(ctx: Context, rollout: Rollout) -> str:
    return ctx.catalog.releases.by_id(rollout.release_id).label


def plan_abort(ctx: Context, params: NameParams) -> Plan:
    """What would be undone."""
    one = under_way(ctx, ctx.catalog.environments.get(params.name))
    how = "go back to what was good before" if one.state.has_moved else "give back what was prepared; nothing has moved"
    steps = (Step(one.words, one.name), Step(how, one.name))
    command = shlex.join(["mlconsole", "env", "abort", params.name, "--yes"])
    return Plan("env abort", Effect.DESTROY, steps, command=command)


def abort(ctx: Context, params: NameParams) -> RolloutPage:
    """Undo a rollout that is under way: what it has not moved it never will, what it has goes back."""
    environment = ctx.catalog.environments.get(params.name)
    one = under_way(ctx, environment)
    if why := refusal(ctx, environment):
        raise ActionFailed(f"{why}.")
    if not ctx.write(lambda db: rewrite_intent(db, one.number), durable=True):
        raise ActionFailed(f"It is over by now: mlconsole env show {params.name}")
    return see_through(ctx, one.number)


def plan_accept(ctx: Context, params: NameParams) -> Plan:
    """What would be taken as it is."""
    one = under_way(ctx, ctx.catalog.environments.get(params.name))
    steps = tuple(
        Step(f"take it as it is: {brief(each.gate)}: {each.answer.value} {each.words}") for each in one.answers
    )
    steps += (Step(f"{one.name} is done at generation {one.generation}", one.name),)
    command = shlex.join(["mlconsole", "env", "accept", params.name, "--yes"])
    return Plan("env accept", Effect.DESTROY, steps, command=command)


def accept_(ctx: Context, params: NameParams) -> RolloutPage:
    """Take a release that is held as good, whatever its gates could or could not tell.

    Raises:
        ActionFailed: nothing is held.
    """
    environment = ctx.catalog.environments.get(params.name)
    one = under_way(ctx, environment)
    if why := refusal(ctx, environment):
        raise ActionFailed(f"{why}.")
    if not ctx.write(lambda db: accept(db, one.number, ctx.settings.user), durable=True):
        raise ActionFailed(f"It asks no gates now: it is {one.state.value}.")
    return see_through(ctx, one.number)


def _repaired(ctx: Context, name: str) -> Asked:
    environment = ctx.catalog.environments.get(name)
    if environment.release is None:
        raise NotFound(f'Nothing is intended in "{name}".', f"Roll out: mlconsole env rollout {name} RELEASE")
    return Asked(environment, environment.release, RolloutKind.REPAIR)


def plan_repair(ctx: Context, params: NameParams) -> Plan:
    """What would be put in its place again."""
    refresh(ctx)
    asked = _repaired(ctx, params.name)
    found = asked.environment.drift or "nothing has drifted as far as was seen"
    steps = (Step(found, params.name), *steps_of(ctx, asked))
    confirm = params.name if asked.environment.is_production else ""
    command = shlex.join(["mlconsole", "env", "repair", params.name, "--yes"])
    return Plan("env repair", Effect.DESTROY, steps, confirm=confirm, command=command)


def repair(ctx: Context, params: NameParams) -> RolloutPage:
    """Put what is intended in its place again, as a new generation, after a change behind our back."""
    refresh(ctx)
    return see_through(ctx, begin(ctx, _repaired(ctx, params.name)))


def plan_reset(ctx: Context, params: NameParams) -> Plan:
    """What would work again."""
    environment = ctx.catalog.environments.get(params.name)
    found = environment.breaker or "it is closed"
    step = Step(f"close the circuit breaker of {environment.name}: {found}", environment.name)
    return Plan("env reset", Effect.WRITE, (step,), command=shlex.join(["mlconsole", "env", "reset", params.name]))


def reset(ctx: Context, params: NameParams) -> Done:
    """Close the circuit breaker: what fails goes back by itself again."""
    environment = ctx.catalog.environments.get(params.name)
    if why := refusal(ctx, environment):
        raise ActionFailed(f"{why}.")
    if not environment.breaker:
        raise UsageError(f'The circuit breaker of "{environment.name}" is closed.')
    ctx.write(lambda db: set_breaker(db, environment.number, ""), durable=True)
    return Done("environment", f"{environment.name}: what fails goes back by itself again.")


def _target(params: RolloutParams) -> str:
    return params.name


ROLLOUT = Action(
    "env rollout",
    "Move an environment to a release, and see that it is good there",
    RolloutParams,
    Effect.DESTROY,
    rollout,
    plan_rollout,
    target=_target,
    key="p",
)
TOP = Action(
    "rollout",
    "Move an environment to a release, as env rollout does",
    RolloutParams,
    Effect.DESTROY,
    rollout,
    plan_rollout,
    target=_target,
    examples=("mlconsole rollout prod v2 --dry-run",),
)
ABORT = Action(
    "env abort",
    "Undo a rollout that is under way",
    NameParams,
    Effect.DESTROY,
    abort,
    plan_abort,
    target=lambda p: p.name,
    key="u",
)
ACCEPT = Action(
    "env accept",
    "Take a held release as good, whatever its gates could tell",
    NameParams,
    Effect.DESTROY,
    accept_,
    plan_accept,
    target=lambda p: p.name,
)
REPAIR = Action(
    "env repair",
    "Put what is intended in its place again",
    NameParams,
    Effect.DESTROY,
    repair,
    plan_repair,
    target=lambda p: p.name,
    key="M",
)
RESET = Action(
    "env reset",
    "Let what fails go back by itself again",
    NameParams,
    Effect.WRITE,
    reset,
    plan_reset,
    target=lambda p: p.name,
)
