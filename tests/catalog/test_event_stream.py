"""Events stand in the catalog with what they tell of, or neither does."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from catalogkit import NOW, MadeRun, WrittenLog, put_runs
from mlconsole.catalog import Catalog
from mlconsole.catalog.event_stream import emit
from mlconsole.catalog.observations import apply_observation
from mlconsole.domain.jobs import Observation
from mlconsole.domain.runs import Outcome, State
from mlconsole.errors import CatalogError


def running(catalog: Catalog) -> int:
    made = MadeRun(
        "aaaa", "digits", state=State.RUNNING, outcome=None, exit_code=None, started=NOW, tags={"team": "nlp"}
    )
    return put_runs(catalog, [made])[0]


def test_the_end_of_a_run_is_an_event_with_how_it_ended(catalog: Catalog) -> None:
    number = running(catalog)
    ended = NOW + timedelta(seconds=90)
    seen = Observation("t", State.ENDED, Outcome.FAILED, exit_code=3, reason="exit code 3", ended_at=ended)

    catalog.write(lambda db: apply_observation(db, number, seen, ended))

    (event,) = catalog.events.after(0)
    assert (event.kind, event.subject, event.at) == ("run.ended", "run:aaaa", ended)
    assert event.data["outcome"] == "failed" and event.data["exit_code"] == 3 and event.data["duration_s"] == 90
    assert event.data["tag"] == {"team": "nlp"}


def test_looking_again_at_an_ended_run_is_no_second_event(catalog: Catalog) -> None:
    number = running(catalog)
    seen = Observation("t", State.ENDED, Outcome.SUCCEEDED)
    for _ in range(3):
        catalog.write(lambda db: apply_observation(db, number, seen, NOW))

    assert catalog.events.last() == 1


def test_a_run_log_that_ends_is_an_event_once(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "bbbb").begin().end()
    log.mark()
    catalog.ingest.run(NOW)
    catalog.ingest.rescan(NOW)

    assert [event.data["outcome"] for event in catalog.events.after(0)] == ["succeeded"]


def test_what_is_rolled_back_leaves_no_event(catalog: Catalog) -> None:
    def change(db: sqlite3.Connection) -> None:
        emit(db, "rollout.failed", "environment:prod", {"environment": "prod"}, NOW)
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        catalog.write(change)

    assert catalog.events.last() == 0


@pytest.mark.parametrize("statement", ["DELETE FROM event", "UPDATE event SET kind = 'cron'"])
def test_events_are_neither_changed_nor_deleted(catalog: Catalog, statement: str) -> None:
    catalog.write(lambda db: emit(db, "cron", "policy:a", {}, NOW))

    with pytest.raises(CatalogError, match="events are never"):
        catalog.write(lambda db: db.execute(statement))


def test_an_event_of_a_kind_that_nobody_listed_is_refused(catalog: Catalog) -> None:
    with pytest.raises(AssertionError, match=r"domain/events\.py"):
        catalog.write(lambda db: emit(db, "run.melted", "run:a", {}, NOW))


def test_an_event_keeps_hostile_text_and_numbers_that_json_lacks(catalog: Catalog) -> None:
    data = {"reason": "\x1b[31m\udcff" + "x" * 5000, "effect": float("nan")}
    catalog.write(lambda db: emit(db, "drift.opened", "monitor:\udcff", data, NOW))

    (event,) = catalog.events.after(0)
    assert event.data["reason"].startswith("\x1b[31m\udcff") and len(event.data["reason"]) == 2000
    assert event.data["effect"] != event.data["effect"]
