"""Puts what was read of run logs into the catalog's rows.

The offset of a log moves in the same transaction as what was read from it, so a crash at any point repeats nothing
and loses nothing; two processes that ingest at once do not add a point twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from mlconsole.catalog import metrics
from mlconsole.catalog.chunks import Points
from mlconsole.catalog.endings import settle
from mlconsole.catalog.events import apply_event, ensure_run
from mlconsole.catalog.logs import Piece
from mlconsole.catalog.names import KeyNumbers
from mlconsole.catalog.store import Store

MOST_DAMAGE = 100
SELECT_WRITER = "SELECT n FROM writer WHERE run = :run AND name = :name"
INSERT_WRITER = "INSERT INTO writer (run, name) VALUES (:run, :name)"
MOVE_OFFSET = "UPDATE writer SET offset = :after, schemas = :schemas WHERE n = :n AND offset = :before"
SELECT_RANK = "SELECT rank, outcome IS NOT NULL FROM writer WHERE n = :n"
CLOSE_WRITER = "UPDATE writer SET closed = 1, ended_us = coalesce(ended_us, :ended_us) WHERE n = :n"
COUNT_DAMAGE = "SELECT count(*) FROM damage WHERE run = :run"
INSERT_DAMAGE = """
INSERT INTO damage (run, writer, offset, length, message) VALUES (:run, :writer, :offset, :length, :message)
"""


def take_in(store: Store, pieces: Sequence[Piece], now: datetime) -> list[tuple[bool, bool]]:
    """Put pieces in, in one transaction; says of each whether it was new, and whether its writer is finished with."""
    # The marker of a finished log goes next, and must not vanish before what it stands for is on the disk.
    durable = any(piece.at_end and (piece.gone or _is_ended(piece)) for piece in pieces)

    def change(db: sqlite3.Connection) -> list[tuple[bool, bool]]:
        keys = KeyNumbers(db)
        return [_apply(db, piece, keys, now) for piece in pieces]

    return store.write(change, durable=durable)


def _is_ended(piece: Piece) -> bool:
    return any(event.get("e") == "end" for _, event in piece.batch.events)


def _apply(db: sqlite3.Connection, piece: Piece, keys: KeyNumbers, now: datetime) -> tuple[bool, bool]:
    """Put one piece in; returns whether it was new, and whether its writer is finished with."""
    marker = piece.marker
    run = ensure_run(db, marker.run, piece.batch.events, now)
    n = _writer_number(db, run, marker.writer)
    moved = {"n": n, "before": piece.before, "after": piece.after, "schemas": json.dumps(piece.schemas)}
    if db.execute(MOVE_OFFSET, moved).rowcount == 0:
        return False, False
    damage = [(d.offset, d.length, d.message) for d in piece.batch.damage]
    for offset, event in piece.batch.events:
        try:
            apply_event(db, run, n, event, now)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            damage.append((offset, 0, f"event that cannot be used: {type(error).__name__}"))
    rank, is_ended = db.execute(SELECT_RANK, {"n": n}).fetchone()
    for name, series in piece.batch.series.items():
        points = Points(series.steps, series.times, series.values)
        metrics.append(db, run, keys.of(name), n, rank, points, is_first=piece.before == 0)
    _note_damage(db, run, marker.writer, damage)
    if piece.gone:
        db.execute(CLOSE_WRITER, {"n": n, "ended_us": round(piece.touched_at * 1e6)})
    settle(db, run, now, piece.gone or "")
    return True, piece.at_end and (bool(is_ended) or piece.gone is not None)


def _writer_number(db: sqlite3.Connection, run: int, name: str) -> int:
    at = {"run": run, "name": name}
    row = db.execute(SELECT_WRITER, at).fetchone()
    number = row[0] if row is not None else db.execute(INSERT_WRITER, at).lastrowid
    assert number is not None
    return int(number)


def _note_damage(db: sqlite3.Connection, run: int, writer: str, damage: list[tuple[int, int, str]]) -> None:
    """Name damaged places, the first hundred of a run: a log of noise must not fill the catalog."""
    if not damage:
        return
    left = MOST_DAMAGE - db.execute(COUNT_DAMAGE, {"run": run}).fetchone()[0]
    rows = [
        {"run": run, "writer": writer, "offset": offset, "length": length, "message": message}
        for offset, length, message in damage[: max(0, left)]
    ]
    db.executemany(INSERT_DAMAGE, rows)
