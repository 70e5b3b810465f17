"""Search gives what the simplest reading of the filter language gives, for any runs and any query."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from naive import Naive

from catalogkit import NOW, MadeRun
from mlconsole.catalog import Catalog
from mlconsole.catalog import candidates as candidates_module
from mlconsole.catalog.order import Cursor
from mlconsole.domain.query import Query, parse
from mlconsole.domain.runs import Outcome, State

NUMBERS = [0.0, 0.1, 0.5, 1.0, -1.0, 1e300, math.nan, math.inf, -math.inf]
WORDS = ["adam", "sgd", "Ada", "0.1", "a_b", "100%", "x y", "", "nan", "true"]
KEYS = ["loss", "acc", "lr", "both", "opt", "team"]

metric_values = st.lists(st.sampled_from(NUMBERS), max_size=3)
param_values = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.sampled_from([True, False, None, 3, 10**30, [1], {"a": 1}])
)
moments = st.integers(-5_000_000, 5_000_000).map(lambda s: NOW - timedelta(seconds=s, microseconds=s % 7))


@st.composite
def made_runs(draw: Any) -> list[MadeRun]:
    runs = []
    for i in range(draw(st.integers(0, 24))):
        state = draw(st.sampled_from([State.ENDED, State.RUNNING, State.QUEUED]))
        ended = state is State.ENDED
        runs.append(
            MadeRun(
                id=f"{draw(st.sampled_from(['aa', 'ab', 'b']))}{i:010d}",
                name=draw(st.sampled_from(["train", "Train-2", "eval_x", "100%"])),
                experiment=draw(st.sampled_from(["vision", "nlp", "default"])),
                state=state,
                outcome=draw(st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED])) if ended else None,
                exit_code=draw(st.sampled_from([0, 1, None])) if ended else None,
                user=draw(st.sampled_from(["ann", "bob"])),
                host=draw(st.sampled_from(["gpu-1", "gpu-2", ""])),
                created=draw(moments),
                started=draw(st.none() | moments),
                ended=draw(moments) if ended else None,
                gpus=draw(st.integers(0, 2)),
                params=draw(st.dictionaries(st.sampled_from(["lr", "both", "opt"]), param_values, max_size=3)),
                metrics=draw(st.dictionaries(st.sampled_from(["loss", "acc", "both"]), metric_values, max_size=3)),
                tags=draw(st.dictionaries(st.sampled_from(["team", "debug"]), st.sampled_from(WORDS), max_size=2)),
            )
        )
    return runs


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


number_words = st.sampled_from(["0", "0.1", "0.5", "1", "-1", "1e300", "nan", "inf", "-inf", "1e-1"])
any_words = st.one_of(
    number_words, st.sampled_from(WORDS).map(quoted), st.sampled_from(["adam", "True", "None", "a_b"])
)
ordering = st.sampled_from(["<", "<=", ">", ">=", "=", "!="])
any_op = st.one_of(ordering, st.sampled_from(["~", "!~", ":"]))
test_texts = st.one_of(
    st.tuples(st.sampled_from(["loss", "metric.acc", "min(loss)", "max(both)", "count(loss)", "step(acc)"]), ordering,
              number_words),
    st.tuples(st.sampled_from(["lr", "param.both", "param.opt", "param.nosuch"]), any_op, any_words),
    st.tuples(st.just("both"), ordering, number_words),
    st.tuples(st.sampled_from(["tag.team", "tag:debug", "name", "user", "host", "experiment", "command"]), any_op,
              any_words),
    st.tuples(st.sampled_from(["state", "status"]), st.sampled_from(["=", "!=", ":"]),
              st.sampled_from(["running", "ended", "failed", "succeeded", "queued"])),
    st.tuples(st.just("outcome"), st.sampled_from(["=", "!=", "<", "~"]), st.sampled_from(["failed", "cancelled"])),
    st.tuples(st.just("id"), st.sampled_from(["=", "!=", "~", "<"]), st.sampled_from(["a", "ab", "b0000000001"])),
    st.tuples(st.sampled_from(["exit_code", "gpus"]), ordering, st.sampled_from(["0", "1", "2"])),
    st.tuples(st.sampled_from(["created", "started", "ended"]), ordering,
              st.sampled_from(["-2h", "3d", "now", "today", "yesterday", "2026-05-01", "2026-05-04T11:00"])),
    st.tuples(st.sampled_from(["duration", "age"]), ordering, st.sampled_from(["0", "90s", "2h30m", "20d"])),
    st.tuples(st.just("has:"), st.just(""), st.sampled_from([*KEYS, "outcome", "ended", "metric.both", "tag.team"])),
    st.tuples(st.just("tag:"), st.just(""), st.sampled_from(["team", "debug", "nosuch"])),
    st.tuples(st.just(""), st.just(""), st.sampled_from(["train", "eval", "nothing"])),
).map("".join)  # fmt: skip
filters = st.recursive(
    test_texts,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or ", " "]), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=5,
)
sort_fields = st.sampled_from(
    ["loss", "metric.acc", "min(loss)", "max(both)", "count(loss)", "step(acc)", "both", "param.both", "lr", "opt",
     "team", "debug", "nosuch", "name", "created", "started", "ended", "duration", "age", "experiment", "outcome",
     "exit_code", "host", "id", "gpus", "state"]
)  # fmt: skip
sorts = st.lists(st.tuples(st.sampled_from(["", "-"]), sort_fields).map("".join), max_size=2)
queries = st.tuples(st.one_of(st.just(""), filters), sorts).map(
    lambda pair: parse(pair[0] + (f" sort:{','.join(pair[1])}" if pair[1] else ""))
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """One catalog for all examples; each replaces its runs."""
    catalog = Catalog(Path(tmp_path_factory.mktemp("search")) / "home")
    yield catalog
    catalog.close()


@pytest.fixture(params=["from candidates", "along the sort"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways that a page can be found: small catalogs would only ever take the first."""
    if request.param == "along the sort":
        monkeypatch.setattr(candidates_module, "LEAST_LIMIT", 0)
        monkeypatch.setattr(candidates_module, "MOST_LIMIT", 0)
    return str(request.param)


examples = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)  # fmt: skip


def fill(catalog: Catalog, runs: list[MadeRun]) -> None:
    def change(db: Any) -> None:
        for table in ("run", "key", "experiment"):
            db.execute(f"DELETE FROM {table}")
        for run in runs:
            run.put(db)

    catalog.write(change)


def ids_of(catalog: Catalog, numbers: list[int]) -> list[str]:
    return [run.id for run in catalog.runs.load(numbers)]


def pages(catalog: Catalog, query: Query, limit: int, backward: bool) -> list[int]:
    """Every page of a listing, one after the other."""
    numbers: list[int] = []
    place: Cursor | None = None
    while True:
        ends = {"before": place, "backward": True} if backward else {"after": place}
        found = catalog.search.page(query, NOW, limit=limit, **ends)  # type: ignore[arg-type]
        assert len(found.numbers) <= limit
        numbers = [*found.numbers, *numbers] if backward else [*numbers, *found.numbers]
        if found.next is None:
            return numbers
        assert len(found.numbers) == limit
        place = found.next


@examples
@given(made_runs(), queries)
def test_a_query_keeps_what_its_plain_reading_keeps_in_that_order(
    shared: Catalog, way: str, runs: list[MadeRun], query: Query
) -> None:
    note(query.text)
    fill(shared, runs)
    assert ids_of(shared, shared.search.all(query, NOW)) == Naive(runs, NOW).ids(query)


@examples
@given(made_runs(), queries, st.integers(1, 7), st.booleans())
def test_paging_shows_every_run_exactly_once_in_both_directions(
    shared: Catalog, way: str, runs: list[MadeRun], query: Query, limit: int, backward: bool
) -> None:
    note(query.text)
    fill(shared, runs)
    assert pages(shared, query, limit, backward) == shared.search.all(query, NOW)


@examples
@given(made_runs(), queries)
def test_count_rank_and_place_agree_with_the_listing(
    shared: Catalog, way: str, runs: list[MadeRun], query: Query
) -> None:
    note(query.text)
    fill(shared, runs)
    listing = shared.search.all(query, NOW)
    assert shared.search.count(query, NOW) == len(listing)
    for number in [run.number for run in shared.runs.load(range(10_000))][::5]:
        place = shared.search.cursor(query, NOW, number)
        rank = shared.search.rank(query, NOW, number)
        assert rank == (listing.index(number) if number in listing else None)
        assert (place is None) is (rank is None)
        if place is not None and rank is not None:
            assert shared.search.page(query, NOW, limit=3, after=place).numbers == listing[rank + 1 : rank + 4]
            assert shared.search.page(query, NOW, limit=3, before=place).numbers == listing[max(0, rank - 3) : rank]
