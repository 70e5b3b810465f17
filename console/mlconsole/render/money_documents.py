"""Money as JSON documents: dollars, and null where a cost is not known."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.budgets import BudgetState
from mlconsole.domain.costs import Burn, CostItem, CostReport, Estimate, HostPrice
from mlconsole.domain.prices import Price, Tenure
from mlconsole.domain.times import iso

Document = dict[str, Any]


def usd(microusd: int | None) -> float | None:
    """Dollars; None stays None."""
    return None if microusd is None else microusd / 1_000_000


def document(result: object) -> Document | None:
    """The document of a result about money; None for any other."""
    if isinstance(result, CostReport):
        return _report(result)
    if isinstance(result, Estimate):
        return _estimate(result)
    return None


def item(thing: object) -> Document | None:
    """An element of a list about money; None for any other."""
    if isinstance(thing, Price):
        return _price(thing)
    if isinstance(thing, BudgetState):
        return _budget(thing)
    return None


def _report(report: CostReport) -> Document:
    found: Document = {
        "kind": "cost",
        "by": report.by.value,
        "since": iso(report.since),
        "items": [_item(item) for item in report.items],
        "idle_usd": usd(report.idle_microusd),
        "total_usd": usd(report.total_microusd),
        "runs_usd": usd(report.runs_microusd),
        "machines_usd": usd(report.machines_microusd),
        "prices": [_host_price(each) for each in report.prices],
        "unpriced": list(report.unpriced),
        **(_burn(report.burn) if report.burn else {}),
    }
    return found | ({"more": True} if report.more else {})


def _host_price(price: HostPrice) -> Document:
    rate = price.rate
    return {"host": price.host, "usd_per_h": usd(rate.microusd_per_h), "tenure": rate.tenure, "source": rate.source}


def _item(item: CostItem) -> Document:
    figures = {"usd": usd(item.microusd), "gpu_hours": item.gpu_hours, "kwh": item.kwh}
    return {"key": item.key, "label": item.label, **figures}


def _burn(burn: Burn) -> Document:
    return {
        "burn_usd_per_h": usd(burn.microusd_per_h),
        "idle_usd_per_h": usd(burn.idle_microusd_per_h),
        "today_usd": usd(burn.today_microusd),
        "month_usd": usd(burn.month_microusd),
        "forecast_usd": usd(burn.forecast_microusd),
    }


def _estimate(estimate: Estimate) -> Document:
    return {
        "kind": "estimate",
        "gpus": estimate.gpus,
        "time_limit_s": estimate.limit_s,
        "usd_per_h": usd(estimate.microusd_per_h),
        "usd": usd(estimate.microusd),
        "source": estimate.source,
        "why": estimate.why,
    }


def _price(price: Price) -> Document:
    return {
        "provider": price.provider,
        "instance": price.instance,
        "gpu": price.gpu,
        "count": price.gpu_count,
        "region": price.region,
        **{f"{tenure}_usd_per_h": usd(price.of(tenure)) for tenure in Tenure},
        "as_of": price.as_of.isoformat(),
        "source": price.source,
    }


def _budget(state: BudgetState) -> Document:
    budget = state.budget
    return {
        "name": budget.name,
        "scope": budget.scope.value if not budget.who else f"{budget.scope}:{budget.who}",
        "per": budget.period.value,
        "hard": budget.is_hard,
        "usd": usd(budget.microusd),
        "spent_usd": usd(state.spent),
        "committed_usd": usd(state.committed),
        "percent": state.percent,
        "level": state.level,
        "since": iso(state.since),
        "until": iso(state.until),
    }
