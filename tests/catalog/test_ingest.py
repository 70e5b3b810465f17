"""Run logs reach the catalog once, whole, and whatever their bytes hold."""

from __future__ import annotations

import json
import math
import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogkit import DEAD_PID, NOW, WrittenLog
from mlconsole.catalog import Catalog
from mlconsole.catalog.intake import take_in
from mlconsole.catalog.logs import PIECE_BYTES, Offset, read_pieces
from mlconsole.catalog.markers import read_markers
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import Outcome, Run, State
from mlconsole.domain.times import from_us


def values_of(catalog: Catalog, run: str, key: str, rank: int | None = None) -> list[float]:
    return list(catalog.metrics.history(catalog.runs.find(run), run, key, rank).values)


def ingested(catalog: Catalog, run: str) -> Run:
    catalog.ingest.run(NOW)
    return catalog.runs.get(run)


def details_of(catalog: Catalog, run: str) -> RunDetails:
    catalog.ingest.run(NOW)
    return catalog.runs.details(run)


def test_a_run_log_becomes_a_run(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin(name="churn", experiment="vision", command=["train.py", "--lr", "1"])
    log.event("params", params={"lr": 0.1, "opt": "adam"}).event("tags", set={"debug": ""})
    log.rows({"loss": [3.0, 2.0, 1.0], "acc": [0.1, 0.2, 0.3]})
    run = ingested(catalog, "aaa")
    assert (run.name, run.experiment, run.state, run.outcome) == ("churn", "vision", State.RUNNING, None)
    assert (run.params, run.tags) == ({"lr": 0.1, "opt": "adam"}, {"debug": ""})
    assert run.command == ("train.py", "--lr", "1")
    loss = run.metrics["loss"]
    assert (loss.last, loss.min, loss.max, loss.step, loss.count) == (1.0, 1.0, 3.0, 2, 3)
    assert values_of(catalog, "aaa", "acc") == [0.1, 0.2, 0.3]


def test_reading_again_adds_nothing(catalog: Catalog) -> None:
    WrittenLog(catalog.home, "aaa").begin().rows({"loss": [1.0, 2.0]})
    assert catalog.ingest.run(NOW) > 0
    before = catalog.runs.details("aaa")
    assert catalog.ingest.run(NOW) == 0
    with closing(Catalog(catalog.home)) as another:
        another.ingest.run(NOW)
    assert catalog.runs.details("aaa") == before
    assert values_of(catalog, "aaa", "loss") == [1.0, 2.0]


def test_what_two_processes_have_read_of_one_log_is_taken_in_once(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin().rows({"loss": [1.0, 2.0]}).end()
    (marker,) = read_markers(log.marker.parent)
    mine, theirs = ([*read_pieces(catalog.home / "runs", marker, Offset(), None)] for _ in range(2))
    assert take_in(catalog.store, mine, NOW) == [(True, True)]
    assert take_in(catalog.store, theirs, NOW) == [(False, False)]
    assert values_of(catalog, "aaa", "loss") == [1.0, 2.0]
    assert len(catalog.runs.details("aaa").timeline) == 2


def test_runs_that_are_met_at_once_stand_in_the_order_in_which_they_began(catalog: Catalog) -> None:
    for at, run in enumerate(["ccc", "aaa", "bbb"]):
        log = WrittenLog(catalog.home, run).begin().end()
        os.utime(log.marker, (at, at))
        os.utime(log.path, (at, at))

    catalog.ingest.run(NOW)
    assert [run.id for run in catalog.runs.load([1, 2, 3])] == ["ccc", "aaa", "bbb"]


def test_a_log_is_followed_as_it_grows(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin()
    expected: list[float] = []
    for start in range(0, 600, 7):
        more = [math.sin(step) for step in range(start, start + 7)]
        log.rows({"loss": more}, first_step=start)
        catalog.ingest.run(NOW)
        expected += more
    assert values_of(catalog, "aaa", "loss") == expected
    assert catalog.runs.get("aaa").metrics["loss"].count == len(expected)


def test_a_record_that_is_still_being_written_waits_for_its_rest(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin().rows({"loss": [1.0]})
    whole = WrittenLog(catalog.home, "bbb").rows({"loss": [1.0]})
    record = whole.rows({"loss": [2.0]}).path.read_bytes()[-32:]
    log.write(record[:20])
    assert details_of(catalog, "aaa").damage == ()
    log.write(record[20:])
    assert details_of(catalog, "aaa").damage == ()
    assert values_of(catalog, "aaa", "loss") == [1.0, 2.0]


def test_an_ended_log_ends_its_run_and_takes_its_marker_away(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin(t=1e9).end("failed", 3, t=1e9 + 60)
    run = ingested(catalog, "aaa")
    assert (run.state, run.outcome, run.exit_code, run.duration_s(NOW)) == (State.ENDED, Outcome.FAILED, 3, 60.0)
    assert not log.marker.exists()


def test_a_killed_writer_leaves_a_run_of_unknown_outcome_that_ended_with_its_last_record(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa", pid=DEAD_PID).begin().rows({"loss": [1.0]})
    os.utime(log.path, (1.5e9, 1.5e9))
    run = ingested(catalog, "aaa")
    assert (run.state, run.outcome, run.exit_code) == (State.ENDED, Outcome.UNKNOWN, None)
    assert run.ended_at == from_us(1_500_000_000_000_000)
    assert f"process {DEAD_PID} is gone" in run.reason
    assert not log.marker.exists()


def test_a_torn_last_record_of_a_dead_writer_is_named_and_the_rest_kept(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa", pid=DEAD_PID).begin().rows({"loss": [1.0, 2.0]})
    log.path.write_bytes(log.path.read_bytes()[:-5])
    details = details_of(catalog, "aaa")
    assert values_of(catalog, "aaa", "loss") == [1.0]
    assert len(details.damage) == 1
    assert log.name in details.damage[0]
    assert "torn record" in details.damage[0]


def test_damage_in_the_middle_is_named_and_what_follows_it_kept(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin().rows({"loss": [1.0]})
    place = log.path.stat().st_size
    log.rows({"loss": [2.0]}).rows({"loss": [3.0, 4.0]}).end()
    data = bytearray(log.path.read_bytes())
    data[place + 12] ^= 0xFF
    log.path.write_bytes(data)
    details = details_of(catalog, "aaa")
    assert values_of(catalog, "aaa", "loss") == [1.0, 3.0, 4.0]
    assert f"at byte {place} (32 bytes skipped)" in details.damage[0]
    assert details.run.outcome is Outcome.SUCCEEDED


def test_records_that_the_program_could_not_write_are_told(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin()
    log.event("end", outcome="succeeded", exit_code=0, lost=17, traceback="")
    assert details_of(catalog, "aaa").damage == (
        f"{log.name}: 17 records could not be written by the program; its standard error says why",
    )


def test_a_log_of_noise_names_only_the_first_hundred_places(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin()
    for i in range(150):
        log.write(b"\x01noise" * 3).rows({"loss": [float(i)]})
    assert len(details_of(catalog, "aaa").damage) <= 101
    assert values_of(catalog, "aaa", "loss") == [float(i) for i in range(150)]


def test_a_file_that_is_no_run_log_is_named(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa", pid=DEAD_PID)
    log.path.write_bytes(b"#!/bin/sh\necho hello\n")
    assert "does not begin as a run log" in details_of(catalog, "aaa").damage[0]


def test_a_record_longer_than_a_piece_is_read(catalog: Catalog) -> None:
    long = "x" * (PIECE_BYTES + 100)
    WrittenLog(catalog.home, "aaa").begin().event("params", params={"text": long}).rows({"loss": [1.0]})
    run = ingested(catalog, "aaa")
    assert run.params["text"] == long
    assert values_of(catalog, "aaa", "loss") == [1.0]


def test_a_log_of_many_pieces_is_read_whole(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin()
    count = PIECE_BYTES * 2 // 32
    log.rows({"loss": [float(i % 1000) for i in range(count)]}).end()
    catalog.ingest.run(NOW)
    summary = catalog.runs.get("aaa").metrics["loss"]
    assert (summary.count, summary.step, summary.min, summary.max) == (count, count - 1, 0.0, 999.0)
    assert catalog.metrics.history(1, "aaa", "loss").steps == range(count)


def test_ranks_are_kept_apart_and_the_lowest_is_shown(catalog: Catalog) -> None:
    for rank in (1, 0, 2):
        WrittenLog(catalog.home, "aaa", rank=rank).begin().rows({"loss": [float(rank), rank + 0.5]}).end()
    run = ingested(catalog, "aaa")
    assert (run.metrics["loss"].last, run.metrics["loss"].count) == (0.5, 6)
    assert values_of(catalog, "aaa", "loss") == [0.0, 0.5]
    assert values_of(catalog, "aaa", "loss", rank=2) == [2.0, 2.5]


def test_a_run_of_several_ranks_ends_with_the_last_and_as_the_worst(catalog: Catalog) -> None:
    logs = [WrittenLog(catalog.home, "aaa", rank=rank, pid=os.getpid()).begin() for rank in range(3)]
    logs[0].end("succeeded")
    logs[1].end("failed", 1)
    assert ingested(catalog, "aaa").state is State.RUNNING
    logs[2].end("succeeded")
    assert ingested(catalog, "aaa").outcome is Outcome.FAILED


def test_a_forked_child_neither_holds_a_run_open_nor_has_a_say_in_its_end(catalog: Catalog) -> None:
    main = WrittenLog(catalog.home, "aaa", number=1).begin()
    child = WrittenLog(catalog.home, "aaa", number=2, pid=1)
    child.event("open", run="aaa", rank=0, pid=1).rows({"child/loss": [1.0]})
    catalog.ingest.run(NOW)
    main.end("succeeded")
    run = ingested(catalog, "aaa")
    assert (run.state, run.outcome) == (State.ENDED, Outcome.SUCCEEDED)
    child.rows({"child/loss": [2.0]})
    run = ingested(catalog, "aaa")
    assert (run.state, run.metrics["child/loss"].count) == (State.ENDED, 2)


def test_a_second_file_of_the_same_process_ends_with_its_process(catalog: Catalog) -> None:
    WrittenLog(catalog.home, "aaa", number=1).begin().rows({"loss": [1.0]})
    WrittenLog(catalog.home, "aaa", number=2).event("open", rank=0, pid=os.getpid()).rows({"loss": [2.0]}).end()
    run = ingested(catalog, "aaa")
    assert run.outcome is Outcome.SUCCEEDED
    assert values_of(catalog, "aaa", "loss") == [1.0, 2.0]


def test_a_resumed_run_lives_again_and_ends_as_its_newest_process_did(catalog: Catalog) -> None:
    WrittenLog(catalog.home, "aaa", pid=DEAD_PID, number=1).begin().rows({"loss": [1.0, 2.0]})
    assert ingested(catalog, "aaa").outcome is Outcome.UNKNOWN
    second = WrittenLog(catalog.home, "aaa", number=2).begin(t=1e9 + 5).rows({"loss": [3.0]}, first_step=2)
    run = ingested(catalog, "aaa")
    assert (run.state, run.outcome, run.ended_at, run.reason) == (State.RUNNING, None, None, "")
    second.end("succeeded")
    assert ingested(catalog, "aaa").outcome is Outcome.SUCCEEDED
    assert values_of(catalog, "aaa", "loss") == [1.0, 2.0, 3.0]


def test_a_log_without_a_marker_is_found_by_a_rescan_only(catalog: Catalog) -> None:
    WrittenLog(catalog.home, "aaa").begin().rows({"loss": [1.0]}).end()
    catalog.ingest.run(NOW)
    other = WrittenLog(catalog.home, "bbb").begin().rows({"loss": [2.0]})
    other.marker.unlink()
    assert catalog.ingest.run(NOW) == 0
    assert catalog.ingest.rescan(NOW) > 0
    assert catalog.runs.get("bbb").outcome is Outcome.UNKNOWN
    assert catalog.ingest.rescan(NOW) == 0


def test_a_new_catalog_beside_old_logs_takes_them_in(tmp_path: Path) -> None:
    for number in range(3):
        WrittenLog(tmp_path, f"run{number}").begin().rows({"loss": [1.0]}).end().marker.unlink()
    Catalog(tmp_path).close()
    with closing(Catalog(tmp_path)) as catalog:
        catalog.ingest.run(NOW)
        assert catalog.runs.counts() == {"succeeded": 3}
        WrittenLog(tmp_path, "later").begin().marker.unlink()
        assert catalog.ingest.run(NOW) == 0, "once is enough"


def test_a_marker_that_points_elsewhere_is_passed_over(catalog: Catalog, tmp_path: Path) -> None:
    log = WrittenLog(catalog.home, "aaa").begin()
    outside = tmp_path / "outside.mlog"
    outside.write_bytes(log.path.read_bytes())
    facts = json.loads(log.marker.read_text())
    for number, (run, writer) in enumerate(
        [("..", "x"), ("a/../../..", "outside.mlog"), ("aaa", "../../../x"), ("", "")]
    ):
        (log.marker.parent / f"{number}.json").write_text(json.dumps({**facts, "run": run, "writer": writer}))
    catalog.ingest.run(NOW)
    assert catalog.runs.counts() == {"running": 1}


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[1]", '{"run": "a"}', '{"run": 1e999, "pid": 1e999}', "[" * 100_000]
)
def test_a_marker_of_nonsense_stops_nothing(catalog: Catalog, text: str) -> None:
    WrittenLog(catalog.home, "aaa").begin()
    (catalog.home / "live" / "zzz.json").write_text(text)
    assert ingested(catalog, "aaa").state is State.RUNNING


def test_a_log_that_may_not_be_read_waits(catalog: Catalog) -> None:
    log = WrittenLog(catalog.home, "aaa").begin()
    log.path.rename(log.path.with_suffix(".away"))
    log.path.mkdir()
    assert catalog.ingest.run(NOW) == 0
    log.path.rmdir()
    log.path.with_suffix(".away").rename(log.path)
    assert ingested(catalog, "aaa").state is State.RUNNING


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
event_kinds = st.sampled_from(
    ["open", "start", "params", "tags", "environment", "code", "artifact", "dataset", "model", "end", "note", "what"]
)
field_names = st.sampled_from(
    ["t", "rank", "pid", "name", "experiment", "parent", "created", "command", "cwd", "params", "set", "remove", "size",
     "environment", "commit", "path", "digest", "metadata", "outcome", "exit_code", "lost", "traceback", "host", "user"]
)  # fmt: skip
events = st.lists(st.tuples(event_kinds, st.dictionaries(field_names, json_values, max_size=5)), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events)
def test_no_event_whatever_it_says_keeps_others_from_the_catalog(
    catalog: Catalog, events: list[tuple[str, dict[str, object]]]
) -> None:
    name = f"run{os.urandom(6).hex()}"
    log = WrittenLog(catalog.home, name).begin()
    for kind, content in events:
        log.event(kind, **{"t": 1e9, **content})
    log.rows({"loss": [1.0]})
    catalog.ingest.run(NOW)
    assert catalog.runs.details(name).run.metrics["loss"].count == 1
