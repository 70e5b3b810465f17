"""The audit log: one row for what was asked and one for what came of it, chained by SHA-256."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mlconsole.catalog.rows import EPOCH, json_mapping, moment
from mlconsole.catalog.store import ANCHOR_NAME, Row, Store, storable
from mlconsole.domain.audit import AuditRow
from mlconsole.domain.times import to_us
from mlconsole.errors import CatalogError

SELECT_LAST = "SELECT seq, chain FROM audit ORDER BY seq DESC LIMIT 1"
INSERT = """
INSERT INTO audit (seq, at_us, actor, host, action, effect, phase, target, params, result, chain)
VALUES (:seq, :at_us, :actor, :host, :action, :effect, :phase, :target, :params, :result, :chain)
"""
SELECT_NEWEST = """
SELECT seq, at_us, actor, host, action, effect, phase, target, params, result, chain
FROM audit
WHERE seq < :before
ORDER BY seq DESC
LIMIT :limit
"""
SELECT_PIECE = """
SELECT seq, at_us, actor, host, action, effect, phase, target, params, result, chain
FROM audit
WHERE seq > :after
ORDER BY seq
LIMIT 1000
"""
FIELDS = ("seq", "at_us", "actor", "host", "action", "effect", "phase", "target", "params", "result")


class Entry(NamedTuple):
    """What is about to be recorded. ``phase`` is ``begin`` or ``end``; ``params`` hold no secrets."""

    at: datetime
    actor: str
    host: str
    action: str
    effect: str
    phase: str
    target: str
    params: Mapping[str, object]
    result: str = ""


def append(db: sqlite3.Connection, entry: Entry) -> int:
    """Add a row to the chain, inside the caller's write transaction; returns its sequence number."""
    last = db.execute(SELECT_LAST).fetchone() or (0, "")
    row: dict[str, object] = {
        "seq": last[0] + 1,
        "at_us": to_us(entry.at),
        "actor": storable(entry.actor),
        "host": storable(entry.host),
        "action": entry.action,
        "effect": entry.effect,
        "phase": entry.phase,
        "target": storable(entry.target),
        "params": json.dumps(dict(entry.params), sort_keys=True, default=str),
        "result": storable(entry.result),
    }
    row["chain"] = _link(last[1], tuple(row[name] for name in FIELDS))
    db.execute(INSERT, row)
    return int(last[0]) + 1


def _link(previous: str, fields: Row) -> str:
    """SHA-256 over the previous link and every field, each with its length before it."""
    parts: list[bytes] = []
    for value in (previous, *fields):
        data = str(value).encode("utf-8", "backslashreplace")
        parts += (len(data).to_bytes(8, "little"), data)
    return str(_sha256()(b"".join(parts)).hexdigest())


@cache
def _sha256() -> Callable[[bytes], Any]:
    from hashlib import sha256  # 5 ms: it loads OpenSSL

    return sha256


class Audit:
    """The audit log of one catalog.

    Its newest link is also kept in a file beside the catalog, one line for each row that was the last at some time:
    rows that are cut off the end of the table leave a sound chain, and are missed there.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._anchored = 0

    @property
    def anchor_path(self) -> Path:
        """The file of links outside the catalog."""
        return self._store.path.with_name(ANCHOR_NAME)

    def newest(self, limit: int = 100, before: int = 1 << 62) -> list[AuditRow]:
        """The newest rows first."""
        return [_row(row) for row in self._store.read(SELECT_NEWEST, {"limit": limit, "before": before})]

    def anchor(self) -> None:
        """Note the newest link outside the catalog. The rows are kept already: what fails here fails nothing."""
        try:
            rows = self._store.read(SELECT_LAST)
        except CatalogError:
            return
        if not rows or rows[0][0] <= self._anchored:
            return
        line = f"{rows[0][0]} {rows[0][1]}\n".encode()
        try:
            descriptor = os.open(self.anchor_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return
        try:
            os.write(descriptor, line)
            self._anchored = rows[0][0]
        except OSError:
            return
        finally:
            os.close(descriptor)

    def first_bad(self) -> int | None:
        """Sequence number of the first row that was changed, moved or removed; None when all is as it was written."""
        anchors = self._anchors()
        chain, expected = "", 1
        for row in self._rows():
            if row[0] != expected or _link(chain, row[:10]) != row[10]:
                return expected
            chain, expected = row[10], expected + 1
            if anchors.pop(row[0], chain) != chain:
                return int(row[0])
        return expected if anchors else None

    def _rows(self) -> Iterator[Row]:
        after = 0
        while rows := self._store.read(SELECT_PIECE, {"after": after}):
            yield from rows
            after = rows[-1][0]

    def _anchors(self) -> dict[int, str]:
        """The links noted outside, by sequence number; lines cut short by a crash say nothing."""
        try:
            lines = self.anchor_path.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return {}
        found: dict[int, str] = {}
        for line in lines:
            seq, _, chain = line.partition(" ")
            if seq.isdecimal() and len(chain) == 64:
                found.setdefault(int(seq), chain)
        return found


def _row(row: Row) -> AuditRow:
    seq, at, actor, host, action, effect, phase, target, params, result, chain = row
    return AuditRow(
        seq, moment(at) or EPOCH, str(actor), str(host), str(action), str(effect), str(phase), str(target),
        json_mapping(params), str(result), str(chain),
    )  # fmt: skip
