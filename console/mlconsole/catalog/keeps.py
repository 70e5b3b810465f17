"""GPUs that somebody asked to keep although they look idle."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mlconsole.catalog.rows import EPOCH, moment
from mlconsole.catalog.store import Store, storable
from mlconsole.domain.gpu_rows import Keep
from mlconsole.domain.times import to_us

KEEPS = """
CREATE TABLE keep (
    host TEXT NOT NULL,
    uuid TEXT NOT NULL,
    until_us INTEGER NOT NULL,
    why TEXT NOT NULL,
    who TEXT NOT NULL,
    PRIMARY KEY (host, uuid)
) STRICT, WITHOUT ROWID;
"""
PUT = """
INSERT INTO keep (host, uuid, until_us, why, who)
VALUES (:host, :uuid, :until_us, :why, :who)
ON CONFLICT (host, uuid) DO UPDATE SET until_us = excluded.until_us, why = excluded.why, who = excluded.who
"""
SELECT_ALL = "SELECT uuid, until_us, why, who FROM keep WHERE host = :host AND until_us > :now"


def put_keep(db: sqlite3.Connection, host: str, uuid: str, keep: Keep) -> None:
    """Keep a GPU until a moment; a later word replaces an earlier one."""
    row = {"host": storable(host), "uuid": uuid, "until_us": to_us(keep.until)}
    db.execute(PUT, {**row, "why": storable(keep.why), "who": storable(keep.who)})


def keeps_on(store: Store, host: str, now: datetime) -> dict[str, Keep]:
    """The GPUs of a host that are kept now, by their uuid."""
    rows = store.read(SELECT_ALL, {"host": storable(host), "now": to_us(now)})
    return {str(uuid): Keep(moment(until) or EPOCH, str(why), str(who)) for uuid, until, why, who in rows}
