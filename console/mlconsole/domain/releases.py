"""Releases: code, data, model, configuration and libraries that go together, named by what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlconsole.domain.contracts import Axis, Check, Contract, Requirement, Verdict, check, worst
from mlconsole.records import field, record

FORMAT = "mlconsole release 1"
SHORT = 12


@record
class Member:
    """One part of a release.

    Attributes:
        axis: which part.
        id: what it is: ``blake3:...``, ``git:...``, ``environment:...``.
        content: the digest of its bytes as files, empty where nobody has them.
        label: what people call it.
        contract: what it provides and requires.
        node: the key of its node in the lineage.
        digest: the digest of what it is, under which the catalog keeps it.
    """

    axis: Axis
    id: str
    content: str
    label: str
    contract: Contract
    node: str = ""
    digest: str = ""


@record
class MemberFile:
    """A file of a member: its path within it, and its BLAKE3 digest in hexadecimal digits."""

    path: str
    digest: str
    size_bytes: int = 0
    is_executable: bool = False


@record
class Release:
    """An immutable set of members; ``name`` is what people call it and no part of what it is."""

    number: int
    id: str
    members: Mapping[Axis, Member]
    created_at: datetime
    created_by: str
    name: str = ""

    @property
    def short(self) -> str:
        """The beginning of the id."""
        return short(self.id)

    @property
    def label(self) -> str:
        """The name, or else the beginning of the id."""
        return self.name or self.short

    @property
    def checks(self) -> tuple[Check, ...]:
        """Its contracts held against each other, the worst first."""
        return check({axis: member.contract for axis, member in self.members.items()})

    @property
    def verdict(self) -> Verdict:
        """The worst of its contracts."""
        return worst(self.checks)


@record
class Quarantine:
    """A release that may not be rolled out, and why."""

    release_id: str
    reason: str
    at: datetime
    by: str


@record
class ReleasePage:
    """A release with where it is and was live, and its quarantine."""

    release: Release
    live: tuple[str, ...] = ()
    quarantine: Quarantine | None = None
    places: Mapping[Axis, str] = field(default_factory=dict)


@record
class ReleaseDiff:
    """What two releases do not have in common: (what, before, after) of each."""

    before: Release
    after: Release
    rows: tuple[tuple[str, str, str], ...]


def short(release_id: str) -> str:
    """The beginning of a release's id, without the name of its digest."""
    return release_id.removeprefix("blake3:")[:SHORT]


def canonical_member(member: Member) -> bytes:
    """What a member is, as bytes that are the same for the same member."""
    return _bytes(_member(member))


def canonical(members: Mapping[Axis, Member]) -> bytes:
    """What a release is, as bytes that are the same for the same members; its id is their digest."""
    parts = {axis.value: _member(members[axis]) for axis in members}
    return _bytes({"format": FORMAT, "members": parts})


def _bytes(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _member(member: Member) -> dict[str, object]:
    """What makes a member what it is; what it is called, and where it stands in the lineage, does not."""
    contract = member.contract
    return {
        "axis": member.axis.value,
        "id": member.id,
        "content": member.content,
        "provides": dict(contract.provides),
        "requires": None if contract.requires is None else sorted(need.words for need in contract.requires),
        "closed": contract.is_closed,
        "note": contract.note,
    }


def member_of(body: Mapping[str, Any], *, label: str, node: str, digest: str) -> Member:
    """The member of what :func:`canonical_member` wrote, read back."""
    needs = body["requires"]
    requires = None if needs is None else tuple(_requirement(words) for words in needs)
    contract = Contract(body["provides"], requires, body["closed"], body["note"])
    return Member(Axis(body["axis"]), body["id"], body["content"], label, contract, node, digest)


def _requirement(words: str) -> Requirement:
    axis, _, rest = words.partition(":")
    cut = next((i for i, char in enumerate(rest) if char in "=<>!~"), len(rest))
    return Requirement(Axis(axis), rest[:cut], rest[cut:])


def compare_releases(before: Release, after: Release) -> ReleaseDiff:
    """The members, and what they provide and require, that two releases do not share."""
    old, new = _facts(before), _facts(after)
    rows = tuple((key, old.get(key, ""), new.get(key, "")) for key in old | new if old.get(key) != new.get(key))
    return ReleaseDiff(before, after, rows)


def _facts(release: Release) -> dict[str, str]:
    out: dict[str, str] = {}
    for axis in Axis:
        if (member := release.members.get(axis)) is None:
            continue
        out[axis.value] = member.id if member.label == member.id else f"{member.label} {member.id[:24]}"
        for key, value in member.contract.provides.items():
            out[f"{axis.value} provides {key}"] = value
        for need in member.contract.requires or ():
            out[f"{axis.value} requires {need.axis.value}:{need.key}"] = need.constraint or "any"
    return out
