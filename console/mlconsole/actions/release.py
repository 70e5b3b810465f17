"""Releases: making one of code, data, model, configuration and libraries, listing, showing, comparing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.catalog.releases import NewMember, NewRelease, by_axis, lift_quarantine, put_quarantine, put_release
from mlconsole.content.declared import library, requirement
from mlconsole.content.identity import release_id
from mlconsole.domain.contracts import Axis, Contract, Requirement, Verdict, check
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.releases import Release, ReleaseDiff, ReleasePage, compare_releases
from mlconsole.domain.results import Done, Listing
from mlconsole.errors import ActionFailed, NotFound, UsageError
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.actions.members import Maker

WORD = "name, id, or the start of an id"


@record
class CreateParams:
    """The parts of a release; what is left out is what the model's run had, or what another release has."""

    model: str | None = param(None, help="version of a model: NAME, NAME@VERSION or NAME@ALIAS", metavar="MODEL")
    data: str | None = param(None, help="dataset, instead of the one that the model learned from", metavar="DATASET")
    code: str | None = param(None, help="folder, file or commit, instead of the run's commit", metavar="PATH|COMMIT")
    config: str | None = param(None, help="configuration file; the keys of JSON and TOML are read", metavar="FILE")
    lock: str | None = param(
        None, help="lock file of NAME==VERSION lines, instead of the run's packages", metavar="FILE"
    )
    base: str | None = param(None, help="another release that what is left out is taken from", metavar="RELEASE")
    name: str | None = param(None, help="what people call it", metavar="NAME")
    provides: tuple[str, ...] = param(
        (), help="what a part gives: AXIS=KEY:VALUE; may be given again", metavar="AXIS=KEY:VALUE"
    )
    requires: tuple[str, ...] = param(
        (), help="what a part needs, as AXIS=AXIS:KEY>=1.2; may be given again", metavar="NEED"
    )
    waive: tuple[str, ...] = param(
        (), help="a derived need that does not hold: AXIS=AXIS:KEY; may be given again", metavar="AXIS=AXIS:KEY"
    )


def _name(params: CreateParams) -> str:
    name = (params.name or "").strip()
    if name.startswith("blake3:") or "\0" in name:
        raise UsageError(f'"{name}" is no name for a release.', "Choose another: --name NAME")
    return name


def make(ctx: Context, params: CreateParams, home: Path) -> list[NewMember]:
    """The members that the params ask for, with what is kept of them below ``home``.

    Raises:
        UsageError: nothing was asked for, or a contract does not parse.
        NotFound: a model or dataset is not there.
        ActionFailed: bytes are not there.
    """
    base = ctx.catalog.releases.get(params.base) if params.base else None
    if not params.model and base is None and not params.code and not params.data:
        raise UsageError("What is released?", "Say it: --model NAME@VERSION")
    from mlconsole.actions.members import Maker, kept_of  # 12 ms, where a release is made

    maker = Maker(ctx, ctx.catalog.models.get(params.model) if params.model else None, home)
    found = dict(_asked(maker, params))
    for axis, kept in (base.members if base else {}).items():
        found.setdefault(axis, kept_of(ctx, kept))
    derived = {Axis.CODE: maker.code, Axis.DATA: maker.data, Axis.ENV: maker.env}
    for axis, derive in derived.items():
        if axis not in found and params.model and (member := derive(None)) is not None:
            found[axis] = member
    return [_said(found[axis], axis, params) for axis in Axis if axis in found]


def _asked(maker: Maker, params: CreateParams) -> Iterator[tuple[Axis, NewMember]]:
    if params.model:
        yield Axis.MODEL, maker.model()
    asked = {
        Axis.CODE: (params.code, maker.code),
        Axis.DATA: (params.data, maker.data),
        Axis.CONFIG: (params.config, maker.config),
        Axis.ENV: (params.lock, maker.env),
    }
    for axis, (word, derive) in asked.items():
        if word and (member := derive(word)) is not None:
            yield axis, member


def _said(made: NewMember, axis: Axis, params: CreateParams) -> NewMember:
    provides = dict(_value(text) for text in _of(axis, params.provides, "--provides AXIS=KEY:VALUE"))
    if axis is Axis.ENV:
        provides = {library(key): value for key, value in provides.items()}
    requires: list[Requirement] = [
        requirement(text) for text in _of(axis, params.requires, "--requires AXIS=AXIS:KEY>=1.2")
    ]
    waived = {
        f"{need.axis.value}:{need.key}"
        for need in (requirement(text) for text in _of(axis, params.waive, "--waive AXIS=AXIS:KEY"))
    }
    from mlconsole.actions.members import amended

    return amended(made, provides, requires, waived)


def _of(axis: Axis, texts: Iterable[str], form: str) -> Iterator[str]:
    for text in texts:
        head, equals, rest = text.partition("=")
        if not equals or head not in list(Axis) or not rest:
            raise UsageError(f'"{text}" says nothing of a part.', f"Write {form}; parts: {', '.join(Axis)}.")
        if head == axis.value:
            yield rest


def _value(text: str) -> tuple[str, str]:
    key, colon, value = text.partition(":")
    if not colon or not key or not value:
        raise UsageError(f'"{text}" is no KEY:VALUE.', "Write --provides AXIS=KEY:VALUE.")
    return key, value


def plan_create(ctx: Context, params: CreateParams) -> Plan:
    """What it would be made of, and how its contracts stand."""
    from tempfile import TemporaryDirectory  # 5 ms, where a release is made

    name = _name(params)
    refresh(ctx)
    with TemporaryDirectory(prefix="mlconsole-release-") as folder:
        made = make(ctx, params, Path(folder))
    steps = [Step(f"{one.member.axis.value}: {one.member.label}", one.member.id) for one in made]
    steps += [Step(f"{one.verdict.value}: {one.words}") for one in check(_contracts(made))]
    steps.append(Step("keep it under the digest of all this, for good", name))
    words = ["mlconsole", "release", "create"]
    for flag in ("model", "data", "code", "config", "lock", "base", "name"):
        words += [f"--{flag}={value}"] if (value := getattr(params, flag)) else []
    for flag in ("provides", "requires", "waive"):
        words += [f"--{flag}={value}" for value in getattr(params, flag)]
    return Plan("release create", Effect.WRITE, tuple(steps), command=shlex.join(words))


def _contracts(made: Iterable[NewMember]) -> dict[Axis, Contract]:
    return {one.member.axis: one.member.contract for one in made}


def create(ctx: Context, params: CreateParams) -> Release:
    """Keep a release; the same members are the release that they were.

    Raises:
        ActionFailed: its contracts are broken; the message says which.
    """
    name = _name(params)
    refresh(ctx)
    made = make(ctx, params, ctx.settings.home)
    members = by_axis(one.member for one in made)
    broken = [one for one in check(_contracts(made)) if one.verdict is Verdict.BROKEN]
    if broken:
        raise ActionFailed(
            f"These do not go together: {'; '.join(one.words for one in broken)}.",
            "Choose others, or take back what does not hold: --waive AXIS=AXIS:KEY",
        )
    new = NewRelease(release_id(members), made, name, ctx.settings.host, ctx.settings.user, ctx.clock())
    ctx.write(lambda db: put_release(db, new), durable=True)
    return ctx.catalog.releases.by_id(new.id)


def list_releases(ctx: Context, params: NoParams) -> Listing[ReleasePage]:
    """Every release, the newest first, with where it is live."""
    releases, refused = ctx.catalog.releases, ctx.catalog.releases.quarantines()
    pages = [ReleasePage(one, releases.live(one.id), refused.get(one.id)) for one in releases.all()]
    return Listing("release", pages)


@record
class ReleaseParams:
    """One release."""

    release: str = param(help=WORD, positional=True, metavar="RELEASE")


def show(ctx: Context, params: ReleaseParams) -> ReleasePage:
    """A release: its members, their contracts, where it is live and where its bytes lie."""
    releases = ctx.catalog.releases
    release = releases.get(params.release)
    places = {
        axis: found[0]
        for axis, member in release.members.items()
        if (found := releases.places(member, ctx.settings.host))
    }
    return ReleasePage(release, releases.live(release.id), releases.quarantine(release.id), places)


@record
class DiffParams:
    """Two releases."""

    before: str = param(help=WORD, positional=True, metavar="RELEASE")
    after: str = param(help="the other one", positional=True, metavar="RELEASE")


def diff(ctx: Context, params: DiffParams) -> ReleaseDiff:
    """The members, and what they provide and require, that two releases do not share."""
    return compare_releases(ctx.catalog.releases.get(params.before), ctx.catalog.releases.get(params.after))


@record
class QuarantineParams:
    """Which one, and why."""

    release: str = param(help=WORD, positional=True, metavar="RELEASE")
    reason: str = param("", help="why, for those who ask later", metavar="TEXT")


def plan_quarantine(ctx: Context, params: QuarantineParams) -> Plan:
    """What would be refused."""
    release = ctx.catalog.releases.get(params.release)
    live = ctx.catalog.releases.live(release.id)
    steps = [Step(f"refuse to roll {release.label} out from now on", release.id)]
    steps += [Step(f"it stays live in {name}: roll that back by itself") for name in live]
    words = ["mlconsole", "release", "quarantine", release.short, f"--reason={params.reason}"]
    return Plan("release quarantine", Effect.WRITE, tuple(steps), command=shlex.join(words))


def quarantine(ctx: Context, params: QuarantineParams) -> Done:
    """Refuse a release from now on, by its digest."""
    release = ctx.catalog.releases.get(params.release)
    reason = params.reason or f"{ctx.settings.user} said so"
    ctx.write(lambda db: put_quarantine(db, release.id, reason, ctx.settings.user, ctx.clock()), durable=True)
    return Done("release", f"{release.label} is quarantined: {reason}.", fields={"id": release.id, "reason": reason})


def plan_lift(ctx: Context, params: ReleaseParams) -> Plan:
    """What would be allowed again."""
    release = ctx.catalog.releases.get(params.release)
    command = shlex.join(["mlconsole", "release", "lift", release.short])
    return Plan(
        "release lift", Effect.WRITE, (Step(f"let {release.label} be rolled out again", release.id),), command=command
    )


def lift(ctx: Context, params: ReleaseParams) -> Done:
    """Let a quarantined release be rolled out again."""
    release = ctx.catalog.releases.get(params.release)
    if not ctx.write(lambda db: lift_quarantine(db, release.id), durable=True):
        raise NotFound(f"{release.label} is not quarantined.")
    return Done("release", f"{release.label} may be rolled out again.", fields={"id": release.id})


CREATE = Action(
    "release create",
    "Bind code, data, model, configuration and libraries into a release",
    CreateParams,
    Effect.WRITE,
    create,
    plan_create,
    target=lambda p: p.name or p.model or "",
    examples=(
        "mlconsole release create --model digits@2 --code service --config serve.toml --lock lock.txt --name v2",
        "mlconsole release create --base v2 --data november --name v3",
    ),
)
LIST = Action("release list", "List releases and where they are live", NoParams, Effect.READ, list_releases)
SHOW = Action("release show", "Show a release, its parts and their contracts", ReleaseParams, Effect.READ, show)
DIFF = Action("release diff", "Compare two releases", DiffParams, Effect.READ, diff)
QUARANTINE = Action(
    "release quarantine",
    "Refuse a release from now on",
    QuarantineParams,
    Effect.WRITE,
    quarantine,
    plan_quarantine,
    target=lambda p: p.release,
)
LIFT = Action(
    "release lift",
    "Let a quarantined release be rolled out again",
    ReleaseParams,
    Effect.WRITE,
    lift,
    plan_lift,
    target=lambda p: p.release,
)
