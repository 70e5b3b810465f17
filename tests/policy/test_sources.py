"""What the watcher sees by itself: runs that stall or lose their numbers, GPUs, budgets, and what events say."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from catalogkit import NOW, MadeRun, put_runs
from mlconsole.catalog.alerts import cursor
from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.observations import apply_observation
from mlconsole.catalog.run_changes import set_columns
from mlconsole.domain.alerts import AlertState, Severity, Verdict
from mlconsole.domain.evidence import Holder
from mlconsole.domain.gpu import DriverState, GpuHealth, GpuReading, GpuSnapshot, Source, known
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.idle import IdleClass, Step
from mlconsole.domain.jobs import Observation
from mlconsole.domain.runs import Outcome, State
from mlconsole.policy.evaluation import NAME, evaluate
from mlconsole.policy.sources import gpus, runs
from mlconsole.policy.sources.base import take_in
from policykit import Desk


@pytest.fixture
def fence(desk: Desk) -> int:
    claim = desk.claim()
    assert claim.keep() and claim.fence is not None
    return claim.fence


def live(desk: Desk, name: str, metrics: dict[str, list[float]]) -> int:
    """A running run whose points are a second apart, from 1e9 seconds on."""
    run = MadeRun(name, name, state=State.RUNNING, outcome=None, exit_code=None, metrics=metrics, started=NOW)
    return put_runs(desk.catalog, [run])[0]


def states(desk: Desk) -> dict[str, AlertState]:
    return {alert.cause: alert.state for alert in desk.catalog.alerts.listed(tuple(AlertState))}


def test_a_loss_that_is_no_number_is_an_alert_until_the_run_ends(desk: Desk, fence: int) -> None:
    number = live(desk, "sick", {"train/loss": [1.0, math.nan]})
    live(desk, "inf", {"val_loss": [1.0, math.inf]})
    live(desk, "well", {"train/loss": [1.0, 0.5], "accuracy": [math.nan]})

    take_in(desk.ctx, fence, ("nan:",), [s for s in runs.look(desk.ctx) if s.cause.startswith("nan:")])
    assert states(desk) == {"nan:sick": AlertState.FIRING, "nan:inf": AlertState.FIRING}

    seen = Observation("t", State.ENDED, Outcome.FAILED)
    desk.catalog.write(lambda db: apply_observation(db, number, seen, NOW))
    take_in(desk.ctx, fence, ("nan:",), [s for s in runs.look(desk.ctx) if s.cause.startswith("nan:")])
    assert states(desk)["nan:sick"] is AlertState.RESOLVED


def test_a_run_that_logs_nothing_any_more_is_stalled_unless_it_cannot_be_seen(desk: Desk, fence: int) -> None:
    number = live(desk, "slow", {"loss": [1.0, 0.5]})

    take_in(desk.ctx, fence, runs.PREFIXES, runs.look(desk.ctx))
    assert states(desk) == {"stalled:slow": AlertState.FIRING}
    desk.catalog.write(lambda db: set_columns(db, number, reach="unreachable"))
    (signal,) = runs.look(desk.ctx)
    assert signal.verdict is Verdict.BETWEEN


def ended(desk: Desk, name: str, outcome: Outcome, experiment: str = "vision") -> None:
    run = MadeRun(name, name, experiment, state=State.RUNNING, outcome=None, exit_code=None, started=desk.clock.now)
    (number,) = put_runs(desk.catalog, [run])
    seen = Observation("t", State.ENDED, outcome, reason="exit code 1")
    desk.catalog.write(lambda db: apply_observation(db, number, seen, desk.clock.now))


def test_runs_of_an_experiment_that_fail_are_one_incident_until_one_succeeds(desk: Desk, fence: int) -> None:
    for number in range(5):
        ended(desk, f"bad{number}", Outcome.FAILED)
    ended(desk, "stopped", Outcome.CANCELLED)
    evaluate(desk.ctx, fence)
    (alert,) = desk.catalog.alerts.listed()
    assert alert.state is AlertState.FIRING and len(alert.parts) == 5

    ended(desk, "good", Outcome.SUCCEEDED, "speech")
    evaluate(desk.ctx, fence)
    assert states(desk)["experiment:vision"] is AlertState.FIRING
    ended(desk, "good2", Outcome.SUCCEEDED)
    evaluate(desk.ctx, fence)
    assert states(desk)["experiment:vision"] is AlertState.RESOLVED


def test_events_are_worked_on_once_whoever_watches(desk: Desk, fence: int) -> None:
    ended(desk, "bad", Outcome.OOM)
    evaluate(desk.ctx, fence)
    seen = desk.catalog.events.last()

    assert evaluate(desk.ctx, fence) == 0
    assert desk.catalog.events.last() == seen
    assert desk.catalog.write(lambda db: cursor(db, NAME)) == seen


def test_what_happened_long_ago_raises_no_alert(desk: Desk, fence: int) -> None:
    ended(desk, "old", Outcome.FAILED)
    desk.clock.passes(days=2)
    evaluate(desk.ctx, fence)

    assert states(desk) == {}


def test_a_rollout_that_failed_is_over_with_the_next_that_is_done(desk: Desk, fence: int) -> None:
    for kind, state in (("rollout.failed", AlertState.FIRING), ("rollout.done", AlertState.RESOLVED)):
        data = {"environment": "prod", "reason": "the gate failed"}
        desk.catalog.write(lambda db, kind=kind, data=data: emit(db, kind, "environment:prod", data, desk.clock.now))
        evaluate(desk.ctx, fence)
        assert states(desk) == {"rollout:prod": state}
    assert desk.catalog.alerts.get("rollout:prod").why == 'a clean look: the rollout of "prod" is done'


def report(**changes: Any) -> GpuReport:
    reading = GpuReading("gpu-1", 0, "GPU-0", "H100", NOW, Source.NVML, temperature_c=known(changes.pop("heat", 50.0)))
    reading = replace(reading, health=changes.pop("health", GpuHealth.OK))
    row = GpuRow(reading, None, "r1", "churn", "ann", Holder.RUN, IdleClass.HELD, "memory is held", Step.NONE, 920_000)
    snapshot = GpuSnapshot("gpu-1", DriverState.OK, NOW, gpus=(reading,))
    return GpuReport(snapshot, [replace(row, **changes)])


def test_a_gpu_that_is_held_for_nothing_is_an_event_with_its_price(desk: Desk, fence: int) -> None:
    take_in(desk.ctx, fence, gpus.PREFIXES, gpus.signals(report(step=Step.NOTIFY)))

    (event,) = [event for event in desk.catalog.events.after(0) if event.kind == "gpu.idle"]
    assert event.data["run"] == "r1" and event.data["usd_per_h"] == 0.92 and event.data["idle_class"] == "held"


def test_a_lost_gpu_is_critical(desk: Desk, fence: int) -> None:
    take_in(desk.ctx, fence, gpus.PREFIXES, gpus.signals(report(health=GpuHealth.LOST)))

    (alert,) = desk.catalog.alerts.listed()
    assert alert.severity is Severity.CRITICAL and "GPU lost" in alert.title


def test_heat_fires_only_when_it_stays(desk: Desk, fence: int) -> None:
    for heat in (95.0, 70.0, 95.0, 70.0):
        take_in(desk.ctx, fence, gpus.PREFIXES, gpus.signals(report(heat=heat)))
    assert states(desk) == {"gpu-hot:GPU-0": AlertState.PENDING}
    take_in(desk.ctx, fence, gpus.PREFIXES, gpus.signals(report(heat=95.0)))
    assert states(desk) == {"gpu-hot:GPU-0": AlertState.FIRING}

    for _ in range(3):
        desk.clock.passes(minutes=2)
        take_in(desk.ctx, fence, gpus.PREFIXES, gpus.signals(report(heat=86.0)))
    assert states(desk) == {"gpu-hot:GPU-0": AlertState.FIRING}
    for _ in range(3):
        desk.clock.passes(minutes=2)
        take_in(desk.ctx, fence, gpus.PREFIXES, gpus.signals(report(heat=60.0)))
    assert states(desk) == {"gpu-hot:GPU-0": AlertState.RESOLVED}


def test_a_gpu_of_which_nothing_is_known_says_nothing(desk: Desk, fence: int) -> None:
    take_in(desk.ctx, fence, gpus.PREFIXES, gpus.signals(report(idle_class=None, health=GpuHealth.HUNG)))

    assert states(desk) == {}
