"""What has to hold before a pointer is moved: who asks, pins, freezes, quarantine, contracts, bytes."""

from __future__ import annotations

from collections.abc import Iterator

from mlconsole.actions.context import Context
from mlconsole.actions.orders import bytes_trouble
from mlconsole.actions.people import why_not
from mlconsole.domain.contracts import Verdict
from mlconsole.domain.environments import Environment, changed_axes, rules
from mlconsole.domain.releases import Release
from mlconsole.domain.rollouts import RolloutKind


def troubles(
    ctx: Context, environment: Environment, release: Release, kind: RolloutKind, override: str, *, is_thorough: bool
) -> list[str]:
    """Why a release may not be rolled out to an environment, in words; empty when it may."""
    found = list(_ruled_out(ctx, environment, release, kind, override))
    found += [one.words for one in release.checks if one.verdict is Verdict.BROKEN]
    found += [
        trouble
        for member in release.members.values()
        if (trouble := bytes_trouble(ctx, member, is_thorough=is_thorough))
    ]
    return found


def _ruled_out(
    ctx: Context, environment: Environment, release: Release, kind: RolloutKind, override: str
) -> Iterator[str]:
    if environment.host != ctx.settings.host:
        yield f'"{environment.name}" is deployed from {environment.host}, and this is {ctx.settings.host}'
    quarantine = ctx.catalog.releases.quarantine(release.id)
    if quarantine is not None and release.id != environment.pointer.release_id:
        yield f"{release.label} is quarantined: {quarantine.reason}"
    if kind is RolloutKind.AUTOMATIC or override:
        return
    now = ctx.clock()
    environments, number = ctx.catalog.environments, environment.number
    changed = changed_axes(environment.release, release)
    for words in rules(environments.pins(number), environments.freezes(number, now), changed, now):
        yield f"{words} (--override REASON goes through it)"


def refusal(ctx: Context, environment: Environment) -> str:
    """Why the person who sits here may not move an environment; empty when they may."""
    return why_not(environment, ctx.settings.user)
