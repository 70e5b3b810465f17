"""A night in a catalog: data drifts, a policy retrains and holds itself back, an endpoint answers late."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from consolekit import NOW

from fakes.backends import CalmBackend
from mlconsole.catalog.alerts import answer, tell
from mlconsole.catalog.event_stream import emit_run_ended
from mlconsole.catalog.run_changes import set_columns
from mlconsole.domain.alerts import AlertState, AlertStep, Part, Severity, Signal, Verdict
from policykit import Clock, Desk

NIGHT_S = 8 * 3600
POLICIES = """
[policy.retrain]
when = "drift.opened"
do = "launch"
with = { command = ["true"], cwd = "/", experiment = "retrain", name = "churn-again" }
cooldown = "6h"
per_day = 2
allow = true

[policy.deploy]
when = "run.ended"
if = "experiment:retrain outcome:succeeded"
do = "run tag"
with = { run = "{run}", tags = ["deploy"] }

[policy.calm]
when = "gpu.idle"
do = "teardown"
with = { targets = ["{run}"] }
"""
COLUMNS = ("tenure", "monthly_charges", "contract", "payment_method", "total_charges")


TITLE = 'monitor "churn": 7 of 40 columns moved, most of all tenure'


def a_night(home: Path, *, title: str = TITLE, now: datetime = NOW) -> None:
    """Fill a catalog with what the night before ``now`` brought."""
    desk = Desk(home, Clock(now - timedelta(seconds=NIGHT_S)), CalmBackend())
    try:
        _night(desk, title)
    finally:
        desk.close()


def _night(desk: Desk, title: str) -> None:
    desk.arm(POLICIES, "ada")
    leader = desk.claim()
    desk.work(leader)
    parts = tuple(
        Part(name, f"Wasserstein {0.31 / n:.2f} std, p < 1e-6", 0.31 / n) for n, name in enumerate(COLUMNS, 1)
    )
    drift = Signal("monitor:churn", "monitor", "monitor:churn", Verdict.BAD, title, parts=parts,
                   data={"monitor": "churn", "worst": "tenure", "effect": 0.31}, opens="drift.opened")  # fmt: skip
    _tell(desk, drift)
    desk.work(leader)
    desk.clock.passes(minutes=26)
    fares = Signal("monitor:fares", "monitor", "monitor:fares", Verdict.BAD, 'monitor "fares": 1 of 12 columns moved',
                   data={"monitor": "fares"}, opens="drift.opened")  # fmt: skip
    _tell(desk, fares)
    desk.work(leader)
    desk.clock.passes(minutes=170)
    _succeeds(desk)
    desk.work(leader)
    desk.clock.passes(minutes=200)
    late = Signal("endpoint:api", "endpoint", "endpoint:api", Verdict.BAD, 'endpoint "api": it took 812 ms',
                  Severity.CRITICAL, data={"endpoint": "api"})  # fmt: skip
    _tell(desk, late)
    _tell(desk, Signal("nan:x", "run", "run:x", Verdict.BAD, '"loss" of run "ranker" is no number since step 1,204'))
    desk.clock.passes(minutes=20)
    _tell(desk, Signal("nan:x", "run", "run:x", Verdict.CLEAN, "it is so no more"))
    found = {alert.cause: alert for alert in desk.catalog.alerts.listed()}
    step = AlertStep(AlertState.ACKED, "looking at the upstream export")
    desk.catalog.write(lambda db: answer(db, found["monitor:churn"], step, desk.clock.now, "ada", None))
    desk.work(leader)
    leader.let_go()


def _tell(desk: Desk, signal: Signal) -> None:
    desk.catalog.write(lambda db: tell(db, signal, desk.clock.now))


def _succeeds(desk: Desk) -> None:
    """The run that the policy launched ends well."""
    (firing,) = (each for each in desk.catalog.firings.of_policy("retrain") if each.run_id)

    def end(db: sqlite3.Connection) -> None:
        (number,) = db.execute("SELECT n FROM run WHERE id = ?", (firing.run_id,)).fetchone()
        set_columns(db, number, state="ended", outcome="succeeded", exit_code=0)
        emit_run_ended(db, number, desk.clock.now)

    desk.catalog.write(end)
