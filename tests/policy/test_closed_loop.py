"""The closed loop: drift, a retrain by rule, a release, gates, done or taken back; real processes, a pushed clock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from loopkit import SHIFT, Loop
from mlconsole.actions import environments, pins, release, rollback, rollout, run_stop
from mlconsole.actions.alert import incident
from mlconsole.domain.alerts import AlertState, Incident

MEASURED, RETRAINED = "launch measure", "launch retrain"
RELEASED = ["model register", "release create", "env rollout"]
USUAL = "monitor rebaseline"


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    yield made
    made.close()


def story(loop: Loop) -> Incident:
    """The one incident that the drift is."""
    (alert,) = [one for one in loop.ctx.catalog.alerts.listed(tuple(AlertState)) if one.source == "monitor"]
    return incident(loop.ctx, alert)


def done(loop: Loop) -> list[str]:
    """What the rules have done, in order."""
    return [firing.do for firing in loop.firings() if firing.state == "done"]


def by_moment(incident: Incident) -> list[list[str]]:
    """What is told of rules, by name, and of their effects: moment by moment, sorted in each."""
    told = [one for one in incident.timeline if "alert" not in one.kind and one.kind != "run.ended"]
    moments = groupby(told, lambda one: one.at)
    return [sorted(one.who if "policy" in one.kind else one.kind for one in group) for _, group in moments]


def test_drift_ends_in_a_better_release_by_rule_and_is_told_in_one_place(loop: Loop) -> None:
    loop.sees(400)
    loop.watch(minutes=2)
    assert loop.firings() == [] and loop.right_share(SHIFT) < 0.7

    loop.drifts()
    loop.goes_on()
    assert done(loop) == ["launch", "launch", *RELEASED]
    (retrain,) = [firing for firing in loop.firings() if firing.policy == "retrain"]
    assert retrain.cost_microusd == 500_000
    assert loop.live.pointer.generation == 2 and story(loop).timeline[-1].kind != "rollout.done"
    for _ in range(3):
        loop.sees(200, SHIFT)
        loop.watch(hours=1)

    assert loop.right_share(SHIFT) > 0.95
    assert loop.live.release is not None and loop.live.release.name == "cutter-2"
    assert loop.ctx.catalog.environments.moves(loop.live.number)[0].reason == "policy:promote"
    assert by_moment(story(loop)) == [
        ["drift.opened", "measure", "measure", "retrain", "retrain", "search"],
        ["model.registered", "register", "register"],
        ["release", "release", "release.created"],
        ["promote", "promote", "rollout committed"],
        ["gate pass", "gate pass", "monitor.rebaselined", "rollout done", "rollout.done", "usual", "usual"],
    ]
    assert done(loop) == ["launch", "launch", *RELEASED, USUAL]
    ended = [(one.kind, one.words) for one in story(loop).timeline][-1]
    assert ended[0] == "alert resolved" and ended[1].startswith("2 clean looks")
    (held,) = [firing for firing in loop.firings() if firing.policy == "search"]
    assert held.state == "held" and held.why == "budget: $0.00 spent + $24.00 for this one is more than $3.00 a month"
    by_rule = [row.action for row in loop.ctx.catalog.audit.newest(100) if row.actor.startswith("policy:")]
    assert sorted(set(by_rule)) == sorted({"launch", *RELEASED, USUAL}) and loop.ctx.catalog.audit.first_bad() is None


def test_a_retrain_that_is_no_better_is_taken_back_and_not_tried_again(loop: Loop) -> None:
    (loop.folder / "ill").touch()
    loop.drifts()
    loop.goes_on()
    for _ in range(4):
        loop.sees(200, SHIFT)
        loop.watch(hours=1)

    assert loop.live.release is not None and loop.live.release.name == "cutter-1"
    assert [move.generation for move in loop.ctx.catalog.environments.moves(loop.live.number)] == [3, 2, 1]
    assert loop.ctx.catalog.releases.quarantine(loop.ctx.catalog.releases.get("cutter-2").id)
    assert done(loop) == ["launch", "launch", *RELEASED]
    kinds = [one.kind for one in story(loop).timeline]
    assert kinds.index("gate fail") < kinds.index("rollout rolled back") < kinds.index("automatic done")
    assert "rollout.failed" in kinds


def test_a_retrain_that_somebody_stops_leaves_nothing_and_is_not_started_again(loop: Loop) -> None:
    (loop.folder / "slow").touch()
    loop.drifts()
    (retrain,) = [run for run in loop.runs() if run.experiment == "retrain"]
    loop.do(run_stop.STOP, (retrain.id,))
    loop.wait_for_runs()
    for _ in range(4):
        loop.sees(200, SHIFT)
        loop.watch(hours=1)

    assert done(loop) == ["launch", "launch"]
    assert len(loop.runs()) == 3 and not loop.ctx.catalog.runs.live()
    assert loop.live.pointer.generation == 1 and loop.live.observed.healthy


def test_what_somebody_takes_back_and_pins_during_a_retrain_the_rules_leave_as_it_is(loop: Loop) -> None:
    (loop.folder / "serve.toml").write_text("threads = 2\n")
    loop.do(release.CREATE, base="cutter-1", config=str(loop.folder / "serve.toml"), name="tuned")
    loop.do(environments.SET, "prod", gate=("http:/health",), bake="0s")
    loop.do(rollout.ROLLOUT, "prod", "tuned")
    (loop.folder / "slow").touch()
    loop.drifts()
    loop.do(rollback.ROLLBACK, "prod")
    loop.do(pins.PIN, "prod", reason="we look at it by hand")
    (loop.folder / "slow").unlink()
    loop.goes_on()
    for _ in range(2):
        loop.watch(hours=1)

    assert (loop.live.pointer.generation, loop.live.release and loop.live.release.name) == (3, "cutter-1")
    assert loop.right_share(0.0) > 0.95 and loop.ctx.catalog.rollouts.open() == []
    failed = next(one for one in story(loop).timeline if one.kind == "rollout failed")
    assert "the environment is pinned by ann: we look at it by hand" in failed.words
    assert done(loop).count("launch") == 2
