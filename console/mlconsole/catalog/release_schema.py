"""The tables of releases, environments and rollouts.

Members, releases, moves of pointers and the journal of a rollout are never changed or taken back.
"""

from __future__ import annotations

RELEASES = """
CREATE TABLE member (
    n INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    axis TEXT NOT NULL,
    id TEXT NOT NULL,
    content TEXT NOT NULL,
    label TEXT NOT NULL,
    node TEXT NOT NULL,
    body TEXT NOT NULL,
    files TEXT NOT NULL
) STRICT;
CREATE INDEX member_id ON member(axis, id);
CREATE TABLE member_place (
    member INTEGER NOT NULL REFERENCES member(n),
    host TEXT NOT NULL,
    path BLOB NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (member, host, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE release (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX release_name ON release(name) WHERE name != '';
CREATE TABLE release_member (
    release INTEGER NOT NULL REFERENCES release(n),
    axis TEXT NOT NULL,
    member INTEGER NOT NULL REFERENCES member(n),
    PRIMARY KEY (release, axis)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_member_of ON release_member(member, release);
CREATE TABLE quarantine (
    release INTEGER PRIMARY KEY REFERENCES release(n),
    reason TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL
) STRICT;

CREATE TABLE environment (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    settings TEXT NOT NULL,
    host TEXT NOT NULL,
    allowed TEXT NOT NULL,
    is_production INTEGER NOT NULL,
    gates TEXT NOT NULL,
    bake_us INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    release INTEGER REFERENCES release(n),
    generation INTEGER NOT NULL DEFAULT 0,
    observed TEXT NOT NULL DEFAULT '',
    observed_us INTEGER,
    next_look_us INTEGER NOT NULL DEFAULT 0,
    breaker TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX environment_look ON environment(host, next_look_us) WHERE generation > 0;
CREATE INDEX environment_release ON environment(release);
CREATE TABLE pointer_move (
    environment INTEGER NOT NULL REFERENCES environment(n),
    generation INTEGER NOT NULL,
    release INTEGER NOT NULL REFERENCES release(n),
    before INTEGER REFERENCES release(n),
    rollout INTEGER NOT NULL REFERENCES rollout(n),
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (environment, generation)
) STRICT, WITHOUT ROWID;
CREATE INDEX pointer_move_at ON pointer_move(environment, at_us);
CREATE INDEX pointer_move_rollout ON pointer_move(rollout);
CREATE TABLE deployment (
    environment INTEGER NOT NULL REFERENCES environment(n),
    generation INTEGER NOT NULL,
    release INTEGER NOT NULL REFERENCES release(n),
    PRIMARY KEY (environment, generation)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    n INTEGER PRIMARY KEY,
    environment INTEGER NOT NULL REFERENCES environment(n),
    generation INTEGER NOT NULL,
    rollout INTEGER NOT NULL REFERENCES rollout(n),
    made_us INTEGER NOT NULL,
    delivered_us INTEGER,
    UNIQUE (environment, generation)
) STRICT;
CREATE TABLE rollout (
    n INTEGER PRIMARY KEY,
    environment INTEGER NOT NULL REFERENCES environment(n),
    kind TEXT NOT NULL,
    release INTEGER NOT NULL REFERENCES release(n),
    before INTEGER REFERENCES release(n),
    before_generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_us INTEGER NOT NULL,
    state_us INTEGER NOT NULL,
    intent TEXT NOT NULL DEFAULT 'go',
    override TEXT NOT NULL DEFAULT '',
    accepted TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    answers TEXT NOT NULL DEFAULT '[]',
    bake_until_us INTEGER,
    tries INTEGER NOT NULL DEFAULT 0,
    next_us INTEGER NOT NULL DEFAULT 0,
    parent INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    is_over INTEGER NOT NULL DEFAULT 0,
    holder TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX rollout_open ON rollout(next_us) WHERE is_over = 0;
CREATE INDEX rollout_environment ON rollout(environment, n);
CREATE INDEX rollout_parent ON rollout(parent) WHERE parent > 0;
CREATE TABLE rollout_step (
    n INTEGER PRIMARY KEY,
    rollout INTEGER NOT NULL REFERENCES rollout(n),
    state TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    words TEXT NOT NULL
) STRICT;
CREATE INDEX rollout_step_of ON rollout_step(rollout, n);
CREATE TABLE pin (
    environment INTEGER NOT NULL REFERENCES environment(n),
    axis TEXT NOT NULL,
    actor TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (environment, axis)
) STRICT, WITHOUT ROWID;
CREATE TABLE freeze (
    n INTEGER PRIMARY KEY,
    environment INTEGER NOT NULL REFERENCES environment(n),
    since_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX freeze_of ON freeze(environment, until_us);

CREATE TRIGGER member_stays BEFORE DELETE ON member
BEGIN
    SELECT RAISE(ABORT, 'members of releases are never deleted');
END;
CREATE TRIGGER member_is_fixed BEFORE UPDATE ON member
BEGIN
    SELECT RAISE(ABORT, 'members of releases are never changed');
END;
CREATE TRIGGER release_stays BEFORE DELETE ON release
BEGIN
    SELECT RAISE(ABORT, 'releases are never deleted');
END;
CREATE TRIGGER release_is_fixed BEFORE UPDATE OF n, id, created_us, created_by ON release
BEGIN
    SELECT RAISE(ABORT, 'releases are never changed');
END;
CREATE TRIGGER release_member_stays BEFORE DELETE ON release_member
BEGIN
    SELECT RAISE(ABORT, 'releases are never changed');
END;
CREATE TRIGGER release_member_is_fixed BEFORE UPDATE ON release_member
BEGIN
    SELECT RAISE(ABORT, 'releases are never changed');
END;
CREATE TRIGGER pointer_move_stays BEFORE DELETE ON pointer_move
BEGIN
    SELECT RAISE(ABORT, 'the history of an environment is never deleted');
END;
CREATE TRIGGER pointer_move_is_fixed BEFORE UPDATE ON pointer_move
BEGIN
    SELECT RAISE(ABORT, 'the history of an environment is never changed');
END;
CREATE TRIGGER pointer_counts_up BEFORE UPDATE OF generation ON environment
WHEN new.generation != old.generation + 1
BEGIN
    SELECT RAISE(ABORT, 'a pointer moves by one generation');
END;
CREATE TRIGGER rollout_stays BEFORE DELETE ON rollout
BEGIN
    SELECT RAISE(ABORT, 'rollouts are never deleted');
END;
CREATE TRIGGER rollout_step_stays BEFORE DELETE ON rollout_step
BEGIN
    SELECT RAISE(ABORT, 'the journal of a rollout is never deleted');
END;
CREATE TRIGGER rollout_step_is_fixed BEFORE UPDATE ON rollout_step
BEGIN
    SELECT RAISE(ABORT, 'the journal of a rollout is never changed');
END;
"""
