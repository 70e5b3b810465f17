"""Finds runs: filters, orders and pages through any number of them by keyset."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from mlconsole.catalog.fields import SELECT_NAMES
from mlconsole.catalog.listing import Listing
from mlconsole.catalog.order import Cursor
from mlconsole.catalog.store import Store
from mlconsole.domain.query import Query, with_me
from mlconsole.records import record, replace

FIRST_PAGE = 50
ALL_PAGE = 5_000
LOOK_EVERY = 20_000  # SQLite's steps between two looks at the clock: less than a millisecond

__all__ = ["FIRST_PAGE", "Cursor", "Found", "Search"]


@record
class Found:
    """Run numbers of one page, always in the listing's order.

    ``next`` is where the page after it begins (for a backward page: where the one before it ends), None when there
    is none. ``notes`` say what a person should know of the query.
    """

    numbers: list[int]
    next: Cursor | None
    notes: tuple[str, ...] = ()


class Search:
    """Queries over the runs of one catalog.

    Every method takes a deadline in seconds; past it, or once another thread calls :meth:`interrupt`, it raises
    :class:`~mlconsole.errors.SearchStopped`.
    """

    def __init__(self, store: Store, user: str = "") -> None:
        self._store = store
        self._user = user
        self._running: list[sqlite3.Connection] = []
        self._guard = threading.Lock()

    def page(
        self,
        query: Query,
        now: datetime,
        *,
        limit: int = FIRST_PAGE,
        after: Cursor | None = None,
        before: Cursor | None = None,
        backward: bool = False,
        deadline_s: float | None = None,
    ) -> Found:
        """One page of runs.

        Args:
            query: what to keep and in which order; newest first when it names none.
            now: what relative times are measured from; keep it while you page.
            limit: the most rows to give.
            after: the page begins behind this place.
            before: the page ends before this place.
            backward: without a place, the page at the listing's end.
            deadline_s: the longest it may take.

        Raises:
            QueryError: a field or a value of the query means nothing here.
        """
        with self._stoppable(deadline_s):
            listing = self._listing(query, now)
            return _page(listing, limit, after or before, backward or before is not None)

    def count(self, query: Query, now: datetime, *, deadline_s: float | None = None) -> int:
        """How many runs the query keeps."""
        with self._stoppable(deadline_s):
            return self._listing(query, now).count_all()

    def cursor(self, query: Query, now: datetime, number: int, *, deadline_s: float | None = None) -> Cursor | None:
        """The place of a run in the listing; None when the query does not keep it."""
        with self._stoppable(deadline_s):
            return _place_of(self._listing(query, now, only=[number]))

    def rank(self, query: Query, now: datetime, number: int, *, deadline_s: float | None = None) -> int | None:
        """How many runs stand before this one; None when the query does not keep it."""
        with self._stoppable(deadline_s):
            place = _place_of(self._listing(query, now, only=[number]))
            if place is None:
                return None
            listing = self._listing(query, now)
            return sum(listing.count(phase) for phase in range(place.phase)) + listing.count(place.phase, place)

    def all(self, query: Query, now: datetime, *, deadline_s: float | None = None) -> list[int]:
        """The numbers of every run that the query keeps, in order."""
        numbers: list[int] = []
        with self._stoppable(deadline_s):
            listing = self._listing(query, now)
            found = _page(listing, ALL_PAGE, None, False)
            numbers += found.numbers
            while found.next is not None:
                found = _page(listing, ALL_PAGE, found.next, False)
                numbers += found.numbers
        return numbers

    def names(self) -> list[str]:
        """Names of params, metrics and tags that runs have, as many as completion can use."""
        return [str(row[0]) for row in self._store.read(SELECT_NAMES)]

    def _listing(self, query: Query, now: datetime, only: Sequence[int] | None = None) -> Listing:
        if query.where is not None:
            query = replace(query, where=with_me(query.where, self._user))
        return Listing(self._store, query, now, only=only)

    def interrupt(self) -> None:
        """Stop every search that is under way, from another thread; nothing else is stopped."""
        with self._guard:
            for connection in self._running:
                connection.interrupt()

    @contextmanager
    def _stoppable(self, deadline_s: float | None) -> Iterator[None]:
        connection = self._store.connection()
        if deadline_s is not None:
            end = time.monotonic() + deadline_s
            connection.set_progress_handler(lambda: time.monotonic() > end, LOOK_EVERY)
        with self._guard:
            self._running.append(connection)
        try:
            yield
        finally:
            with self._guard:
                self._running.remove(connection)
            if deadline_s is not None:
                connection.set_progress_handler(None, 0)


def _page(listing: Listing, limit: int, place: Cursor | None, backward: bool) -> Found:
    indices = range(len(listing.phases))
    ahead = [i for i in (reversed(indices) if backward else indices) if place is None or _is_ahead(i, place, backward)]
    rows: list[Cursor] = []
    for index in ahead:
        at = place if place is not None and place.phase == index else None
        rows += listing.rows(index, at, backward, limit + 1 - len(rows))
        if len(rows) > limit:
            break
    more = len(rows) > limit
    kept = rows[:limit]
    following = kept[-1] if more and kept else None
    numbers = [row.number for row in kept]
    return Found(numbers[::-1] if backward else numbers, following, listing.notes)


def _is_ahead(phase: int, place: Cursor, backward: bool) -> bool:
    return phase <= place.phase if backward else phase >= place.phase


def _place_of(listing: Listing) -> Cursor | None:
    for index in range(len(listing.phases)):
        found = listing.rows(index, None, False, 1)
        if found:
            return found[0]
    return None
