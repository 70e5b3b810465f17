"""The tables of policies, their firings, and what these have caused."""

from __future__ import annotations

POLICIES = """
CREATE TABLE policy (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    body TEXT NOT NULL,
    applied_us INTEGER NOT NULL,
    applied_by TEXT NOT NULL,
    after_event INTEGER NOT NULL,
    cron_us INTEGER,
    is_armed INTEGER NOT NULL
) STRICT;

CREATE TABLE firing (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    policy INTEGER NOT NULL REFERENCES policy(n),
    key TEXT NOT NULL,
    event INTEGER,
    at_us INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    awake_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    action TEXT NOT NULL,
    given TEXT NOT NULL,
    chain TEXT NOT NULL,
    fence INTEGER,
    holder TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    begun INTEGER NOT NULL DEFAULT 0,
    run_id TEXT NOT NULL DEFAULT '',
    cost_microusd INTEGER,
    started_us INTEGER,
    ended_us INTEGER,
    who TEXT NOT NULL DEFAULT '',
    UNIQUE (policy, key)
) STRICT;
CREATE INDEX firing_state ON firing(state, n);
CREATE INDEX firing_policy ON firing(policy, n);
CREATE INDEX firing_at ON firing(at_us);
CREATE INDEX firing_event ON firing(event);

CREATE TABLE caused (
    what TEXT PRIMARY KEY,
    firing INTEGER NOT NULL REFERENCES firing(n)
) STRICT, WITHOUT ROWID;
"""
