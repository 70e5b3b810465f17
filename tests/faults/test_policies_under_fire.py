"""Policies and alerts under fire: two watchers, a stopped leader, flapping, people who step in. F-35, F-37, F-38."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalogkit import MadeRun, put_runs
from fakes.counting import CountingBackend, Killed
from mlconsole.actions.execute import execute
from mlconsole.actions.sync import observe_live
from mlconsole.actions.teardown import TEARDOWN, TeardownParams
from mlconsole.catalog.alerts import tell
from mlconsole.catalog.event_stream import emit
from mlconsole.domain.alerts import AlertRules, AlertState, Signal, Verdict
from mlconsole.domain.policies import FiringState, Policy
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.watching import Watcher
from mlconsole.errors import LeaseLost
from mlconsole.plugin_api import Handle, Observation
from mlconsole.policy.carrying_out import carry_out
from mlconsole.policy.evaluation import evaluate
from policykit import Clock, Desk

FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"
ALERTS = 300 if FULL else 60
SEED = 37
TAG = """
[policy.tag]
when = "alert.opened"
do = "run tag"
with = { run = "aaaa", tags = ["{cause}"] }
allow = true
in_flight = 1000
per_day = 1000
"""
RETRAIN = """
[policy.retrain]
when = "{when}"
do = "launch"
with = {{ command = ["true"], cwd = "/", experiment = "retrain" }}
allow = true
{more}
"""


class Obeying(CountingBackend):
    """A backend whose jobs end when they are told to."""

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        self.ended[handle.token] = Outcome.CANCELLED
        return super().cancel(handle, grace_s)


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    made = Desk(home, Clock(), Obeying())
    yield made
    made.close()


def jobs(desk: Desk) -> Counter[str]:
    assert isinstance(desk.backend, CountingBackend)
    return desk.backend.jobs


def alarm(desk: Desk, number: int) -> None:
    signal = Signal(f"cause-{number}", "run", "run:aaaa", Verdict.BAD, f"alert {number}")
    desk.catalog.write(lambda db: tell(db, signal, desk.clock.now))


def tagged(desk: Desk) -> Counter[str]:
    """How often each tag was put on, by what the audit log says."""
    rows = desk.catalog.audit.newest(10_000)
    return Counter(row.params["tags"][0] for row in rows if row.action == "run tag" and row.phase == "begin")  # type: ignore[index]


def test_two_watchers_that_take_turns_act_on_each_alert_once(desk: Desk) -> None:
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    put_runs(desk.catalog, [MadeRun("aaaa")])
    (policy,) = desk.arm(TAG)
    pair = [desk.claim(), desk.claim(desk.process(pid=os.getppid()))]
    stale: dict[int, Watcher] = {}
    told = 0
    while told < ALERTS:
        for _ in range(rng.randint(1, 20)):
            alarm(desk, told % ALERTS)  # The same alert, told again after a restart, is the same incident.
            told += 1
        leader = pair[rng.random() < 0.5]
        if leader.keep():
            desk.work(leader)
        elif rng.random() < 0.5:
            desk.clock.passes(seconds=11)  # The other one is stopped past its lease.
            stale |= {other.fence: other.me for other in pair if other is not leader and other.fence is not None}
            assert leader.keep()
        for fence, me in stale.items():
            _comes_too_late(desk, fence, me, policy)
    desk.clock.passes(seconds=11)
    last = desk.claim()
    for number in range(ALERTS):
        alarm(desk, number)
    desk.work(last)

    causes = [f"cause-{number}" for number in range(ALERTS)]
    assert Counter(desk.states()) == Counter(done=ALERTS)
    assert tagged(desk) == Counter(causes)
    assert len(desk.catalog.alerts.listed(limit=10_000)) == ALERTS


def _comes_too_late(desk: Desk, fence: int, me: Watcher, policy: Policy) -> None:
    """One that was stopped goes on as if nothing had been: whatever it begins is refused."""
    due = desk.catalog.firings.in_state(FiringState.DUE)
    if desk.catalog.events.last() > desk.catalog.alerts.cursor("evaluation"):
        with pytest.raises(LeaseLost):
            evaluate(desk.ctx, fence, desk.clock.boot)
    for firing in due[:1]:
        with pytest.raises(LeaseLost):
            carry_out(desk.ctx, firing, policy, me, fence)


FLAPS = AlertRules(k=2, n=3, m=3, cool_down_s=600.0)


def drift(desk: Desk, verdict: Verdict, rules: AlertRules = FLAPS) -> None:
    signal = Signal("monitor:churn", "monitor", "monitor:churn", verdict, "churn moved", rules=rules,
                    data={"monitor": "churn"}, opens="drift.opened")  # fmt: skip
    desk.catalog.write(lambda db: tell(db, signal, desk.clock.now))


def test_what_flaps_a_thousand_times_an_hour_is_one_incident_and_sets_off_one_retrain(desk: Desk) -> None:
    desk.arm(RETRAIN.format(when="drift.opened", more='cooldown = "1h"\nper_day = 2\nin_flight = 9'))
    leader = desk.claim()

    def hour(db: sqlite3.Connection) -> None:
        for number in range(1000):
            verdict = (Verdict.BAD, Verdict.CLEAN, Verdict.CLEAN)[number % 3]
            signal = Signal("monitor:churn", "monitor", "monitor:churn", verdict, "churn moved", rules=FLAPS,
                            opens="drift.opened")  # fmt: skip
            tell(db, signal, desk.clock.now)
            desk.clock.passes(seconds=3.6)

    drift(desk, Verdict.BAD)
    drift(desk, Verdict.BAD)
    desk.catalog.write(hour)
    desk.work(leader)
    for _ in range(4):
        drift(desk, Verdict.CLEAN)
        desk.clock.passes(minutes=5)
    desk.clock.passes(seconds=11)
    desk.work(desk.claim())

    (alert,) = desk.catalog.alerts.listed(tuple(AlertState))
    assert alert.state is AlertState.RESOLVED
    changes = [change.state for change in desk.catalog.alerts.changes(alert.number)]
    assert changes == [AlertState.PENDING, AlertState.FIRING, AlertState.RESOLVED]
    assert sum(jobs(desk).values()) == 1 and desk.states() == ["done"]


def test_drift_that_persists_after_the_retrain_retrains_no_second_time(desk: Desk) -> None:
    desk.arm(RETRAIN.format(when="drift.opened", more='cooldown = "6h"\nper_day = 2'))
    for _ in range(48):  # Two days, a look an hour: the retrain ends at once and changes nothing.
        drift(desk, Verdict.BAD)
        leader = desk.claim()
        desk.work(leader)
        leader.let_go()
        desk.backend.ended = dict.fromkeys(jobs(desk), Outcome.SUCCEEDED)  # type: ignore[attr-defined]
        observe_live(desk.ctx)
        desk.clock.passes(hours=1)

    assert sum(jobs(desk).values()) == 1
    assert [alert.state for alert in desk.catalog.alerts.listed(tuple(AlertState))] == [AlertState.FIRING]


def test_drift_that_comes_back_every_hour_is_held_back_by_cool_down_and_daily_limit(desk: Desk) -> None:
    desk.arm(RETRAIN.format(when="drift.opened", more='cooldown = "6h"\nper_day = 2\nin_flight = 9'))
    once = AlertRules(cool_down_s=0.0)
    for _ in range(24):
        drift(desk, Verdict.BAD, once)
        drift(desk, Verdict.CLEAN, once)
        leader = desk.claim()
        desk.work(leader)
        leader.let_go()
        desk.clock.passes(hours=1)

    states = Counter(desk.states())
    assert states == Counter(done=2, held=22) and sum(jobs(desk).values()) == 2
    whys = {firing.why.partition(":")[0] for firing in desk.catalog.firings.of_policy("retrain", 100)}
    assert {"cool-down", "limit"} <= whys


def test_a_rollback_while_a_retrain_runs_starts_no_second_one(desk: Desk) -> None:
    desk.arm(RETRAIN.format(when="rollout.failed", more=""))
    told = {"environment": "prod", "release": "r2", "generation": 3, "before": "r1", "user": "ann"}
    for kind in ("rollout.failed", "rollout.done", "rollout.failed", "rollout.done"):
        desk.catalog.write(lambda db, kind=kind: emit(db, kind, "environment:prod", told, desk.clock.now))
        leader = desk.claim()
        desk.work(leader)
        leader.let_go()
        desk.clock.passes(minutes=5)

    assert sum(jobs(desk).values()) == 1 and desk.states() == ["done", "held"]
    assert "in flight" in desk.catalog.firings.of_policy("retrain")[0].why


def test_a_teardown_while_a_killed_watchers_launch_is_recovered_leaves_nothing(desk: Desk) -> None:
    desk.arm(RETRAIN.format(when="dataset.added", more=""))
    desk.add_dataset("d")
    first = desk.claim(desk.dead_process())
    desk.backend.dies = "after"  # type: ignore[attr-defined]
    with pytest.raises(Killed):
        desk.work(first)
    (run,) = desk.catalog.runs.load(desk.catalog.runs.live())
    assert run.state is State.SUBMITTING
    desk.clock.passes(seconds=61)
    execute(desk.ctx, TEARDOWN, TeardownParams((run.id,)), confirmed=True)
    for _ in range(4):
        second = desk.claim()
        desk.work(second)
        second.let_go()
        desk.clock.passes(hours=1)
        observe_live(desk.ctx)

    assert sum(jobs(desk).values()) == 1, "what was torn down is not started again"
    assert desk.catalog.runs.get(run.id).outcome is Outcome.CANCELLED
    assert desk.states() == ["done"]
