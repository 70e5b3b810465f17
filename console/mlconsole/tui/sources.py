"""Rows for tables, out of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mlconsole.catalog import Catalog
from mlconsole.catalog.search import Cursor
from mlconsole.domain.histories import MetricBuckets, MetricHistory
from mlconsole.domain.query import Query
from mlconsole.domain.runs import Run
from mlconsole.errors import NotFound
from mlconsole.render.columns import DEFAULT, RunColumn, column
from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.rows import Direction, Row

EVERY_POINT = 20_000
"""Up to so many points a chart is drawn from each of them; beyond, from buckets with their extremes."""

NEWEST = 8
"""The runs whose metrics are looked at for the columns to begin with."""
MOST_NAMES = 100
TELLING = (("val", "loss"), ("loss",)), (("val", "acc"), ("acc",), ("f1",), ("auc",), ("reward",))
"""Words of a metric's name, the best first: of what is to fall, and of what is to rise."""
SCREEN_DEFAULT = ("name", "state", "experiment", "created", "duration", "user", "host", "id", "tags")
VARIED_AMONG, MOST_PARAMS = 30, 3
TUNED = ("lr", "learning_rate", "optimizer", "model", "hidden", "batch", "batch_size", "epochs")
"""Params that people turn most; others that differ come after them."""
PARAM = "param."
SPARE = 46
"""How long the usual params stay on a narrow screen: until all else but the tags is there."""


def usual_columns(catalog: Catalog) -> tuple[str, ...]:
    """The metrics and params that runs are shown with until somebody chooses columns."""
    return usual_metrics(catalog) + usual_params(catalog)


def usual_metrics(catalog: Catalog) -> tuple[str, ...]:
    """The metrics that tell most of the newest runs, at most two: shown until somebody chooses columns."""
    names = [name for name in catalog.runs.metric_names(NEWEST, MOST_NAMES) if _is_typed_easily(name)]
    found = [
        next((name for words in ways for name in names if all(word in name.lower() for word in words)), None)
        for ways in TELLING
    ]
    return tuple(f"metric.{name}" for name in found if name) or tuple(f"metric.{name}" for name in names[:1])


def usual_params(catalog: Catalog) -> tuple[str, ...]:
    """The params that tell the newest runs apart, where a wide screen has room for some."""
    names = [name for name in catalog.runs.varied_params(VARIED_AMONG, MOST_NAMES) if _is_typed_easily(name)]
    best = sorted(names, key=lambda name: TUNED.index(name) if name in TUNED else len(TUNED))
    return tuple(f"{PARAM}{name}" for name in best[:MOST_PARAMS])


def _is_typed_easily(name: str) -> bool:
    return all(letter.isalnum() or letter in "_./-" for letter in name)


def column_keys(query: Query, chosen: Sequence[str] = (), usual: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the columns that a query shows, its sort fields included.

    A query that names none shows the ``chosen`` ones; where none are chosen, the ``usual`` metrics come first.
    """
    if query.columns:
        return tuple(dict.fromkeys(("name", "state", *query.columns)))
    sorted_by = [key.field.name for key in query.sort if key.field.name not in DEFAULT]
    rest = [key for key in chosen or (*usual, *SCREEN_DEFAULT[2:]) if key.partition(".")[2] not in sorted_by]
    return tuple(dict.fromkeys(("name", "state", *sorted_by, *rest)))


def columns(keys: Sequence[str]) -> list[Column]:
    """The table's columns of these names."""
    return [_column(column(key)) for key in keys]


def _column(found: RunColumn) -> Column:
    most = 40 if found.key == "name" else 0
    priority = SPARE if found.key.startswith(PARAM) else found.priority
    return Column(found.key, found.title, found.right, found.width, found.least, most, priority)


def points_of(catalog: Catalog, run: Run, key: str) -> MetricHistory | MetricBuckets:
    """A metric as a chart needs it: every point of a short one, a summary of a long one, none of one that lost them."""
    read = catalog.metrics.history if run.metrics[key].count <= EVERY_POINT else catalog.metrics.buckets
    try:
        return read(run.number, run.id, key)
    except NotFound:
        return MetricHistory(run.id, key, [], [], [])


class RunsSource:
    """Runs of a query, for the virtual table; used from the table's own thread.

    Args:
        catalog: where they are.
        query: which, and in which order.
        clock: the present moment, for ages.
        keys: names of the columns.

    Attributes:
        notes: what a person should know of the query, after the first page: names that no run has.
    """

    def __init__(self, catalog: Catalog, query: Query, clock: Callable[[], datetime], keys: Sequence[str]) -> None:
        self._catalog = catalog
        self._search = catalog.own_search()
        self._query = query
        self._clock = clock
        self._columns = [column(key) for key in keys]
        self._asked_at = clock()
        self.notes: tuple[str, ...] = ()

    def page(self, anchor: str | None, direction: Direction, limit: int) -> Sequence[Row]:
        """See :class:`~mlconsole.tui.widgets.rows.RowSource`."""
        search = self._search
        if direction is Direction.FORWARD:
            first = [] if anchor is None else [self._number(anchor)]
            after = None if anchor is None else self._cursor(anchor)
            found = search.page(self._query, self._asked_at, limit=limit - len(first), after=after)
            self.notes = found.notes
            return self._rows([*first, *found.numbers])
        before = None if anchor is None else self._cursor(anchor)
        found = search.page(self._query, self._asked_at, limit=limit, before=before, backward=True)
        return self._rows(found.numbers)

    def rows(self, keys: Sequence[str]) -> Sequence[Row]:
        """See :class:`~mlconsole.tui.widgets.rows.RowSource`."""
        return self._rows([number for key in keys if (number := self._known(key)) is not None])

    def count(self) -> int | None:
        """See :class:`~mlconsole.tui.widgets.rows.RowSource`."""
        try:
            return self._search.count(self._query, self._asked_at)
        finally:  # It has read every run, or as many as there was time for.
            self._catalog.store.let_go_of_memory()

    def locate(self, key: str) -> int | None:
        """See :class:`~mlconsole.tui.widgets.rows.RowSource`."""
        return self._search.rank(self._query, self._asked_at, self._number(key))

    def stop(self) -> None:
        """See :class:`~mlconsole.tui.widgets.rows.Stoppable`."""
        self._search.interrupt()

    def _number(self, key: str) -> int:
        try:
            return self._catalog.runs.find(key)
        except NotFound as error:
            raise LookupError(key) from error

    def _known(self, key: str) -> int | None:
        try:
            return self._catalog.runs.find(key)
        except NotFound:
            return None

    def _cursor(self, key: str) -> Cursor:
        cursor = self._search.cursor(self._query, self._asked_at, self._number(key))
        if cursor is None:
            raise LookupError(key)
        return cursor

    def _rows(self, numbers: Sequence[int]) -> list[Row]:
        now = self._clock()
        wanted = [c.key.removeprefix("metric.") for c in self._columns if not c.key.startswith(PARAM)]
        return [self._row(run, now) for run in self._catalog.runs.load(numbers, metrics=wanted)]

    def _row(self, run: Run, now: datetime) -> Row:
        return Row(run.id, tuple(c.cell(run, now) for c in self._columns))
