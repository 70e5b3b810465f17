"""What this machine costs an hour: the settings' own figure, a price book's, or what the catalog last heard."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from mlconsole.actions.context import Context
from mlconsole.domain import price_files
from mlconsole.domain.prices import Price, Rate, Tenure, matching, microusd, newest
from mlconsole.errors import ConfigError

if TYPE_CHECKING:
    from mlconsole.catalog.machines import MachineRow
    from mlconsole.config import Machine

SHIPPED = "default.toml"
UNPRICED = "nobody said what this machine costs"
HOW_TO_PRICE = 'Say it in the settings file: [machine] instance = "p4d.24xlarge", or usd_per_h = 32.77'


@lru_cache(maxsize=1)
def shipped() -> tuple[Price, ...]:
    """The book of public list prices that comes with the program."""
    from importlib import resources  # 10 ms, where the book is read

    text = (resources.files("mlconsole") / "prices" / SHIPPED).read_text(encoding="utf-8")
    return tuple(price_files.read(SHIPPED, text, date.max))


def book(ctx: Context) -> list[Price]:
    """The prices that hold today; an imported one goes before a shipped one of the same thing."""
    today = ctx.clock().date()
    found = newest(shipped(), today) | newest(ctx.catalog.prices.all() if ctx.has_catalog else (), today)
    return [found[key] for key in sorted(found)]


def rate_of_settings(ctx: Context) -> Rate | None:
    """What the settings say that this machine costs, None when they say nothing.

    Raises:
        ConfigError: they name an instance that no book has, or has more than once.
    """
    machine = ctx.settings.machine
    if machine is None or not (machine.instance or machine.usd_per_h):
        return None
    tenure = Tenure(machine.tenure)
    if machine.usd_per_h is not None:
        return Rate(microusd(Decimal(str(machine.usd_per_h))), tenure, machine.gpus or 0, "the settings file")
    price = _price(book(ctx), machine)
    per_h = price.of(tenure)
    if per_h is None:
        raise ConfigError(f'"{machine.instance}" has no {tenure} price.', "See: mlconsole price list")
    gpus = price.gpu_count if machine.gpus is None else machine.gpus
    return Rate(per_h, tenure, gpus, f"{price.provider} {price.instance}, {price.source}, as of {price.as_of}")


def _price(prices: list[Price], machine: Machine) -> Price:
    found = matching(prices, machine.instance, machine.provider, machine.region)
    hint = "See: mlconsole price list"
    if not found:
        raise ConfigError(f'No price book has an instance "{machine.instance}" there.', hint)
    if len(found) > 1:
        places = ", ".join(" ".join(word for word in price.key if word) for price in found[:4])
        raise ConfigError(f'"{machine.instance}" fits several prices: {places}.', "Say provider and region.")
    return found[0]


def machine_here(ctx: Context) -> MachineRow | None:
    """This machine as the ledger knows it, None when it does not."""
    machines = ctx.catalog.ledger.machines() if ctx.has_catalog else []
    return next((machine for machine in machines if machine.host == ctx.settings.host), None)


def rate_now(ctx: Context) -> tuple[Rate | None, str]:
    """What this machine costs, and if that is not known, why."""
    try:
        rate = rate_of_settings(ctx)
    except ConfigError as error:
        return None, str(error)
    if rate is None:
        machine = machine_here(ctx)
        rate = machine.rate if machine else None
    return rate, "" if rate else f"{UNPRICED}. {HOW_TO_PRICE}"
