"""Money as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.budgets import BudgetState
from mlconsole.domain.costs import Axis, Burn, CostItem, CostReport, Estimate
from mlconsole.domain.prices import MICRO, Price, Tenure
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

UNKNOWN = "unknown"
MOST_SOURCE = 200


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about money; None for any other."""
    if isinstance(result, CostReport):
        return _report(result)
    if isinstance(result, Estimate):
        return [clean(estimate_words(result), 1000)]
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about money; None for any other."""
    if isinstance(items[0], Price):
        return _prices([price for price in items if isinstance(price, Price)])
    if isinstance(items[0], BudgetState):
        return _budgets([state for state in items if isinstance(state, BudgetState)])
    return None


def usd(microusd: int | None) -> str:
    """Money, or the word that it is not known."""
    return UNKNOWN if microusd is None else numbers.money(microusd)


def exact(microusd: int | None) -> str:
    """Money to the micro-dollar, where it has to add up."""
    return UNKNOWN if microusd is None else f"${microusd // MICRO:,}.{microusd % MICRO:06}"


def per_hour(microusd: int | None) -> str:
    """Money an hour; small sums to the tenth of a cent."""
    if microusd is None:
        return UNKNOWN
    return f"${microusd / 1_000_000:,.3f}/h" if 0 < microusd < 100_000 else f"{numbers.money(microusd)}/h"


def _report(report: CostReport) -> list[str]:
    rows = [_item(item) for item in report.items]
    rows += [("IDLE", "leased by nobody", usd(report.idle_microusd), "", "")]
    rows += [("total", _since(report), usd(report.total_microusd), "", "")]
    out = table((report.by.value.upper(), "", "COST", "GPU-HOURS", "KWH"), rows, {2, 3, 4})
    if report.more:
        out.append("... there are more: raise --limit")
    if report.by is Axis.TAG:
        out.append("A run with several tags stands in several lines: they do not add up to the total.")
    if report.unpriced:
        hosts = ", ".join(clean(host) for host in report.unpriced)
        out.append(f"What {hosts} costs is not known and in no sum. Say it in the settings file: [machine]")
    return [*out, *balance_words(report), *(_burn(report.burn) if report.burn else []), *price_words(report)]


def balance_words(report: CostReport) -> list[str]:
    """That runs and IDLE come to what the machines cost, with the figures; nothing where that is not known."""
    if report.machines_microusd is None:
        return []
    words = f"runs {exact(report.runs_microusd)} + IDLE {exact(report.idle_microusd)}"
    whole = exact(report.machines_microusd)
    if report.machines_microusd == report.total_microusd:
        return [f"{words} = {whole}, what the machine time cost"]
    return [f"{words} is not the {whole} that the machine time cost: see mlconsole doctor"]


def price_words(report: CostReport) -> list[str]:
    """What each machine costs, and who says so."""
    return [
        f"{clean(each.host)} costs {per_hour(each.rate.microusd_per_h)}, {each.rate.tenure.words}: "
        f"{clean(each.rate.source, MOST_SOURCE)}"
        for each in report.prices
    ]


def _item(item: CostItem) -> tuple[str, ...]:
    kwh = "-" if item.kwh is None else f"{item.kwh:,.2f}"
    label = item.label if item.label != item.key else ""
    return item.key, label, usd(item.microusd), f"{item.gpu_hours:,.2f}", kwh


def _since(report: CostReport) -> str:
    return f"since {iso(report.since)}" if report.since else ""


def _burn(burn: Burn) -> list[str]:
    idle = f" ({per_hour(burn.idle_microusd_per_h)} of it idle)" if burn.idle_microusd_per_h else ""
    return [
        f"now {per_hour(burn.microusd_per_h)}{idle}, today {usd(burn.today_microusd)}, "
        f"this month {usd(burn.month_microusd)}, {usd(burn.forecast_microusd)} by its end at this rate"
    ]


def estimate_words(estimate: Estimate) -> str:
    """What a run would cost, in one line."""
    if estimate.microusd_per_h is None:
        return f"what it costs is unknown: {estimate.why}"
    total = "" if estimate.microusd is None else f", {usd(estimate.microusd)} in {numbers.duration(estimate.limit_s)}"
    return f"costs {per_hour(estimate.microusd_per_h)}{total} ({estimate.source})"


def _prices(prices: Sequence[Price]) -> list[str]:
    titles = ("PROVIDER", "INSTANCE", "GPU", "#", "REGION", *(tenure.upper() for tenure in Tenure), "AS OF", "SOURCE")
    rows = [_price(price) for price in prices]
    note = "List prices change: import what you really pay with mlconsole price import FILE"
    return [*table(titles, rows, {3, 5, 6, 7, 8}), note]


def _price(price: Price) -> tuple[str, ...]:
    what = (price.provider, price.instance, price.gpu, str(price.gpu_count or ""), price.region)
    costs = ("" if (one := price.of(tenure)) is None else per_hour(one) for tenure in Tenure)
    return *what, *costs, price.as_of.isoformat(), price.source


def _budgets(states: Sequence[BudgetState]) -> list[str]:
    titles = ("BUDGET", "ALLOWS", "KIND", "SPENT", "COMMITTED", "USED", "")
    rows = [_budget(state) for state in states]
    return table(titles, rows, {3, 4, 5})


def _budget(state: BudgetState) -> tuple[str, ...]:
    budget, level = state.budget, f"past {state.level} %" if state.level else ""
    kind = "hard" if budget.is_hard else "soft"
    return budget.name, budget.words, kind, usd(state.spent), usd(state.committed), f"{state.percent:.0f} %", level
