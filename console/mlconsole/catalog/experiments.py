"""Experiments: named groups of runs."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mlconsole.catalog.rows import moment
from mlconsole.catalog.store import Store, storable
from mlconsole.domain.experiments import Experiment
from mlconsole.domain.times import to_us

# Counted by index alone: the rows of a hundred thousand runs would be 40 ms.
SELECT_EXPERIMENTS = """
SELECT name,
       (SELECT count(*) FROM run WHERE experiment = experiment.n),
       coalesce(live.runs, 0),
       coalesce(failed.runs, 0),
       (SELECT created_us FROM run WHERE experiment = experiment.n ORDER BY n DESC LIMIT 1) AS newest
FROM experiment
LEFT JOIN (
    SELECT experiment, count(*) AS runs
    FROM run
    WHERE state IN ('submitting', 'queued', 'starting', 'running', 'stopping')
    GROUP BY experiment
) AS live ON live.experiment = experiment.n
LEFT JOIN (
    SELECT experiment, count(*) AS runs
    FROM run
    WHERE outcome IN ('failed', 'oom', 'timed_out', 'node_lost', 'never_started')
    GROUP BY experiment
) AS failed ON failed.experiment = experiment.n
ORDER BY newest DESC, experiment.n DESC
"""
INSERT_EXPERIMENT = "INSERT INTO experiment (name, created_us) VALUES (:name, :now)"
SELECT_EXPERIMENT = "SELECT n FROM experiment WHERE name = :name"


def all_experiments(store: Store) -> list[Experiment]:
    """Every experiment, the one with the newest run first."""
    return [
        Experiment(str(name), runs, running, failed, moment(last))
        for name, runs, running, failed, last in store.read(SELECT_EXPERIMENTS)
    ]


def experiment_number(db: sqlite3.Connection, name: str, now: datetime) -> int:
    """The number of an experiment, made if it is new."""
    row = db.execute(SELECT_EXPERIMENT, {"name": storable(name)}).fetchone()
    if row is not None:
        return int(row[0])
    number = db.execute(INSERT_EXPERIMENT, {"name": storable(name), "now": to_us(now)}).lastrowid
    assert number is not None
    return number
