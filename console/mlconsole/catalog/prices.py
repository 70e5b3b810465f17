"""The prices that were imported."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import date, datetime

from mlconsole.catalog.store import Row, Store, storable
from mlconsole.domain.prices import Price
from mlconsole.domain.times import to_us

COLUMNS = "provider, instance, gpu, gpu_count, region, as_of, source, on_demand, spot, reserved, owned"
SELECT_ALL = f"SELECT {COLUMNS} FROM price ORDER BY provider, instance, region, as_of"
SELECT_ONE = f"""
SELECT {COLUMNS}
FROM price
WHERE provider = :provider AND instance = :instance AND region = :region AND as_of = :as_of
"""
PUT = f"""
INSERT INTO price ({COLUMNS}, imported_us)
VALUES (:provider, :instance, :gpu, :gpu_count, :region, :as_of, :source, :on_demand, :spot, :reserved, :owned, :now)
ON CONFLICT (provider, instance, region, as_of) DO UPDATE
SET gpu = excluded.gpu, gpu_count = excluded.gpu_count, source = excluded.source, on_demand = excluded.on_demand,
    spot = excluded.spot, reserved = excluded.reserved, owned = excluded.owned, imported_us = excluded.imported_us
"""


def put_prices(db: sqlite3.Connection, prices: Iterable[Price], now: datetime) -> tuple[int, int, int]:
    """Keep prices; returns how many are new, changed, and as they were."""
    counts = {"new": 0, "changed": 0, "same": 0}
    for price in prices:
        row = _row(price)
        before = db.execute(SELECT_ONE, row).fetchone()
        word = "new" if before is None else "same" if _price(before) == price else "changed"
        counts[word] += 1
        if word != "same":
            db.execute(PUT, {**row, "now": to_us(now)})
    return counts["new"], counts["changed"], counts["same"]


class Prices:
    """The imported prices of one catalog."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Price]:
        """Every imported price, the older ones of the same thing too."""
        return [_price(row) for row in self._store.read(SELECT_ALL)]


def _row(price: Price) -> dict[str, object]:
    texts = {name: storable(getattr(price, name)) for name in ("provider", "instance", "gpu", "region", "source")}
    prices = {name: getattr(price, name) for name in ("on_demand", "spot", "reserved", "owned")}
    return {**texts, **prices, "gpu_count": price.gpu_count, "as_of": price.as_of.isoformat()}


def _price(row: Row) -> Price:
    provider, instance, gpu, count, region, as_of, source, *prices = row
    return Price(provider, instance, gpu, count, region, date.fromisoformat(as_of), source, *prices)
