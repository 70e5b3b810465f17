"""Registered models: versions, files, and aliases that move by compare-and-swap."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.models import AliasMove, ModelFile, ModelPage, ModelVersion, Signature, Tensor
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, NotFound
from mlconsole.records import asdict

INSERT_MODEL = "INSERT INTO model (name) VALUES (:name) ON CONFLICT DO NOTHING"
SELECT_MODEL = "SELECT n FROM model WHERE name = :name"
SELECT_SAME = "SELECT version FROM model_version WHERE model = :model AND digest = :digest AND run_id = :run_id"
INSERT_VERSION = """
INSERT INTO model_version (model, version, digest, run_id, owner, registered_us, size_bytes, metrics)
VALUES (:model, (SELECT coalesce(max(version), 0) + 1 FROM model_version WHERE model = :model), :digest, :run_id,
        :owner, :at_us, :size_bytes, :metrics)
RETURNING n, version
"""
INSERT_FILE = """
INSERT INTO model_file (version, path, size_bytes, digest, signature)
VALUES (:version, :path, :size_bytes, :digest, :signature)
"""
SELECT_ALIAS = "SELECT version FROM model_alias WHERE model = :model AND alias = :alias"
SELECT_HAS = "SELECT 1 FROM model_version WHERE model = :model AND version = :version"
PUT_ALIAS = """
INSERT INTO model_alias (model, alias, version) VALUES (:model, :alias, :version)
ON CONFLICT DO UPDATE SET version = excluded.version
"""
INSERT_MOVE = """
INSERT INTO model_alias_move (model, alias, before, after, at_us, actor)
VALUES (:model, :alias, :before, :version, :at_us, :actor)
"""
COLUMNS = """
SELECT version.n, model.name, version.version, version.digest, version.run_id, version.owner, version.registered_us,
       version.size_bytes, version.metrics,
       (SELECT json_group_array(alias) FROM model_alias
        WHERE model_alias.model = model.n AND model_alias.version = version.version)
FROM model_version AS version
JOIN model ON model.n = version.model
"""
SELECT_ALL = f"{COLUMNS} ORDER BY model.name, version.version DESC"
SELECT_NAMED = f"{COLUMNS} WHERE model.name = :name ORDER BY version.version DESC"
SELECT_NUMBERED = f"{COLUMNS} WHERE model.name = :name AND version.version = :version"
SELECT_BY_ALIAS = f"""{COLUMNS}
JOIN model_alias AS alias ON alias.model = model.n AND alias.version = version.version
WHERE model.name = :name AND alias.alias = :alias
"""
SELECT_FILES = "SELECT path, size_bytes, digest, signature FROM model_file WHERE version = :n ORDER BY path"
SELECT_MOVES = """
SELECT move.alias, move.before, move.after, move.at_us, move.actor
FROM model_alias_move AS move
JOIN model ON model.n = move.model
WHERE model.name = :name
ORDER BY move.n DESC
"""


class NewModel(NamedTuple):
    """What is about to be registered; ``digest`` is that of its files together."""

    name: str
    digest: str
    run_id: str
    owner: str
    files: Sequence[ModelFile]
    metrics: Mapping[str, float | None]
    at: datetime


def put_model(db: sqlite3.Connection, new: NewModel) -> tuple[int, bool]:
    """Register files of a run; returns the version and whether it is a new one. For a write transaction."""
    name = {"name": storable(new.name)}
    db.execute(INSERT_MODEL, name)
    row: dict[str, object] = {"model": db.execute(SELECT_MODEL, name).fetchone()[0]}
    row |= {"digest": new.digest, "run_id": new.run_id}
    found = db.execute(SELECT_SAME, row).fetchone()
    if found:
        return int(found[0]), False
    row |= {"owner": storable(new.owner), "at_us": to_us(new.at), "metrics": json.dumps(dict(new.metrics))}
    row["size_bytes"] = sum(file.size_bytes for file in new.files)
    number, version = db.execute(INSERT_VERSION, row).fetchone()
    db.executemany(INSERT_FILE, [_file_row(number, file) for file in new.files])
    label = f"{new.name}@{version}"
    told = {"model": new.name, "version": version, "label": label, "digest": new.digest}
    emit(db, "model.registered", f"model:{label}", {**told, "run": new.run_id, "owner": new.owner}, new.at)
    return int(version), True


def _file_row(version: int, file: ModelFile) -> dict[str, object]:
    signature = json.dumps(asdict(file.signature))
    digest = bytes.fromhex(file.digest)
    path = os.fsencode(file.path)
    return {"version": version, "path": path, "size_bytes": file.size_bytes, "digest": digest, "signature": signature}


class AliasChange(NamedTuple):
    """An alias and the version it shall point to.

    ``expect`` is the version that it must point to before, 0 for none, None for any.
    """

    name: str
    alias: str
    version: int
    expect: int | None
    by: str
    at: datetime


def move_alias(db: sqlite3.Connection, change: AliasChange) -> int | None:
    """Point an alias to a version; returns where it pointed before. For a write transaction.

    Raises:
        NotFound: there is no such model or version.
        ActionFailed: it points elsewhere than expected.
    """
    found = db.execute(SELECT_MODEL, {"name": storable(change.name)}).fetchone()
    row: dict[str, object] = {"model": found and found[0], "version": change.version, "alias": storable(change.alias)}
    if db.execute(SELECT_HAS, row).fetchone() is None:
        raise NotFound(f'No model "{change.name}@{change.version}" in this catalog.', "See: mlconsole model list")
    standing = db.execute(SELECT_ALIAS, row).fetchone()
    before = int(standing[0]) if standing else None
    if change.expect is not None and change.expect != (before or 0):
        where = f"version {before}" if before else "no version"
        raise ActionFailed(
            f'"{change.alias}" points to {where}, not to {change.expect}; nothing was changed.',
            "Look again: mlconsole model list",
        )
    if before != change.version:
        db.execute(PUT_ALIAS, row)
        db.execute(INSERT_MOVE, {**row, "before": before, "at_us": to_us(change.at), "actor": storable(change.by)})
    return before


class Models:
    """The registered models of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[ModelVersion]:
        """Every version of every model, by name, the newest first."""
        return [_version(row) for row in self._store.read(SELECT_ALL)]

    def get(self, word: str) -> ModelVersion:
        """The version that a word names: ``NAME`` (the newest), ``NAME@VERSION`` or ``NAME@ALIAS``.

        Raises:
            NotFound: none answers to it.
        """
        rows = self._store.read(SELECT_NAMED, {"name": storable(word)})
        name, at, version = word.rpartition("@")
        named = {"name": storable(name)}
        if not rows and at and version.isdecimal() and version.isascii() and len(version) < 18:
            rows = self._store.read(SELECT_NUMBERED, {**named, "version": int(version)})
        elif not rows and at:
            rows = self._store.read(SELECT_BY_ALIAS, {**named, "alias": storable(version)})
        if not rows:
            raise NotFound(f'No model "{word}" in this catalog.', "List them: mlconsole model list")
        return _version(rows[0])

    def page(self, word: str) -> ModelPage:
        """A version with its files and the moves of its model's aliases."""
        version = self.get(word)
        files = tuple(_file(row) for row in self._store.read(SELECT_FILES, {"n": version.number}))
        moves = self._store.read(SELECT_MOVES, {"name": version.name})
        return ModelPage(version, files, tuple(_move(row) for row in moves))


def _version(row: Row) -> ModelVersion:
    number, name, version, digest, run_id, owner, at, size, metrics, aliases = row
    when = moment(at) or EPOCH
    pointing = tuple(sorted(str(alias) for alias in json.loads(aliases)))
    head = (number, str(name), version, str(digest), str(run_id), str(owner), when, size)
    return ModelVersion(*head, json.loads(metrics), pointing)


def _file(row: Row) -> ModelFile:
    path, size, digest, signature = row
    return ModelFile(os.fsdecode(path), size, digest.hex(), _signature(json.loads(signature)))


def _signature(found: dict[str, Any]) -> Signature:
    tensors = {
        group: tuple(Tensor(name, kind, tuple(shape)) for name, kind, shape in found[group])
        for group in ("tensors", "inputs", "outputs")
    }
    return Signature(found["format"], calls=tuple(found["calls"]), note=found["note"], more=found["more"], **tensors)


def _move(row: Row) -> AliasMove:
    alias, before, after, at, by = row
    return AliasMove(str(alias), before, after, moment(at) or EPOCH, str(by))
