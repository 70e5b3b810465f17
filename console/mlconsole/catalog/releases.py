"""Releases: members by what they are, the sets of them, where their bytes lie, and what is quarantined."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.lineage import put_edge, put_node
from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store, Values, storable
from mlconsole.domain.contracts import Axis
from mlconsole.domain.lineage import NodeKind
from mlconsole.domain.releases import Member, MemberFile, Quarantine, Release, canonical_member, member_of
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, AmbiguousName, NotFound

SELECT_MEMBER = "SELECT n FROM member WHERE digest = :digest"
INSERT_MEMBER = """
INSERT INTO member (digest, axis, id, content, label, node, body, files)
VALUES (:digest, :axis, :id, :content, :label, :node, :body, :files)
"""
PUT_PLACE = """
INSERT INTO member_place (member, host, path, at_us) VALUES (:member, :host, :path, :at_us)
ON CONFLICT DO UPDATE SET at_us = excluded.at_us
"""
SELECT_RELEASE = "SELECT n, name FROM release WHERE id = :id"
SELECT_NAME = "SELECT id FROM release WHERE name = :name"
INSERT_RELEASE = """
INSERT INTO release (id, name, created_us, created_by) VALUES (:id, :name, :at_us, :by)
"""
SET_NAME = "UPDATE release SET name = :name WHERE n = :n"
INSERT_RELEASE_MEMBER = "INSERT INTO release_member (release, axis, member) VALUES (:release, :axis, :member)"
COLUMNS = """
SELECT release.n, release.id, release.name, release.created_us, release.created_by,
       (SELECT json_group_array(json_array(member.body, member.label, member.node, member.digest))
        FROM release_member
        JOIN member ON member.n = release_member.member
        WHERE release_member.release = release.n)
FROM release
"""
SELECT_ALL = f"{COLUMNS} ORDER BY release.n DESC"
SELECT_ID = f"{COLUMNS} WHERE release.id = :word"
SELECT_NAMED = f"{COLUMNS} WHERE release.name = :word AND release.name != ''"
SELECT_PREFIX = f"{COLUMNS} WHERE release.id >= :word AND release.id < :after LIMIT 3"
SELECT_NUMBER = f"{COLUMNS} WHERE release.n = :n"
SELECT_FILES = "SELECT files FROM member WHERE digest = :digest"
SELECT_PLACES = """
SELECT place.path
FROM member_place AS place
JOIN member ON member.n = place.member
WHERE member.digest = :digest AND place.host = :host
ORDER BY place.at_us DESC
"""
SELECT_CANDIDATES = """
SELECT member.body, member.label, member.node, member.digest, max(release_member.release)
FROM member
JOIN release_member ON release_member.member = member.n
WHERE member.axis = :axis
GROUP BY member.n
ORDER BY 5 DESC, member.n DESC
LIMIT :most
"""
SELECT_SETS = """
SELECT release_member.release, json_group_array(member.digest)
FROM release_member
JOIN member ON member.n = release_member.member
GROUP BY release_member.release
"""
SELECT_QUARANTINES = """
SELECT release.id, quarantine.reason, quarantine.at_us, quarantine.actor
FROM quarantine
JOIN release ON release.n = quarantine.release
"""
SELECT_QUARANTINE = f"{SELECT_QUARANTINES} WHERE release.id = :id"
PUT_QUARANTINE = """
INSERT INTO quarantine (release, reason, at_us, actor)
VALUES ((SELECT n FROM release WHERE id = :id), :reason, :at_us, :by)
ON CONFLICT DO UPDATE SET reason = excluded.reason, at_us = excluded.at_us, actor = excluded.actor
"""
LIFT = "DELETE FROM quarantine WHERE release = (SELECT n FROM release WHERE id = :id)"
SELECT_LIVE = """
SELECT environment.name
FROM environment
JOIN release ON release.n = environment.release
WHERE release.id = :id
ORDER BY environment.name
"""
SELECT_EVALUATIONS = """
SELECT run.n
FROM key
JOIN tag ON tag.key = key.n
JOIN run ON run.n = tag.run
WHERE key.name = :tag AND tag.value IN (:id, :short, :name) AND tag.value != ''
ORDER BY run.n
"""
FEWEST_DIGITS = 4
DIGEST_CHARACTERS = frozenset("0123456789abcdef")
KINDS = {
    Axis.CODE: NodeKind.CODE,
    Axis.DATA: NodeKind.DATASET,
    Axis.MODEL: NodeKind.MODEL,
    Axis.CONFIG: NodeKind.CONFIG,
    Axis.ENV: NodeKind.ENVIRONMENT,
}


class NewMember(NamedTuple):
    """A member about to be kept: with its files, and where they lie on a host (empty where nobody has them)."""

    member: Member
    files: Sequence[MemberFile]
    path: str


class NewRelease(NamedTuple):
    """A release about to be kept."""

    id: str
    members: Sequence[NewMember]
    name: str
    host: str
    by: str
    at: datetime


def put_release(db: sqlite3.Connection, new: NewRelease) -> tuple[int, bool]:
    """Keep a release; returns its number and whether it is a new one. For a write transaction.

    Raises:
        ActionFailed: another release has its name, or it has another name already.
    """
    at = to_us(new.at)
    members = {one.member.axis: _put_member(db, one, new.host, at) for one in new.members}
    _refuse_taken(db, new)
    found = db.execute(SELECT_RELEASE, {"id": new.id}).fetchone()
    if found:
        _give_name(db, new, int(found[0]), str(found[1]))
        return int(found[0]), False
    row = {"id": new.id, "name": storable(new.name), "at_us": at, "by": storable(new.by)}
    number = db.execute(INSERT_RELEASE, row).lastrowid
    assert number is not None
    for axis, member in members.items():
        db.execute(INSERT_RELEASE_MEMBER, {"release": number, "axis": axis.value, "member": member})
    _note(db, new, at)
    _tell(db, new)
    return number, True


def _refuse_taken(db: sqlite3.Connection, new: NewRelease) -> None:
    taken = db.execute(SELECT_NAME, {"name": storable(new.name)}).fetchone() if new.name else None
    if taken and taken[0] != new.id:
        raise ActionFailed(f'Another release is called "{new.name}".', "Choose another name: --name NAME")


def _give_name(db: sqlite3.Connection, new: NewRelease, number: int, name: str) -> None:
    """Name a release that has no name yet; one that has keeps it, because others call it so."""
    wanted = storable(new.name)
    if name and wanted and wanted != name:
        raise ActionFailed(f'These parts are the release "{name}" already.', f"Use that: mlconsole release show {name}")
    if wanted and not name:
        db.execute(SET_NAME, {"n": number, "name": wanted})


def _put_member(db: sqlite3.Connection, new: NewMember, host: str, at_us: int) -> int:
    member = new.member
    found = db.execute(SELECT_MEMBER, {"digest": member.digest}).fetchone()
    number = int(found[0]) if found else _insert_member(db, new)
    if new.path:
        place = {"member": number, "host": storable(host), "path": os.fsencode(new.path), "at_us": at_us}
        db.execute(PUT_PLACE, place)
    return number


def _insert_member(db: sqlite3.Connection, new: NewMember) -> int:
    member = new.member
    row = {"digest": member.digest, "axis": member.axis.value, "id": member.id, "content": member.content}
    row |= {"label": storable(member.label), "node": storable(member.node)}
    files = json.dumps([[os.fsencode(f.path).hex(), f.digest, f.size_bytes, f.is_executable] for f in new.files])
    row |= {"body": canonical_member(member).decode("ascii"), "files": files}
    number = db.execute(INSERT_MEMBER, row).lastrowid
    assert number is not None
    return number


def _note(db: sqlite3.Connection, new: NewRelease, at_us: int) -> None:
    """Write the release into the lineage, below its members."""
    mine = put_node(db, NodeKind.RELEASE, f"release:{new.id}", new.name or new.id[:19], at_us)
    for one in new.members:
        member = one.member
        node = put_node(db, KINDS[member.axis], member.node or f"{member.axis}:{member.id}", member.label, at_us)
        put_edge(db, mine, node, member.axis.value)


def _tell(db: sqlite3.Connection, new: NewRelease) -> None:
    """Tell whoever waits for it that a release was made."""
    parts = {one.member.axis.value: one.member.label for one in new.members}
    told = {axis.value: parts.get(axis.value, "") for axis in Axis}
    data = {"release": new.id, "name": storable(new.name), "user": storable(new.by), **told}
    emit(db, "release.created", f"release:{new.id}", data, new.at)


def put_quarantine(db: sqlite3.Connection, release_id: str, reason: str, by: str, at: datetime) -> None:
    """Refuse a release from now on."""
    row = {"id": release_id, "reason": storable(reason), "at_us": to_us(at), "by": storable(by)}
    db.execute(PUT_QUARANTINE, row)


def lift_quarantine(db: sqlite3.Connection, release_id: str) -> bool:
    """Allow a release again; False when it was not refused."""
    return db.execute(LIFT, {"id": release_id}).rowcount > 0


class Releases:
    """The releases of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Release]:
        """Every release, the newest first."""
        return [_release(row) for row in self._store.read(SELECT_ALL)]

    def get(self, word: str) -> Release:
        """The release of that name, id, or unique start of an id.

        Raises:
            NotFound: none answers to it.
            AmbiguousName: several do.
        """
        rows = self._store.read(SELECT_NAMED, {"word": storable(word)})
        digits = word.removeprefix("blake3:")
        if not rows and len(digits) >= FEWEST_DIGITS and set(digits) <= DIGEST_CHARACTERS:
            start = f"blake3:{digits}"
            rows = self._store.read(SELECT_PREFIX, {"word": start, "after": f"{start}g"})
        if not rows:
            raise NotFound(f'No release "{word}" in this catalog.', "List them: mlconsole release list")
        if len(rows) > 1:
            raise AmbiguousName(f'"{word}" fits several releases.', "Give more of the id.")
        return _release(rows[0])

    def by_id(self, release_id: str) -> Release:
        """The release of that whole id.

        Raises:
            NotFound: there is none.
        """
        rows = self._store.read(SELECT_ID, {"word": release_id})
        if not rows:
            raise NotFound(f'No release "{release_id}" in this catalog.', "List them: mlconsole release list")
        return _release(rows[0])

    def files(self, member: Member) -> tuple[MemberFile, ...]:
        """The files of a member, by path."""
        rows = self._store.read(SELECT_FILES, {"digest": member.digest})
        found = json.loads(rows[0][0]) if rows else []
        return tuple(
            MemberFile(os.fsdecode(bytes.fromhex(path)), digest, size, bool(x)) for path, digest, size, x in found
        )

    def places(self, member: Member, host: str) -> list[str]:
        """Where a member's files were on a host, the last known place first."""
        rows = self._store.read(SELECT_PLACES, {"digest": member.digest, "host": storable(host)})
        return [os.fsdecode(path) for (path,) in rows]

    def candidates(self, axis: Axis, most: int) -> list[Member]:
        """The members of an axis that were in a release, those of the newest release first."""
        rows = self._store.read(SELECT_CANDIDATES, {"axis": axis.value, "most": most})
        return [_member(*row[:4]) for row in rows]

    def sets(self) -> dict[frozenset[str], int]:
        """The numbers of releases by the digests of their members."""
        return {frozenset(json.loads(digests)): number for number, digests in self._store.read(SELECT_SETS)}

    def quarantine(self, release_id: str) -> Quarantine | None:
        """Why a release is refused; None while it is not."""
        rows = self._store.read(SELECT_QUARANTINE, {"id": release_id})
        return _quarantine(rows[0]) if rows else None

    def quarantines(self) -> Mapping[str, Quarantine]:
        """All that are refused, by the release's id."""
        return {row[0]: _quarantine(row) for row in self._store.read(SELECT_QUARANTINES)}

    def evaluations(self, release: Release, tag: str) -> list[int]:
        """Numbers of the runs whose tag says that they evaluate a release, the oldest first."""
        values: Values = {"tag": tag, "id": release.id, "short": release.short, "name": storable(release.name)}
        return [int(row[0]) for row in self._store.read(SELECT_EVALUATIONS, values)]

    def live(self, release_id: str) -> tuple[str, ...]:
        """The names of the environments that point to a release."""
        return tuple(str(row[0]) for row in self._store.read(SELECT_LIVE, {"id": release_id}))


def _release(row: Row) -> Release:
    number, id_, name, at, by, members = row
    found = [_member(*one) for one in json.loads(members)]
    return Release(number, str(id_), by_axis(found), moment(at) or EPOCH, str(by), str(name))


def by_axis(members: Iterable[Member]) -> dict[Axis, Member]:
    """The members in the order of their axes."""
    found = {member.axis: member for member in members}
    return {axis: found[axis] for axis in Axis if axis in found}


def _member(body: str, label: str, node: str, digest: str) -> Member:
    return member_of(json.loads(body), label=str(label), node=str(node), digest=str(digest))


def _quarantine(row: Row) -> Quarantine:
    release_id, reason, at, by = row
    return Quarantine(str(release_id), str(reason), moment(at) or EPOCH, str(by))
