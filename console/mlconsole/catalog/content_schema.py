"""The tables of datasets, models and lineage.

A dataset's manifest is kept by partition, each one once: versions that share a folder share its rows. What a version,
an alias's move, a node or an edge says is never changed or taken back. Lineage outlives its runs: nothing of it hangs
on a run's row. What was ingested before there was lineage gets its nodes and edges here.
"""

from __future__ import annotations

LOGGED_FILES = """
CREATE TABLE logged_file (
    digest TEXT NOT NULL,
    node INTEGER NOT NULL REFERENCES node(n),
    path TEXT NOT NULL,
    PRIMARY KEY (digest, node, path)
) STRICT, WITHOUT ROWID;
"""

CONTENT = """
CREATE TABLE dataset (
    n INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    files INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    columns TEXT,
    row_count INTEGER,
    note TEXT NOT NULL
) STRICT;
CREATE TABLE dataset_version (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    dataset INTEGER NOT NULL REFERENCES dataset(n),
    added_us INTEGER NOT NULL,
    added_by TEXT NOT NULL,
    UNIQUE (name, version),
    UNIQUE (name, dataset)
) STRICT;
CREATE INDEX dataset_version_dataset ON dataset_version(dataset);
CREATE TABLE dataset_place (
    dataset INTEGER NOT NULL REFERENCES dataset(n),
    source BLOB NOT NULL,
    is_pattern INTEGER NOT NULL,
    host TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (dataset, source, is_pattern, host)
) STRICT, WITHOUT ROWID;
CREATE TABLE dataset_partition (
    n INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE dataset_part (
    dataset INTEGER NOT NULL REFERENCES dataset(n),
    folder BLOB NOT NULL,
    partition INTEGER NOT NULL REFERENCES dataset_partition(n),
    PRIMARY KEY (dataset, folder)
) STRICT, WITHOUT ROWID;
CREATE TABLE dataset_entry (
    partition INTEGER NOT NULL REFERENCES dataset_partition(n),
    path BLOB NOT NULL,
    kind TEXT NOT NULL,
    is_executable INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (partition, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_entry_digest ON dataset_entry(digest);
CREATE TABLE file_digest (
    dev INTEGER NOT NULL,
    ino INTEGER NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (dev, ino)
) STRICT, WITHOUT ROWID;

CREATE TABLE model (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE model_version (
    n INTEGER PRIMARY KEY,
    model INTEGER NOT NULL REFERENCES model(n),
    version INTEGER NOT NULL,
    digest TEXT NOT NULL,
    run_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    registered_us INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    UNIQUE (model, version),
    UNIQUE (model, digest, run_id)
) STRICT;
CREATE INDEX model_version_digest ON model_version(digest);
CREATE TABLE model_file (
    version INTEGER NOT NULL REFERENCES model_version(n),
    path BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    digest BLOB NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (version, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE model_alias (
    model INTEGER NOT NULL REFERENCES model(n),
    alias TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_version(model, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE model_alias_move (
    n INTEGER PRIMARY KEY,
    model INTEGER NOT NULL REFERENCES model(n),
    alias TEXT NOT NULL,
    before INTEGER,
    after INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL
) STRICT;
CREATE INDEX model_alias_move_of ON model_alias_move(model, alias, n);

CREATE TABLE node (
    n INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX node_label ON node(label, n);
CREATE TABLE edge (
    below INTEGER NOT NULL REFERENCES node(n),
    above INTEGER NOT NULL REFERENCES node(n),
    role TEXT NOT NULL,
    PRIMARY KEY (below, above, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_down ON edge(above, below, role);

CREATE TRIGGER dataset_version_stays BEFORE DELETE ON dataset_version
BEGIN
    SELECT RAISE(ABORT, 'dataset versions are never deleted');
END;
CREATE TRIGGER dataset_version_is_fixed BEFORE UPDATE ON dataset_version
BEGIN
    SELECT RAISE(ABORT, 'dataset versions are never changed');
END;
CREATE TRIGGER dataset_entry_stays BEFORE DELETE ON dataset_entry
BEGIN
    SELECT RAISE(ABORT, 'manifests are never deleted');
END;
CREATE TRIGGER dataset_entry_is_fixed BEFORE UPDATE ON dataset_entry
BEGIN
    SELECT RAISE(ABORT, 'manifests are never changed');
END;
CREATE TRIGGER model_version_stays BEFORE DELETE ON model_version
BEGIN
    SELECT RAISE(ABORT, 'model versions are never deleted');
END;
CREATE TRIGGER model_version_is_fixed BEFORE UPDATE ON model_version
BEGIN
    SELECT RAISE(ABORT, 'model versions are never changed');
END;
CREATE TRIGGER model_alias_move_stays BEFORE DELETE ON model_alias_move
BEGIN
    SELECT RAISE(ABORT, 'the history of an alias is never deleted');
END;
CREATE TRIGGER model_alias_move_is_fixed BEFORE UPDATE ON model_alias_move
BEGIN
    SELECT RAISE(ABORT, 'the history of an alias is never changed');
END;
CREATE TRIGGER node_stays BEFORE DELETE ON node
BEGIN
    SELECT RAISE(ABORT, 'lineage is never deleted');
END;
CREATE TRIGGER node_is_fixed BEFORE UPDATE ON node
BEGIN
    SELECT RAISE(ABORT, 'lineage is never changed');
END;
CREATE TRIGGER edge_stays BEFORE DELETE ON edge
BEGIN
    SELECT RAISE(ABORT, 'lineage is never deleted');
END;
CREATE TRIGGER edge_is_fixed BEFORE UPDATE ON edge
BEGIN
    SELECT RAISE(ABORT, 'lineage is never changed');
END;

CREATE TEMP VIEW old_file AS
SELECT run, kind, name, at_us, CASE
    WHEN (digest GLOB 'sha256:*' OR digest GLOB 'sha256-*:*' OR digest GLOB 'blake3:*')
        AND length(substr(digest, instr(digest, ':') + 1)) = 64
        AND substr(digest, instr(digest, ':') + 1) NOT GLOB '*[^0-9a-f]*'
    THEN digest
    ELSE kind || ':' || name || '@' || digest
END AS key
FROM main.artifact
WHERE digest != '';
INSERT INTO node (kind, key, label, at_us)
SELECT 'run', 'run:' || id, name, created_us FROM run WHERE true
ON CONFLICT DO NOTHING;
INSERT INTO node (kind, key, label, at_us)
SELECT 'code', 'git:' || commit_id, 'commit ' || substr(commit_id, 1, 12), created_us
FROM run
WHERE commit_id IS NOT NULL
ON CONFLICT DO NOTHING;
INSERT INTO node (kind, key, label, at_us)
SELECT kind, key, name, at_us FROM old_file WHERE true
ON CONFLICT DO NOTHING;
INSERT INTO edge (below, above, role)
SELECT below.n, above.n, CASE
    WHEN CASE WHEN json_valid(detail.code) THEN json_extract(detail.code, '$.dirty') END
    THEN 'code with changes'
    ELSE 'code'
END
FROM run
LEFT JOIN detail ON detail.run = run.n
JOIN node AS below ON below.key = 'run:' || run.id
JOIN node AS above ON above.key = 'git:' || run.commit_id
WHERE true
ON CONFLICT DO NOTHING;
INSERT INTO edge (below, above, role)
SELECT below.n, above.n, 'used'
FROM old_file
JOIN run ON run.n = old_file.run
JOIN node AS below ON below.key = 'run:' || run.id
JOIN node AS above ON above.key = old_file.key
WHERE old_file.kind = 'dataset'
ON CONFLICT DO NOTHING;
INSERT INTO edge (below, above, role)
SELECT below.n, above.n, 'made'
FROM old_file
JOIN run ON run.n = old_file.run
JOIN node AS below ON below.key = old_file.key
JOIN node AS above ON above.key = 'run:' || run.id
WHERE old_file.kind != 'dataset'
ON CONFLICT DO NOTHING;
DROP VIEW temp.old_file;
"""
