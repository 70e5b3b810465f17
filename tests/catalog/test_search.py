"""What the filter language says to people: errors that point, hints, words, times; and searches that can be stopped."""

from __future__ import annotations

import math
import threading
import time
from datetime import timedelta

import pytest

from catalogkit import NOW, MadeRun, ago, put_runs
from mlconsole.catalog import Catalog
from mlconsole.domain.query import parse
from mlconsole.domain.runs import Outcome, State
from mlconsole.errors import QueryError, SearchStopped


def found(catalog: Catalog, text: str) -> list[str]:
    return [run.id for run in catalog.runs.load(catalog.search.all(parse(text), NOW))]


def error_of(catalog: Catalog, text: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        catalog.search.page(parse(text), NOW)
    return caught.value


def token(error: QueryError) -> str:
    return error.text[error.start : error.end]


@pytest.fixture
def runs(catalog: Catalog) -> Catalog:
    put_runs(
        catalog,
        [
            MadeRun("a1", "one", params={"lr": 0.1, "opt": "adam", "amp": True}, metrics={"loss": [3.0, 0.2]}),
            MadeRun("a2", "two", outcome=Outcome.FAILED, params={"lr": "0.10"}, metrics={"loss": [math.nan]}),
            MadeRun("b3", "Three", state=State.RUNNING, outcome=None, created=ago(hours=30), tags={"team": "nlp"}),
        ],
    )
    return catalog


def test_newest_comes_first_without_a_sort(runs: Catalog) -> None:
    assert found(runs, "") == ["b3", "a2", "a1"]


def test_a_bare_word_is_part_of_a_name_whatever_its_case(runs: Catalog) -> None:
    assert found(runs, "THREE") == ["b3"]
    assert found(runs, "T") == ["b3", "a2"]


def test_nan_is_neither_less_nor_equal_but_different(runs: Catalog) -> None:
    assert found(runs, "loss<1e9") == ["a1"]
    assert found(runs, "loss!=3") == ["a2", "a1"]
    assert found(runs, "loss=nan") == ["a2"]
    assert found(runs, "loss!=nan") == ["a1"]
    assert found(runs, "sort:loss") == ["a1", "a2", "b3"]
    assert found(runs, "sort:-loss") == ["a1", "a2", "b3"]


def test_not_includes_runs_without_the_field_and_unequal_does_not(runs: Catalog) -> None:
    assert found(runs, "not opt=adam") == ["b3", "a2"]
    assert found(runs, "opt!=adam") == []
    assert found(runs, "not has:opt") == ["b3", "a2"]


def test_equality_of_numbers_is_of_numbers_and_of_texts_as_written(runs: Catalog) -> None:
    assert found(runs, "lr=0.1") == ["a1"]
    assert found(runs, "lr=1e-1") == ["a1"]
    assert found(runs, "lr=0.10") == ["a2", "a1"]


def test_python_words_for_true_and_none_are_understood(runs: Catalog) -> None:
    assert found(runs, "amp=True") == ["a1"]
    assert found(runs, 'amp="True"') == []


def test_a_run_that_passes_both_sides_of_an_or_is_listed_once(runs: Catalog) -> None:
    assert found(runs, "loss<9 or has:loss") == ["a2", "a1"]
    assert runs.search.count(parse("loss<9 or has:loss"), NOW) == 2


def test_an_outcome_is_found_under_state_too(runs: Catalog) -> None:
    assert found(runs, "state:failed") == ["a2"]
    assert found(runs, "state:running") == ["b3"]
    assert found(runs, "state!=failed") == ["b3", "a1"]


def test_a_day_equals_every_moment_of_it(runs: Catalog) -> None:
    assert found(runs, "created=today") == ["a2", "a1"]
    assert found(runs, "created=yesterday") == ["b3"]
    assert found(runs, "created=2026-05-04") == ["a2", "a1"]
    assert found(runs, "created=2026-05-04T12:00") == ["a2", "a1"]
    assert found(runs, "created<-24h") == ["b3"]


def test_a_clock_that_went_back_gives_no_negative_durations(catalog: Catalog) -> None:
    later = NOW + timedelta(hours=1)
    put_runs(catalog, [MadeRun("a1", created=later, started=later, ended=NOW)])
    assert found(catalog, "duration<0") == []
    assert found(catalog, "duration=0 age=0") == ["a1"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("name:a loss<abc", "abc"),
        ("loss~0.2", "0.2"),
        ("min(loss)>x", "x"),
        ("created<soon", "soon"),
        ("duration>long", "long"),
        ("exit_code=none", "none"),
        ("gpus=nan", "nan"),
        ("state:failing", "failing"),
        ("outcome=done", "done"),
        ("created~2026", "2026"),
    ],
)
def test_a_value_that_means_nothing_is_pointed_at(runs: Catalog, text: str, wrong: str) -> None:
    assert token(error_of(runs, text)) == wrong


def test_an_unknown_state_comes_with_the_known_ones(runs: Catalog) -> None:
    assert "running" in error_of(runs, "state:runing").hint
    assert "oom" in error_of(runs, "state:runing").hint


def test_an_unknown_name_is_said_with_the_ones_that_are_close(runs: Catalog) -> None:
    page = runs.search.page(parse("los<1"), NOW)
    assert page.numbers == []
    assert page.notes == ('No run has a metric or param "los" yet. Did you mean loss?',)
    assert runs.search.page(parse("sort:los"), NOW).notes == page.notes


def test_a_text_asked_of_a_name_that_is_param_and_metric_is_asked_of_the_param(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("a1", metrics={"x": [1.0]}), MadeRun("a2", params={"x": "warm"})])
    assert found(catalog, "x=warm") == ["a2"]
    assert found(catalog, "x~arm") == ["a2"]
    assert found(catalog, "x=1") == ["a1"]


def test_wildcards_of_sql_are_plain_characters(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("a1", "100%"), MadeRun("a2", "a_b"), MadeRun("a3", "ab\\c")])
    assert found(catalog, 'name~"%"') == ["a1"]
    assert found(catalog, "name~_") == ["a2"]
    assert found(catalog, "name~'\\\\'") == ["a3"]


def test_quotes_and_sql_in_values_stay_values(runs: Catalog) -> None:
    for text in ('name="x\' OR 1=1 --"', '"\'; DROP TABLE run; --"=1', 'tag."a\'b"="\'"', 'has:"x\'y"'):
        assert found(runs, text) == []
    assert len(found(runs, "")) == 3


def test_a_param_of_a_million_characters_is_kept_and_found_by_its_beginning(catalog: Catalog) -> None:
    text = "start" + "x" * 1_000_000
    put_runs(catalog, [MadeRun("a1", params={"p": text})])
    assert catalog.runs.get("a1").params["p"] == text
    assert found(catalog, "p~start") == ["a1"]
    assert found(catalog, "sort:p") == ["a1"]


def test_a_cursor_of_a_run_that_went_away_is_none(runs: Catalog) -> None:
    assert runs.search.cursor(parse(""), NOW, 99) is None
    assert runs.search.rank(parse("opt=adam"), NOW, 2) is None


@pytest.fixture
def slow(catalog: Catalog) -> Catalog:
    """A catalog whose searches by duration take a while."""
    fill = """
    WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60000)
    INSERT INTO run (id, name, experiment, state, created_us, started_us) SELECT i, i, 1, 'ended', i, i FROM c
    """
    catalog.write(lambda db: db.execute("INSERT INTO experiment (name, created_us) VALUES ('e', 0)"))
    catalog.write(lambda db: db.execute(fill))
    return catalog


SLOW = "not (name~1 and name~2 and name~3 and name~4 and name~5 and name~6) sort:duration,-age"


def test_a_search_past_its_deadline_is_stopped(slow: Catalog) -> None:
    began = time.monotonic()
    with pytest.raises(SearchStopped):
        slow.search.all(parse(SLOW), NOW, deadline_s=0.01)
    assert time.monotonic() - began < 2
    assert slow.search.count(parse(""), NOW, deadline_s=10) == 60_000


def test_a_search_is_stopped_from_another_thread_and_writes_are_not(slow: Catalog) -> None:
    stopped = threading.Event()

    def search() -> None:
        try:
            while True:
                slow.search.all(parse(SLOW), NOW)
        except SearchStopped:
            stopped.set()

    thread = threading.Thread(target=search)
    thread.start()
    end = time.monotonic() + 20
    while not stopped.is_set() and time.monotonic() < end:
        slow.search.interrupt()
        slow.write(lambda db: db.execute("UPDATE experiment SET created_us = created_us + 1"))
    thread.join(20)
    assert stopped.is_set()
    assert slow.search.count(parse("state:ended"), NOW) == 60_000


def test_interrupting_a_search_of_ones_own_leaves_those_of_others_alone(slow: Catalog) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(slow.search.all(parse("name~1 sort:name"), NOW))))
    mine = slow.own_search()
    thread.start()
    while thread.is_alive():
        mine.interrupt()
    assert found == [mine.count(parse("name~1"), NOW)]


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("sort:loss", "metric_last"),
        ("sort:-min(loss)", "metric_min"),
        ("sort:max(loss)", "metric_max"),
        ("sort:lr", "param_num"),
        ("sort:name", "run_name"),
        ("sort:-created", "run_created"),
        ("sort:ended", "run_ended"),
        ("sort:team", "tag_value"),
        ("sort:experiment", "run_experiment"),
        ("loss<1 sort:loss", "metric_last"),
        ("not loss<1 sort:-created", "run_created"),
        ("state:ended sort:-created", "run_created"),
    ],
)
def test_an_index_carries_the_order(runs: Catalog, text: str, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlconsole.catalog import candidates
    from mlconsole.catalog.listing import Listing

    monkeypatch.setattr(candidates, "LEAST_LIMIT", 0)
    monkeypatch.setattr(candidates, "MOST_LIMIT", 0)
    listing = Listing(runs.store, parse(text), NOW)
    sql = listing.phases[0].page(listing._condition(0), listed=False, place="1", backward=False)
    plan = " / ".join(
        row[3] for row in runs.store.read("EXPLAIN QUERY PLAN " + sql, {**listing._values(None), "limit": 9})
    )
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_an_order_by_duration_reads_an_index_alone(runs: Catalog) -> None:
    from mlconsole.catalog.listing import Listing

    listing = Listing(runs.store, parse("sort:-duration"), NOW)
    sql = listing.phases[0].page(listing._condition(0), listed=False, place="1", backward=False)
    plan = [row[3] for row in runs.store.read("EXPLAIN QUERY PLAN " + sql, {**listing._values(None), "limit": 9})]
    assert any("run USING COVERING INDEX run_started" in step for step in plan), plan
