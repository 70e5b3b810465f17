"""The tables of the event stream and of the watcher's lease."""

from __future__ import annotations

EVENTS = """
CREATE TABLE event (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX event_subject ON event(subject, n);
CREATE INDEX event_at ON event(at_us);
CREATE TRIGGER event_keeps_rows BEFORE DELETE ON event
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;
CREATE TRIGGER event_keeps_words BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TABLE watcher (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    fence INTEGER NOT NULL,
    how TEXT NOT NULL,
    user TEXT NOT NULL,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_ticks INTEGER NOT NULL,
    pid_ns TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    since_awake_us INTEGER NOT NULL,
    released INTEGER NOT NULL DEFAULT 0
) STRICT;
"""
