"""The tables of monitors. Baselines and windows are counts, packed; no row of data is among them."""

from __future__ import annotations

MONITORS = """
CREATE TABLE monitor (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    baseline TEXT NOT NULL,
    baseline_rows INTEGER NOT NULL,
    baseline_digest TEXT NOT NULL,
    profile BLOB NOT NULL,
    live TEXT NOT NULL,
    cut TEXT NOT NULL,
    how TEXT NOT NULL,
    every_us INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    progress TEXT NOT NULL DEFAULT '{}',
    checked_us INTEGER,
    trouble TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE monitor_window (
    n INTEGER PRIMARY KEY,
    monitor INTEGER NOT NULL REFERENCES monitor(n) ON DELETE CASCADE,
    key TEXT NOT NULL,
    label TEXT NOT NULL,
    began_us INTEGER NOT NULL,
    ended_us INTEGER NOT NULL,
    judged_us INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    drifted INTEGER NOT NULL,
    worst TEXT NOT NULL,
    worst_test TEXT NOT NULL,
    worst_effect REAL,
    worst_weight REAL NOT NULL,
    report BLOB NOT NULL,
    counts BLOB NOT NULL,
    UNIQUE (monitor, key)
) STRICT;
CREATE INDEX monitor_window_order ON monitor_window(monitor, n);
"""

FED = """
ALTER TABLE monitor ADD COLUMN fed_us INTEGER;
"""

BASELINES = """
CREATE TABLE monitor_baseline (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    monitor INTEGER NOT NULL REFERENCES monitor(n) ON DELETE CASCADE,
    source TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    digest TEXT NOT NULL,
    profile BLOB NOT NULL,
    since_us INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX monitor_baseline_order ON monitor_baseline(monitor, n);
INSERT INTO monitor_baseline (n, monitor, source, row_count, digest, profile, since_us, set_by, why)
SELECT n, n, baseline, baseline_rows, baseline_digest, profile, created_us, created_by, '' FROM monitor;
ALTER TABLE monitor_window ADD COLUMN baseline INTEGER REFERENCES monitor_baseline(n) ON DELETE CASCADE;
UPDATE monitor_window SET baseline = monitor;
ALTER TABLE monitor DROP COLUMN baseline;
ALTER TABLE monitor DROP COLUMN baseline_rows;
ALTER TABLE monitor DROP COLUMN baseline_digest;
ALTER TABLE monitor DROP COLUMN profile;
"""
