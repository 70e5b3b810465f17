"""Prices of machines: what one hour of an instance costs, by whom, since when, and who says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from mlconsole.records import record

if TYPE_CHECKING:
    from decimal import Decimal

MICRO = 1_000_000
HOUR_US = 3_600_000_000


class Tenure(StrEnum):
    """How a machine is paid for."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"
    RESERVED = "reserved"
    OWNED = "owned"

    @property
    def words(self) -> str:
        """As people say it."""
        return self.value.replace("_", " ")

    @property
    def stops_when_off(self) -> bool:
        """True when a machine that is switched off costs nothing: rented by the second, not owned or reserved."""
        return self in (Tenure.ON_DEMAND, Tenure.SPOT)


@record
class Price:
    """One row of a price book.

    The four prices are micro-dollars an hour for the whole instance, None where it is not offered. ``region`` is empty
    where the price holds everywhere.
    """

    provider: str
    instance: str
    gpu: str
    gpu_count: int
    region: str
    as_of: date
    source: str
    on_demand: int | None = None
    spot: int | None = None
    reserved: int | None = None
    owned: int | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is the price of: provider, instance and region."""
        return self.provider, self.instance, self.region

    def of(self, tenure: Tenure) -> int | None:
        """Micro-dollars an hour when it is paid for in this way."""
        found: int | None = getattr(self, tenure.value)
        return found


@record
class Rate:
    """What this machine costs an hour, and where that figure is from."""

    microusd_per_h: int
    tenure: Tenure
    gpus: int
    source: str


def microusd(usd: Decimal) -> int:
    """Dollars as whole micro-dollars, halves to the even one."""
    from decimal import ROUND_HALF_EVEN, Decimal  # 3 ms, where a price is read

    return int((usd * MICRO).quantize(Decimal(1), ROUND_HALF_EVEN))


def newest(prices: Iterable[Price], today: date) -> dict[tuple[str, str, str], Price]:
    """For each thing the price that holds today: the one with the latest ``as_of`` up to now, else the earliest."""
    found: dict[tuple[str, str, str], Price] = {}
    for price in sorted(prices, key=lambda price: price.as_of):
        if price.key not in found or price.as_of <= today:
            found[price.key] = price
    return found


def matching(prices: Iterable[Price], instance: str, provider: str = "", region: str = "") -> list[Price]:
    """The prices of an instance; a price without a region holds in each one that has none of its own."""
    wanted = [
        price
        for price in prices
        if price.instance == instance.lower()
        and provider.lower() in ("", price.provider)
        and (not region or price.region in ("", region.lower()))
    ]
    return [price for price in wanted if price.region] if region and any(price.region for price in wanted) else wanted
