"""A look at live jobs says that one has ended only when all that it wrote is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catalogkit import MadeRun, WrittenLog, put_runs
from fakes.backends import CalmBackend
from mlconsole.actions.sync import refresh
from mlconsole.catalog.run_changes import set_columns
from mlconsole.plugin_api import Handle, Observation, Outcome, State
from policykit import Clock, Desk


class EndsMeanwhile(CalmBackend):
    """Its jobs write their last words between the reading of the logs and the look at them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def runs_here(self) -> bool:
        return True

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        log = WrittenLog(self.home, "late").begin().rows({"loss": [2.0, 1.0]})
        log.event("end", outcome="failed", exit_code=1, traceback="Traceback\nRuntimeError: boom", lost=0)
        return [Observation(handle.token, State.ENDED, Outcome.FAILED, exit_code=1) for handle in handles]


def test_the_last_words_of_a_job_are_there_as_soon_as_its_end_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Clock(), EndsMeanwhile(tmp_path))
    (number,) = put_runs(desk.catalog, [MadeRun("late", state=State.RUNNING, outcome=None, exit_code=None)])
    desk.catalog.write(lambda db: set_columns(db, number, backend="local", token="t", handle="{}"))
    refresh(desk.ctx)
    details = desk.catalog.runs.details("late")
    assert (details.run.state, details.run.outcome) == (State.ENDED, Outcome.FAILED)
    assert details.traceback.endswith("RuntimeError: boom") and details.run.metrics["loss"].last == 1.0
