"""What things cost, as commands and screens show it. None is unknown, which is never zero."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from mlconsole.domain.ledger import cost_us
from mlconsole.domain.prices import HOUR_US, Rate
from mlconsole.records import record


class Axis(StrEnum):
    """What costs can be summed by."""

    RUN = "run"
    ATTEMPT = "attempt"
    EXPERIMENT = "experiment"
    USER = "user"
    TAG = "tag"
    GPU = "gpu"
    HOST = "host"
    DAY = "day"


@record
class CostItem:
    """One line of a sum. ``label`` says in words what ``key`` is; ``kwh`` is of the leased GPUs alone."""

    key: str
    label: str
    microusd: int | None
    gpu_hours: float
    kwh: float | None


@record
class DayCost:
    """What one key of an axis cost on one day, as in ``2026-01-31``; without a key it is IDLE."""

    day: str
    key: str | None
    microusd: int


@record
class HostPrice:
    """What a machine costs, and who says so."""

    host: str
    rate: Rate


@record
class CostReport:
    """Costs by one axis, the dearest first.

    Except by tag, where a run may stand in several lines, the lines and ``idle_microusd`` add up to
    ``total_microusd``. ``unpriced`` names the machines whose price nobody said: what they cost is in no sum.
    ``machines_microusd`` is what the machines' time cost, summed apart from whose it was; None for a report since a
    moment, which may cut an interval in two.
    """

    by: Axis
    items: Sequence[CostItem]
    idle_microusd: int | None
    total_microusd: int | None
    since: datetime | None = None
    burn: Burn | None = None
    unpriced: tuple[str, ...] = ()
    more: bool = False
    machines_microusd: int | None = None
    prices: tuple[HostPrice, ...] = ()

    @property
    def runs_microusd(self) -> int | None:
        """What all runs cost together."""
        return None if self.total_microusd is None else self.total_microusd - (self.idle_microusd or 0)


@record
class Burn:
    """What goes on now: micro-dollars an hour of all priced machines, of that unleased, and this month's sums.

    ``forecast_microusd`` is what the month comes to if the rest of it burns like now.
    """

    microusd_per_h: int
    idle_microusd_per_h: int
    today_microusd: int
    month_microusd: int
    forecast_microusd: int


@record
class Estimate:
    """What a run would cost: its part of the machine an hour, and in all where it has a time limit.

    ``why`` says why it is not known; ``source`` where the price is from.
    """

    gpus: int
    microusd_per_h: int | None
    limit_s: float | None = None
    source: str = ""
    why: str = ""

    @property
    def microusd(self) -> int | None:
        """What it costs if it runs up to its time limit; None without one."""
        if self.microusd_per_h is None or self.limit_s is None:
            return None
        return cost_us(self.microusd_per_h, 0, 0, round(self.limit_s * 1_000_000))


def share_per_h(rate: Rate, gpus: int, count: int) -> int:
    """The part of a machine's hourly price that a run with so many of its GPUs pays.

    On a machine with GPUs a run without one pays nothing; on one without any it pays for the whole, alone on it.
    """
    if not count:
        return 0 if gpus else rate.microusd_per_h
    return rate.microusd_per_h * gpus // max(count, gpus)


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """The begin of this month and of the next one."""
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (
        start.replace(year=start.year + 1, month=1) if start.month == 12 else start.replace(month=start.month + 1)
    )
    return start, following


def forecast(month_microusd: int, microusd_per_h: int, now: datetime) -> int:
    """What the month comes to when the rest of it burns as now."""
    left_us = round((month_of(now)[1] - now).total_seconds() * 1_000_000)
    return month_microusd + microusd_per_h * left_us // HOUR_US
