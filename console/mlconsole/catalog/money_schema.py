"""The tables of prices, leases, the ledger, budgets and teardowns.

Money outlives its runs: an account keeps what a run was called when it was opened, and nothing of the ledger hangs on
the run's row. A lease ends in the same transaction as its run, whatever ends it: a trigger does that. Its end is never
before what the ledger has already charged.
"""

from __future__ import annotations

MONEY = """
CREATE TABLE price (
    n INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    instance TEXT NOT NULL,
    region TEXT NOT NULL,
    gpu TEXT NOT NULL,
    gpu_count INTEGER NOT NULL,
    on_demand INTEGER,
    spot INTEGER,
    reserved INTEGER,
    owned INTEGER,
    as_of TEXT NOT NULL,
    source TEXT NOT NULL,
    imported_us INTEGER NOT NULL,
    UNIQUE (provider, instance, region, as_of)
) STRICT;

CREATE TABLE machine (
    n INTEGER PRIMARY KEY,
    host TEXT NOT NULL UNIQUE,
    gpus INTEGER NOT NULL,
    settled_us INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    awake_us INTEGER NOT NULL
) STRICT;

CREATE TABLE gpu (
    n INTEGER PRIMARY KEY,
    machine INTEGER NOT NULL REFERENCES machine(n),
    uuid TEXT NOT NULL,
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    UNIQUE (machine, uuid)
) STRICT;

CREATE TABLE rate (
    n INTEGER PRIMARY KEY,
    machine INTEGER NOT NULL REFERENCES machine(n),
    from_us INTEGER NOT NULL,
    microusd_per_h INTEGER NOT NULL,
    tenure TEXT NOT NULL,
    gpus INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT;
CREATE INDEX rate_machine ON rate(machine, n);

CREATE TABLE account (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    name TEXT NOT NULL,
    experiment TEXT NOT NULL,
    user TEXT NOT NULL,
    UNIQUE (run_id, attempt)
) STRICT;
CREATE INDEX account_run ON account(run);

CREATE TABLE lease (
    n INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(n),
    run INTEGER NOT NULL,
    machine INTEGER NOT NULL REFERENCES machine(n),
    gpu INTEGER NOT NULL,
    from_us INTEGER NOT NULL,
    until_us INTEGER,
    ended_us INTEGER
) STRICT;
CREATE UNIQUE INDEX lease_is_alone ON lease(machine, gpu) WHERE ended_us IS NULL AND gpu != 0;
CREATE INDEX lease_open ON lease(machine) WHERE ended_us IS NULL;
CREATE INDEX lease_ended ON lease(machine, ended_us);
CREATE INDEX lease_run ON lease(run);

CREATE TRIGGER lease_ends_with_its_run AFTER UPDATE OF state ON run WHEN NEW.state = 'ended'
BEGIN
    UPDATE lease
    SET ended_us = max(from_us, coalesce(NEW.ended_us, from_us),
                       (SELECT settled_us FROM machine WHERE machine.n = lease.machine))
    WHERE run = NEW.n AND ended_us IS NULL;
    UPDATE run
    SET gpu_s = coalesce((SELECT sum(ended_us - from_us) / 1000000.0 FROM lease WHERE run = NEW.n AND gpu != 0), gpu_s)
    WHERE n = NEW.n;
END;
CREATE TRIGGER lease_ends_without_its_run BEFORE DELETE ON run
BEGIN
    UPDATE lease
    SET ended_us = max(from_us, (SELECT settled_us FROM machine WHERE machine.n = lease.machine))
    WHERE run = OLD.n AND ended_us IS NULL;
END;

CREATE TABLE machine_time (
    n INTEGER PRIMARY KEY,
    machine INTEGER NOT NULL REFERENCES machine(n),
    from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL,
    microusd INTEGER NOT NULL
) STRICT;
CREATE INDEX machine_time_from ON machine_time(from_us);

CREATE TABLE ledger (
    n INTEGER PRIMARY KEY,
    machine_time INTEGER NOT NULL REFERENCES machine_time(n),
    machine INTEGER NOT NULL,
    day INTEGER NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL,
    account INTEGER NOT NULL,
    gpu INTEGER NOT NULL,
    gpu_us INTEGER NOT NULL,
    microusd INTEGER NOT NULL,
    energy_j INTEGER
) STRICT;
CREATE INDEX ledger_account ON ledger(account, to_us, from_us, gpu_us, microusd, energy_j);
CREATE INDEX ledger_time ON ledger(to_us);

CREATE TRIGGER ledger_keeps_rows BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never deleted');
END;
CREATE TRIGGER ledger_keeps_sums BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed');
END;
CREATE TRIGGER machine_time_keeps_rows BEFORE DELETE ON machine_time
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never deleted');
END;
CREATE TRIGGER machine_time_keeps_sums BEFORE UPDATE ON machine_time
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed');
END;

CREATE TABLE budget (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    microusd INTEGER NOT NULL,
    scope TEXT NOT NULL,
    who TEXT NOT NULL,
    period TEXT NOT NULL,
    is_hard INTEGER NOT NULL,
    set_us INTEGER NOT NULL
) STRICT;
CREATE TABLE budget_mark (
    budget INTEGER NOT NULL REFERENCES budget(n) ON DELETE CASCADE,
    period_us INTEGER NOT NULL,
    percent INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    PRIMARY KEY (budget, period_us, percent)
) STRICT, WITHOUT ROWID;

CREATE TABLE teardown (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_us INTEGER NOT NULL,
    grace_s REAL NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_us INTEGER NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    saved_microusd_per_h INTEGER,
    done_us INTEGER
) STRICT;
CREATE UNIQUE INDEX teardown_pending ON teardown(run) WHERE state = 'pending';
CREATE INDEX teardown_run ON teardown(run);

CREATE TABLE finaliser (
    run INTEGER NOT NULL REFERENCES run(n) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    command TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX finaliser_owed ON finaliser(run) WHERE state != 'done';
CREATE INDEX run_cleanup ON run(n) WHERE cleanup != '';
"""
