"""Rollback: take an environment back to an earlier release, or one part of it alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.environments import AXES
from mlconsole.actions.going_back import healthy_before
from mlconsole.actions.members import kept_of
from mlconsole.actions.rollout import IRREVERSIBLE, Asked, begin, see_through, steps_of
from mlconsole.actions.sync import refresh
from mlconsole.catalog.releases import NewRelease, by_axis
from mlconsole.content.identity import release_id
from mlconsole.domain.companions import Companions, Found
from mlconsole.domain.contracts import Axis
from mlconsole.domain.environments import Environment
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.releases import Member, Release
from mlconsole.domain.rollouts import RolloutKind, RolloutPage
from mlconsole.errors import ActionFailed, NotFound, UsageError
from mlconsole.records import field, record, replace

MOST_CANDIDATES = 100
"""So many of the newest members of each axis are tried as companions."""


@record
class RollbackParams:
    """Where back to, and how much of it."""

    name: str = param(help="name of the environment", positional=True, cursor="environment", metavar="ENV")
    to: str | None = param(
        None, help="this release or generation, instead of the last good one", metavar="RELEASE|GENERATION"
    )
    axis: str | None = param(None, help="take this part alone back", choices=AXES, asked=True)
    expect: int | None = param(None, help="only if it is at this generation now", metavar="GENERATION")
    override: str = param("", help="go through pins and freezes, for this reason", metavar="REASON")
    detach: bool = param(False, help="do not wait for the gates: any later command carries it on")


@record
class Aim:
    """Where a rollback goes: what is asked for, and for one axis how its companions were found."""

    asked: Asked
    found: Found | None = None
    notes: tuple[str, ...] = field(default=())


def aim(ctx: Context, params: RollbackParams) -> Aim:
    """What a rollback would bring back.

    Raises:
        NotFound: there is nothing to go back to.
        UsageError: it is live already.
        ActionFailed: no set of companions satisfies the contracts.
    """
    environment = ctx.catalog.environments.get(params.name)
    if environment.release is None:
        raise NotFound(f'Nothing is live in "{params.name}".', f"Roll out: mlconsole env rollout {params.name} RELEASE")
    base = Asked(environment, environment.release, RolloutKind.ROLLBACK, params.override, params.expect)
    if params.axis is None:
        release = _earlier(ctx, environment, params.to)
        if release.id == environment.pointer.release_id and not environment.withdrawn:
            raise UsageError(f"{release.label} is live already.", f"See: mlconsole env show {params.name}")
        return Aim(replace(base, release=release))
    return _one_axis(ctx, base, environment.release, Axis(params.axis), params.to)


def _earlier(ctx: Context, environment: Environment, word: str | None) -> Release:
    """The release that a word means: a generation, a release, or without one the last good release."""
    if word is None:
        found = healthy_before(ctx, environment, environment.pointer.release_id)
        if not found:
            raise NotFound(
                f'No other release was good in "{environment.name}" and has not been taken back since.',
                f"Say which: --to RELEASE, or --to GENERATION, of mlconsole env history {environment.name}",
            )
        return ctx.catalog.releases.by_id(found)
    for move in ctx.catalog.environments.moves(environment.number):
        if word.removeprefix("#") == str(move.generation):
            return ctx.catalog.releases.by_id(move.release_id)
    try:
        return ctx.catalog.releases.get(word)
    except NotFound as error:
        name = environment.name
        where = f"See: mlconsole env history {name}, mlconsole release list"
        raise NotFound(f'"{word}" is neither a generation of "{name}" nor a release.', where) from error


def _one_axis(ctx: Context, base: Asked, present: Release, axis: Axis, to: str | None) -> Aim:
    wanted = _member(ctx, base.environment, present, axis, to)
    healthy = _healthy(ctx, base.environment)
    others = [one for one in Axis if one is not axis and one in present.members]
    choices = {one: _candidates(ctx, present, one) for one in others}
    solver = Companions(present.members, wanted, choices, healthy, refused=_refused(ctx))
    found = solver.solve()
    if found.members is None:
        why = "; ".join(found.forced) or "what it would make is quarantined"
        raise ActionFailed(
            f"Nothing that was ever released goes with {axis.value} {wanted.label}: {why}.",
            f"Choose another: mlconsole rollback {base.environment.name} --axis {axis.value} --to RELEASE",
        )
    members = by_axis(found.members.values())
    made = [kept_of(ctx, member) for member in members.values()]
    settings = ctx.settings
    new = NewRelease(release_id(members), made, "", settings.host, settings.user, ctx.clock())
    release = Release(0, new.id, members, new.at, new.by, _known_name(ctx, new.id))
    return Aim(replace(base, release=release, made=new), found)


def _known_name(ctx: Context, wanted: str) -> str:
    try:
        return ctx.catalog.releases.by_id(wanted).name
    except NotFound:
        return ""


def _member(ctx: Context, environment: Environment, present: Release, axis: Axis, to: str | None) -> Member:
    """The member to go back to: that of a release, or else the last other one that was good here, or that was here."""
    now = present.members.get(axis)
    if to is not None:
        found = _earlier(ctx, environment, to).members.get(axis)
        if found is None:
            raise NotFound(f'"{to}" has no {axis.value}.', "Choose another: --to RELEASE")
        if now is not None and found.digest == now.digest:
            raise UsageError(f'The {axis.value} of "{to}" is live already: {found.label}.')
        return found
    refused = ctx.catalog.releases.quarantines()
    moves = [move.release_id for move in ctx.catalog.environments.moves(environment.number)[1:]]
    for each in (*ctx.catalog.rollouts.good(environment.number), *moves):
        found = ctx.catalog.releases.by_id(each).members.get(axis)
        if each not in refused and found is not None and (now is None or found.digest != now.digest):
            return found
    raise NotFound(
        f'"{environment.name}" never had another {axis.value} that is not quarantined.', "Say which: --to RELEASE"
    )


def _healthy(ctx: Context, environment: Environment) -> list[frozenset[str]]:
    """The members of every release that was good here, the latest first."""
    found = ctx.catalog.rollouts.healthy(environment.number)
    return [frozenset(one.digest for one in ctx.catalog.releases.by_id(each).members.values()) for each in found]


def _refused(ctx: Context) -> set[frozenset[str]]:
    found = ctx.catalog.releases.quarantines()
    return {frozenset(one.digest for one in ctx.catalog.releases.by_id(each).members.values()) for each in found}


def _candidates(ctx: Context, present: Release, axis: Axis) -> list[Member]:
    """The members of an axis to choose from, the one that is live first, then the newest."""
    live = present.members[axis]
    rest = [one for one in ctx.catalog.releases.candidates(axis, MOST_CANDIDATES) if one.digest != live.digest]
    return [live, *rest]


def plan(ctx: Context, params: RollbackParams) -> Plan:
    """What changes, what stays, who forced it, whom it concerns, and what cannot be undone."""
    refresh(ctx)
    there = aim(ctx, params)
    environment = there.asked.environment
    steps = [*_why(there, params), *steps_of(ctx, there.asked), *_consumers(ctx, there.asked)]
    words = ["mlconsole", "rollback", params.name]
    words += [f"--to={params.to}"] if params.to else []
    words += [f"--axis={params.axis}"] if params.axis else []
    words += [f"--expect={params.expect}"] if params.expect is not None else []
    words += [f"--override={params.override}"] if params.override else []
    return Plan(
        "rollback",
        Effect.DESTROY,
        tuple(steps),
        irreversible=(IRREVERSIBLE,),
        confirm=environment.name if environment.is_production else "",
        command=shlex.join([*words, "--yes"]),
    )


def _why(there: Aim, params: RollbackParams) -> Iterator[Step]:
    found = there.found
    if found is None:
        return
    if not found.companions:
        yield Step(f"{params.axis} goes back alone: no contract is broken by it")
        return
    names = ", ".join(axis.value for axis in found.companions)
    yield Step(f"{params.axis} cannot go back alone; the fewest that go with it: {names}")
    for words in found.forced:
        yield Step(f"forced by a contract: {words}")
    if found.was_healthy:
        yield Step("these were good here together before")


def _consumers(ctx: Context, asked: Asked) -> Iterator[Step]:
    """Who else lives on what would be replaced."""
    environment, present = asked.environment, asked.environment.release
    endpoint = environment.observed.endpoint
    if endpoint:
        yield Step(f"whoever asks {endpoint} gets other answers from then on", environment.host)
    kept = {member.digest for member in asked.release.members.values()}
    leaving = [one for one in (present.members.values() if present else ()) if one.digest not in kept]
    for other in ctx.catalog.environments.all():
        if other.number == environment.number or other.release is None:
            continue
        shared = [one.axis.value for one in leaving if other.release.members.get(one.axis) == one]
        if shared:
            yield Step(f"{other.name} has the same {', '.join(shared)} and keeps it", other.name)
    yield from _live_runs(ctx, leaving)


def _live_runs(ctx: Context, leaving: list[Member]) -> Iterator[Step]:
    """Runs that live now and use a dataset or model that leaves."""
    live = ctx.catalog.runs.load(ctx.catalog.runs.live())
    for member in leaving:
        using = [run.name for run in live if member.id in run.dataset_ids]
        if using:
            yield Step(f"{', '.join(using)} still runs on {member.axis.value} {member.label}, and goes on")


def rollback(ctx: Context, params: RollbackParams) -> RolloutPage:
    """Take an environment, or one part of it, back; gates are asked again.

    Raises:
        ActionFailed: nothing satisfies the contracts, or it may not be moved.
        CheckFailed: a gate failed on the way back.
    """
    refresh(ctx)
    there = aim(ctx, params)
    number = begin(ctx, there.asked)
    if params.detach:
        from mlconsole.actions.rollouts import carry_on

        carry_on(ctx, number)
        return ctx.catalog.rollouts.page(number)
    return see_through(ctx, number)


ROLLBACK = Action(
    "rollback",
    "Take an environment back, as a whole or one part alone",
    RollbackParams,
    Effect.DESTROY,
    rollback,
    plan,
    target=lambda p: p.name,
    key="b",
    examples=(
        "mlconsole rollback prod --yes",
        "mlconsole rollback prod --axis model --dry-run",
        "mlconsole rollback prod --to v1 --yes",
    ),
)
