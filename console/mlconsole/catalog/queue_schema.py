"""The tables of the queue: what a launched run was asked to be, where it stands in line, and its earlier attempts.

Whether a run waits follows its state by triggers, so that no way of ending it can leave it in line.
"""

from __future__ import annotations

QUEUE = """
CREATE TABLE job (
    run INTEGER PRIMARY KEY REFERENCES run(n) ON DELETE CASCADE,
    waits INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 1,
    host TEXT NOT NULL,
    user TEXT NOT NULL,
    priority INTEGER NOT NULL,
    place REAL NOT NULL,
    cpus INTEGER NOT NULL,
    gpus INTEGER NOT NULL,
    held_by TEXT NOT NULL DEFAULT '',
    not_before_us INTEGER NOT NULL DEFAULT 0,
    retries TEXT NOT NULL DEFAULT '{}',
    spec TEXT NOT NULL,
    parcel TEXT,
    claim TEXT,
    sweep INTEGER REFERENCES sweep(n)
) STRICT;
CREATE INDEX job_waits ON job(host, place) WHERE waits = 1;
CREATE INDEX job_claim ON job(run) WHERE claim IS NOT NULL;
CREATE INDEX job_sweep ON job(sweep) WHERE sweep IS NOT NULL;
CREATE TABLE job_after (
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    needs TEXT NOT NULL,
    whatever INTEGER NOT NULL,
    PRIMARY KEY (run, needs)
) STRICT, WITHOUT ROWID;
CREATE TABLE attempt (
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    token TEXT NOT NULL,
    outcome TEXT,
    exit_code INTEGER,
    reason TEXT NOT NULL,
    started_us INTEGER,
    ended_us INTEGER,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE sweep (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    user TEXT NOT NULL,
    grid TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;
CREATE TABLE host (
    name TEXT PRIMARY KEY,
    drained TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER job_waits_with_its_run AFTER UPDATE OF state ON run WHEN NEW.state IS NOT OLD.state
BEGIN
    UPDATE job SET waits = (NEW.state = 'queued') WHERE run = NEW.n;
END;
"""
