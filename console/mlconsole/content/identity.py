"""The digests by which members and releases are called."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlconsole.content.hashing import text_digest
from mlconsole.domain.contracts import Axis
from mlconsole.domain.releases import Member, canonical, canonical_member
from mlconsole.records import replace

FINGERPRINT = 16


def named(member: Member) -> Member:
    """The member with its digest."""
    return replace(member, digest=f"blake3:{text_digest(canonical_member(member))}")


def release_id(members: Mapping[Axis, Member]) -> str:
    """The id of the release of these members."""
    return f"blake3:{text_digest(canonical(members))}"


def fingerprint(value: object) -> str:
    """A short digest of a value made of what JSON knows: for schemas and interfaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text_digest(text.encode("ascii"))[:FINGERPRINT]
