"""The catalog: everything the console knows, in one SQLite file, and the only place that speaks SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlconsole.catalog.ingest import Ingest
from mlconsole.catalog.store import Store

if TYPE_CHECKING:
    from datetime import datetime

    from mlconsole.catalog.alerts import Alerts
    from mlconsole.catalog.audit import Audit
    from mlconsole.catalog.datasets import Datasets
    from mlconsole.catalog.due import Due
    from mlconsole.catalog.environments import Environments
    from mlconsole.catalog.event_stream import Events
    from mlconsole.catalog.firings import Firings
    from mlconsole.catalog.leases import Leases
    from mlconsole.catalog.ledger import Ledger
    from mlconsole.catalog.lineage import LineageGraph
    from mlconsole.catalog.live_lineage import LiveLineage
    from mlconsole.catalog.metrics import Metrics
    from mlconsole.catalog.models import Models
    from mlconsole.catalog.monitors import Monitors
    from mlconsole.catalog.outbox import Outbox
    from mlconsole.catalog.policies import Policies
    from mlconsole.catalog.prices import Prices
    from mlconsole.catalog.queue import Queue
    from mlconsole.catalog.releases import Releases
    from mlconsole.catalog.rollouts import Rollouts
    from mlconsole.catalog.runs import Runs
    from mlconsole.catalog.search import Search
    from mlconsole.catalog.teardowns import Teardowns
    from mlconsole.catalog.watch_lease import WatchLease

T = TypeVar("T")


class Catalog:
    """One catalog directory, opened: a facade with one attribute an aggregate.

    Args:
        home: the catalog's directory; made when it is missing unless ``read_only``.
        read_only: never write anything below it.
        user: whom ``user:me`` means.
        on_network: use it on a network file system all the same; see :class:`Store`.
    """

    def __init__(self, home: Path, *, read_only: bool = False, on_network: bool = False, user: str = "") -> None:
        self.home = home
        self._user = user
        self.store = Store(home / "catalog.db", read_only=read_only, on_network=on_network)
        self.ingest = Ingest(self.store, home / "runs", home / "live")

    # An aggregate is loaded when it is first used: 2 to 6 ms each, and most commands use one or two.

    @cached_property
    def runs(self) -> Runs:
        """The runs, by id, name or number."""
        from mlconsole.catalog.runs import Runs

        return Runs(self.store)

    @cached_property
    def search(self) -> Search:
        """The runs, by filter and order."""
        from mlconsole.catalog.search import Search

        return Search(self.store, self._user)

    def own_search(self) -> Search:
        """A search for one who will interrupt it, which leaves those of others alone."""
        from mlconsole.catalog.search import Search

        return Search(self.store, self._user)

    @cached_property
    def metrics(self) -> Metrics:
        """The histories of metrics."""
        from mlconsole.catalog.metrics import Metrics

        return Metrics(self.store)

    @cached_property
    def audit(self) -> Audit:
        """Who changed what."""
        from mlconsole.catalog.audit import Audit

        return Audit(self.store)

    @cached_property
    def events(self) -> Events:
        """What has happened."""
        from mlconsole.catalog.event_stream import Events

        return Events(self.store)

    @cached_property
    def alerts(self) -> Alerts:
        """What is wrong, or was."""
        from mlconsole.catalog.alerts import Alerts

        return Alerts(self.store)

    @cached_property
    def outbox(self) -> Outbox:
        """Who is to be told of which alert."""
        from mlconsole.catalog.outbox import Outbox

        return Outbox(self.store)

    @cached_property
    def policies(self) -> Policies:
        """The rules that act."""
        from mlconsole.catalog.policies import Policies

        return Policies(self.store)

    @cached_property
    def firings(self) -> Firings:
        """What the rules did, and what they held back."""
        from mlconsole.catalog.firings import Firings

        return Firings(self.store)

    @cached_property
    def prices(self) -> Prices:
        """The prices that were imported."""
        from mlconsole.catalog.prices import Prices

        return Prices(self.store)

    @cached_property
    def leases(self) -> Leases:
        """Who holds which GPU."""
        from mlconsole.catalog.leases import Leases

        return Leases(self.store)

    @cached_property
    def ledger(self) -> Ledger:
        """What everything cost."""
        from mlconsole.catalog.ledger import Ledger

        return Ledger(self.store)

    @cached_property
    def datasets(self) -> Datasets:
        """The datasets, by content and by name."""
        from mlconsole.catalog.datasets import Datasets

        return Datasets(self.store)

    @cached_property
    def models(self) -> Models:
        """The registered models."""
        from mlconsole.catalog.models import Models

        return Models(self.store)

    @cached_property
    def monitors(self) -> Monitors:
        """The monitors of live data."""
        from mlconsole.catalog.monitors import Monitors

        return Monitors(self.store)

    @cached_property
    def lineage(self) -> LineageGraph:
        """What was made from what."""
        from mlconsole.catalog.lineage import LineageGraph

        return LineageGraph(self.store)

    @cached_property
    def live_lineage(self) -> LiveLineage:
        """What the live deployments came from."""
        from mlconsole.catalog.live_lineage import LiveLineage

        return LiveLineage(self.store)

    @cached_property
    def lease(self) -> WatchLease:
        """Who watches."""
        from mlconsole.catalog.watch_lease import WatchLease

        return WatchLease(self.store)

    @cached_property
    def teardowns(self) -> Teardowns:
        """What was asked to be given back."""
        from mlconsole.catalog.teardowns import Teardowns

        return Teardowns(self.store)

    @cached_property
    def queue(self) -> Queue:
        """Who waits for a turn."""
        from mlconsole.catalog.queue import Queue

        return Queue(self.store)

    @cached_property
    def releases(self) -> Releases:
        """What goes together."""
        from mlconsole.catalog.releases import Releases

        return Releases(self.store)

    @cached_property
    def environments(self) -> Environments:
        """The slots that releases are live in."""
        from mlconsole.catalog.environments import Environments

        return Environments(self.store)

    @cached_property
    def rollouts(self) -> Rollouts:
        """The journal of every move."""
        from mlconsole.catalog.rollouts import Rollouts

        return Rollouts(self.store)

    def due(self, now: datetime, host: str, user: str, *, is_priced: bool) -> Due:
        """What waits to be done after a look at the live runs."""
        from mlconsole.catalog.due import due

        return due(self.store, now, host, user, is_priced=is_priced)

    def write(self, change: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Run ``change`` in one immediate transaction; see :meth:`Store.write`.

        A durable change may have grown the audit log, whose newest link is then noted outside the file.
        """
        result = self.store.write(change, durable=durable)
        if durable:
            self.audit.anchor()
        return result

    def run_directory(self, run_id: str) -> Path:
        """The folder of a run's files."""
        return self.home / "runs" / run_id

    def attempt_directory(self, run_id: str, attempt: int) -> Path:
        """The folder that an attempt's job records and output are in; the first one's is the run's own."""
        folder = self.run_directory(run_id)
        return folder if attempt <= 1 else folder / "attempts" / str(attempt)

    def close(self) -> None:
        """Close every connection."""
        self.store.close()
