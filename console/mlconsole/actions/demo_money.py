"""What the demo costs: a price and a budget that are examples, on machine time that is real.

The price is a row of the price book, and says of itself that it is made up. A user who has said what this machine costs
keeps that price.
"""

from __future__ import annotations

from datetime import date

from mlconsole.actions import budget
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.rates import rate_of_settings
from mlconsole.catalog.machines import ensure_machine, put_rate
from mlconsole.catalog.prices import put_prices
from mlconsole.config import Machine, Settings
from mlconsole.demo.trainings import EXPERIMENT
from mlconsole.domain.prices import MICRO, Price, Tenure
from mlconsole.domain.times import to_us
from mlconsole.records import replace

USD_PER_H = 12
BUDGET, BUDGET_USD = "digits-a-day", "5"
PRICE = Price(
    provider="example",
    instance="demo-machine",
    gpu="",
    gpu_count=0,
    region="",
    as_of=date(2025, 1, 1),
    source="an example price that the demo made up",
    owned=USD_PER_H * MICRO,
)
WORDS = f"an example price, ${USD_PER_H} an hour, for this machine"


def priced(settings: Settings) -> Settings:
    """The settings with the example's price, unless they have one."""
    if settings.machine is not None:
        return settings
    return replace(settings, machine=Machine(PRICE.instance, PRICE.provider, tenure=Tenure.OWNED))


def begin(ctx: Context) -> None:
    """Put the example in the price book, let the machine's account begin now, and set a budget; once."""
    now, host = ctx.clock(), ctx.settings.host
    known = ctx.catalog.ledger.machines()
    if any(machine.host == host and machine.rate for machine in known):
        return
    ctx.write(lambda db: put_prices(db, [PRICE], now))
    if (rate := rate_of_settings(ctx)) is not None:
        at = to_us(now)
        ctx.write(lambda db: put_rate(db, ensure_machine(db, host, 0, at, ctx.uptime()), rate, at))
    execute(ctx, budget.SET, budget.SetParams(BUDGET, usd=BUDGET_USD, scope=f"experiment:{EXPERIMENT}", per="day"))
    if ctx.settings.machine is not None and ctx.settings.machine.instance == PRICE.instance:
        ctx.say(f"Costs are by {WORDS}; what they are of, this machine's time, is real.")
