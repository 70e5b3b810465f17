"""What a target is told: a release's members with the places of their bytes, and whether those are what they were."""

from __future__ import annotations

import os
from pathlib import Path

from mlconsole.actions.context import Context
from mlconsole.content.hashing import Hasher
from mlconsole.domain.environments import Environment
from mlconsole.domain.releases import Member, MemberFile, Release
from mlconsole.domain.targets import MemberRef, TargetOrder

MOST_NAMED = 3


def order_of(ctx: Context, environment: Environment, release: Release, generation: int) -> TargetOrder:
    """The order for a generation of an environment."""
    members = {axis.value: _reference(ctx, member) for axis, member in release.members.items()}
    state = state_dir(ctx, environment)
    return TargetOrder(environment.name, release.id, generation, members, dict(environment.settings), state)


def state_dir(ctx: Context, environment: Environment) -> Path:
    """A folder of the environment's own."""
    path = ctx.settings.home / "environments" / str(environment.number)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _reference(ctx: Context, member: Member) -> MemberRef:
    files = ctx.catalog.releases.files(member)
    place = place_of(ctx, member, files)
    paths = {one.path: one.digest for one in files} if place else {}
    return MemberRef(member.axis.value, member.id, Path(place or "/nonexistent"), paths)


def place_of(ctx: Context, member: Member, files: tuple[MemberFile, ...]) -> str:
    """Where on this machine a member's files are all there, by name; empty where nowhere."""
    for place in ctx.catalog.releases.places(member, ctx.settings.host):
        if all(os.path.lexists(os.path.join(place, one.path) if one.path else place) for one in files):
            return place
    return ""


def bytes_trouble(ctx: Context, member: Member, *, is_thorough: bool) -> str:
    """What is wrong with a member's bytes on this machine; empty where all are there and as they were.

    Args:
        ctx: the session.
        member: which one.
        is_thorough: read every byte; otherwise what was not touched since it was read is believed.
    """
    files = ctx.catalog.releases.files(member)
    if not files:
        return ""
    place = place_of(ctx, member, files)
    if not place:
        known = ctx.catalog.releases.places(member, ctx.settings.host)
        where = f'"{known[0]}"' if known else "no place on this machine"
        return f"the bytes of {member.axis.value} {member.label} are gone: they were in {where}"
    wrong = _changed(ctx, place, files, is_thorough)
    if not wrong:
        return ""
    more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
    return f"{member.axis.value} {member.label} has changed: {', '.join(wrong[:MOST_NAMED])}{more}"


def _changed(ctx: Context, place: str, files: tuple[MemberFile, ...], is_thorough: bool) -> list[str]:
    from mlconsole.content.hashing import key_of
    from mlconsole.errors import ActionFailed

    paths = {one: os.path.join(place, one.path) if one.path else place for one in files}
    known = {}
    if not is_thorough:
        known = ctx.catalog.datasets.known(key_of(os.lstat(path)) for path in paths.values())
    hasher = Hasher(known, cancelled=ctx.cancelled.is_set)
    wrong = []
    for one, path in paths.items():
        try:
            found = hasher.known(key_of(os.lstat(path))) or hasher.digest(path)[0]
        except (ActionFailed, OSError):
            found = ""
        if found != one.digest:
            wrong.append(one.path or os.path.basename(path))
    return wrong
