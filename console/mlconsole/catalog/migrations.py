"""The catalog's tables, one numbered function a change, append only.

``user_version`` equals the number of migrations applied, so that a reader needs one pragma to know where it stands.
What is long and read for one run at a time lies in ``detail``, so that a scan over ``run`` stays short.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

Change = Callable[["Database"], None]

APPLICATION_ID = 0x4D4C434F  # "MLCO"

RUNS = """
CREATE TABLE experiment (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_given INTEGER NOT NULL DEFAULT 0,
    experiment INTEGER NOT NULL REFERENCES experiment(n),
    experiment_given INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    outcome TEXT,
    exit_code INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    reach TEXT NOT NULL DEFAULT 'ok',
    reach_since_us INTEGER,
    cleanup TEXT NOT NULL DEFAULT '',
    backend TEXT,
    token TEXT UNIQUE,
    handle TEXT,
    host TEXT NOT NULL DEFAULT '',
    user TEXT NOT NULL DEFAULT '',
    command TEXT NOT NULL DEFAULT '[]',
    cwd TEXT NOT NULL DEFAULT '',
    parent_id TEXT,
    commit_id TEXT,
    gpus INTEGER NOT NULL DEFAULT 0,
    gpu_s REAL NOT NULL DEFAULT 0,
    cost_microusd INTEGER,
    created_us INTEGER NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    seen_us INTEGER
) STRICT;
CREATE INDEX run_name ON run(name, n);
CREATE INDEX run_experiment ON run(experiment, n);
CREATE INDEX run_state ON run(state, n);
CREATE INDEX run_outcome ON run(outcome, n);
CREATE INDEX run_user ON run(user, n);
CREATE INDEX run_host ON run(host, n);
CREATE INDEX run_created ON run(created_us, n);
CREATE INDEX run_started ON run(started_us, n);
CREATE INDEX run_ended ON run(ended_us, n);
CREATE INDEX run_parent ON run(parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE detail (
    run INTEGER PRIMARY KEY REFERENCES run(n) ON DELETE CASCADE,
    traceback TEXT NOT NULL DEFAULT '',
    environment TEXT NOT NULL DEFAULT '{}',
    code TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE key (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE param (
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    key INTEGER NOT NULL REFERENCES key(n),
    value TEXT NOT NULL,
    text TEXT NOT NULL,
    num REAL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX param_num ON param(key, num, run);
CREATE INDEX param_text ON param(key, text, run);

CREATE TABLE tag (
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    key INTEGER NOT NULL REFERENCES key(n),
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_value ON tag(key, value, run);

CREATE TABLE metric (
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    key INTEGER NOT NULL REFERENCES key(n),
    last REAL,
    min REAL,
    max REAL,
    step INTEGER NOT NULL,
    count INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_last ON metric(key, last, run);
CREATE INDEX metric_min ON metric(key, min, run);
CREATE INDEX metric_max ON metric(key, max, run);

CREATE TABLE writer (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    name TEXT NOT NULL,
    rank INTEGER NOT NULL DEFAULT 0,
    pid INTEGER NOT NULL DEFAULT 0,
    is_main INTEGER NOT NULL DEFAULT 0,
    offset INTEGER NOT NULL DEFAULT 0,
    schemas TEXT NOT NULL DEFAULT '{}',
    outcome TEXT,
    exit_code INTEGER,
    ended_us INTEGER,
    closed INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    UNIQUE (run, name)
) STRICT;

CREATE TABLE chunk (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    key INTEGER NOT NULL REFERENCES key(n),
    writer INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    step_first INTEGER NOT NULL,
    stride INTEGER,
    buckets BLOB NOT NULL,
    vals BLOB NOT NULL,
    times BLOB NOT NULL,
    steps BLOB,
    UNIQUE (run, key, writer, seq)
) STRICT;

CREATE TABLE artifact (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER,
    digest TEXT NOT NULL DEFAULT '',
    at_us INTEGER NOT NULL,
    metadata TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX artifact_run ON artifact(run, n);

CREATE TABLE change (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    at_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    evidence TEXT NOT NULL
) STRICT;
CREATE INDEX change_run ON change(run, n);

CREATE TABLE damage (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    writer TEXT NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX damage_run ON damage(run, n);
"""

AUDIT = """
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    host TEXT NOT NULL,
    action TEXT NOT NULL,
    effect TEXT NOT NULL,
    phase TEXT NOT NULL,
    target TEXT NOT NULL,
    params TEXT NOT NULL,
    result TEXT NOT NULL,
    chain TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are never deleted');
END;
CREATE TRIGGER audit_keeps_words BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit rows are never changed');
END;
"""


def _runs(db: Database) -> None:
    _script(db, RUNS)


def _audit(db: Database) -> None:
    _script(db, AUDIT)


def _money(db: Database) -> None:
    from mlconsole.catalog.money_schema import MONEY  # Read only where there is something to migrate.

    _script(db, MONEY)


def _content(db: Database) -> None:
    from mlconsole.catalog.content_schema import CONTENT  # Read only where there is something to migrate.

    _script(db, CONTENT)


def _keeps(db: Database) -> None:
    from mlconsole.catalog.keeps import KEEPS

    _script(db, KEEPS)


def _events(db: Database) -> None:
    from mlconsole.catalog.watch_schema import EVENTS

    _script(db, EVENTS)


def _alerts(db: Database) -> None:
    from mlconsole.catalog.alert_schema import ALERTS

    _script(db, ALERTS)


def _releases(db: Database) -> None:
    from mlconsole.catalog.release_schema import RELEASES  # Read only where there is something to migrate.

    _script(db, RELEASES)


def _policies(db: Database) -> None:
    from mlconsole.catalog.policy_schema import POLICIES

    _script(db, POLICIES)


def _monitors(db: Database) -> None:
    from mlconsole.catalog.monitor_schema import MONITORS

    _script(db, MONITORS)


def _live_lineage(db: Database) -> None:
    from mlconsole.catalog.live_lineage import LIVE_LINEAGE

    _script(db, LIVE_LINEAGE)


def _withdrawals(db: Database) -> None:
    _script(db, "ALTER TABLE environment ADD COLUMN withdrawn TEXT NOT NULL DEFAULT '';\n")


def _queue(db: Database) -> None:
    from mlconsole.catalog.queue_schema import QUEUE

    _script(db, QUEUE)


def _causes(db: Database) -> None:
    _script(db, "CREATE INDEX caused_firing ON caused(firing);\n")


def _spans(db: Database) -> None:
    # Holds all that a duration is made of: sorting by it reads this in place of every run, in a third of the time.
    _script(db, "DROP INDEX run_started;\nCREATE INDEX run_started ON run(started_us, n, ended_us);\n")


def _baselines(db: Database) -> None:
    from mlconsole.catalog.monitor_schema import BASELINES

    _script(db, BASELINES)


def _logged_files(db: Database) -> None:
    from mlconsole.catalog.content_schema import LOGGED_FILES  # Read only where there is something to migrate.

    _script(db, LOGGED_FILES)


def _fed(db: Database) -> None:
    from mlconsole.catalog.monitor_schema import FED

    _script(db, FED)


MIGRATIONS: tuple[Change, ...] = (
    _runs,
    _audit,
    _money,
    _content,
    _keeps,
    _events,
    _alerts,
    _releases,
    _policies,
    _monitors,
    _live_lineage,
    _withdrawals,
    _queue,
    _causes,
    _spans,
    _baselines,
    _logged_files,
    _fed,
)
VERSION = len(MIGRATIONS)


def apply(db: Database) -> None:
    """Bring the database to :data:`VERSION`; each step commits with its record."""
    from sqlite_utils.migrations import Migrations  # 90 ms, needed only when there is something to migrate

    migrations = Migrations("mlconsole")
    for number, change in enumerate(MIGRATIONS, 1):
        migrations(name=f"{number:03}{change.__name__}")(_numbered(number, change))
    migrations.apply(db)


def _numbered(number: int, change: Change) -> Change:
    def run(db: Database) -> None:
        change(db)
        db.conn.execute(f"PRAGMA user_version = {number}")
        db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    return run


def _script(db: Database, script: str) -> None:
    """Run statements one by one: ``executescript`` would commit the transaction that holds them together."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if statement.strip() and sqlite3.complete_statement(statement):
            db.conn.execute(statement)
            statement = ""
