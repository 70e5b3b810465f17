"""What a backend was seen to say changes a run's row; it never ends one without evidence and never revives one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalogkit import NOW, MadeRun, ago, put_runs
from mlconsole.catalog import Catalog
from mlconsole.catalog.observations import apply_observation
from mlconsole.catalog.run_changes import set_columns
from mlconsole.domain.jobs import Observation
from mlconsole.domain.runs import Outcome, Reach, Run, State


@pytest.fixture
def number(catalog: Catalog) -> int:
    (number,) = put_runs(
        catalog, [MadeRun("aaa", state=State.RUNNING, outcome=None, exit_code=None, started=ago(hours=1))]
    )
    return number


def see(catalog: Catalog, number: int, seen: Observation, now_s: float = 0.0) -> bool:
    at = NOW + timedelta(seconds=now_s)
    return catalog.write(lambda db: apply_observation(db, number, seen, at))


def run_of(catalog: Catalog, number: int) -> Run:
    return catalog.runs.load([number])[0]


def test_an_end_is_recorded_with_its_outcome_and_evidence(catalog: Catalog, number: int) -> None:
    seen = Observation("t", State.ENDED, Outcome.OOM, 137, "killed", "cgroup oom_kill 1", ended_at=NOW)
    assert see(catalog, number, seen)
    run = run_of(catalog, number)
    assert (run.state, run.outcome, run.exit_code, run.reason) == (State.ENDED, Outcome.OOM, 137, "killed")
    assert catalog.runs.details("aaa").timeline[-1].evidence == "cgroup oom_kill 1"


def test_an_ended_run_stays_ended_whatever_is_seen_later(catalog: Catalog, number: int) -> None:
    see(catalog, number, Observation("t", State.ENDED, Outcome.SUCCEEDED, 0))
    before = run_of(catalog, number)
    for state in State:
        assert not see(catalog, number, Observation("t", state, Outcome.FAILED, 1), 60)
    assert run_of(catalog, number) == before


def test_a_stop_that_was_asked_for_is_not_forgotten_by_a_late_look(catalog: Catalog, number: int) -> None:
    catalog.write(lambda db: set_columns(db, number, state=State.STOPPING.value))
    assert not see(catalog, number, Observation("t", State.RUNNING))
    assert run_of(catalog, number).state is State.STOPPING
    see(catalog, number, Observation("t", State.ENDED, Outcome.CANCELLED))
    assert run_of(catalog, number).outcome is Outcome.CANCELLED


def test_a_backend_that_does_not_answer_says_nothing_of_the_run(catalog: Catalog, number: int) -> None:
    silent = Observation("t", State.ENDED, Outcome.FAILED, reachable=False)
    assert see(catalog, number, silent, 1)
    assert not see(catalog, number, silent, 2)
    run = run_of(catalog, number)
    assert (run.state, run.outcome, run.reach) == (State.RUNNING, None, Reach.UNREACHABLE)
    assert run.reach_since == NOW + timedelta(seconds=1)
    assert see(catalog, number, Observation("t", State.RUNNING), 3)
    run = run_of(catalog, number)
    assert (run.reach, run.reach_since) == (Reach.OK, None)


def test_survivors_are_named(catalog: Catalog, number: int) -> None:
    see(catalog, number, Observation("t", State.ENDED, Outcome.CANCELLED, survivors=("12 python", "13 sh")))
    assert run_of(catalog, number).cleanup == "12 python; 13 sh"


def test_an_end_before_the_start_lasts_no_time(catalog: Catalog, number: int) -> None:
    see(catalog, number, Observation("t", State.ENDED, Outcome.SUCCEEDED, 0, ended_at=NOW - timedelta(hours=2)))
    assert run_of(catalog, number).duration_s(NOW) == 0.0
