"""The tables of alerts, of what is to be told to whom, and of how far the stream of events has been worked on."""

from __future__ import annotations

ALERTS = """
CREATE TABLE alert (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    cause TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    looks TEXT NOT NULL,
    clean INTEGER NOT NULL,
    bad_us INTEGER,
    opened_us INTEGER,
    changed_us INTEGER NOT NULL,
    resolved_us INTEGER,
    until_us INTEGER,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_is_one ON alert(cause) WHERE state != 'resolved';
CREATE INDEX alert_state ON alert(state, n);
CREATE INDEX alert_cause ON alert(cause, n);

CREATE TABLE alert_part (
    alert INTEGER NOT NULL REFERENCES alert(n),
    name TEXT NOT NULL,
    words TEXT NOT NULL,
    effect REAL,
    seen_us INTEGER NOT NULL,
    PRIMARY KEY (alert, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_change (
    n INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alert(n),
    at_us INTEGER NOT NULL,
    state TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX alert_change_alert ON alert_change(alert, n);

CREATE TABLE notice (
    n INTEGER PRIMARY KEY,
    change INTEGER NOT NULL REFERENCES alert_change(n),
    notifier TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_us INTEGER NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    UNIQUE (change, notifier)
) STRICT;
CREATE INDEX notice_waiting ON notice(notifier, next_us) WHERE state = 'waiting';

CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
