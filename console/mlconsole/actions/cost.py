"""What was spent, what a run would cost, and what burns now."""

from __future__ import annotations

from datetime import datetime

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.rates import machine_here, rate_now
from mlconsole.actions.settling import settle_now
from mlconsole.actions.sync import refresh
from mlconsole.domain.costs import Axis, Burn, CostReport, Estimate, HostPrice, forecast, month_of, share_per_h
from mlconsole.domain.plans import Effect
from mlconsole.domain.times import parse_duration, parse_when
from mlconsole.errors import UsageError
from mlconsole.records import record


@record
class ShowParams:
    """Summed by what, and since when."""

    by: str = param(
        "run",
        help="what to sum by; days are those of UTC",
        choices=("run", "attempt", "experiment", "user", "tag", "gpu", "host", "day"),
    )
    since: str | None = param(None, help="from when on, as in 7d, today or 2025-06-01", metavar="WHEN")
    limit: int = param(0, help="the most lines to show; 0 shows all", metavar="N")


def show(ctx: Context, params: ShowParams) -> CostReport:
    """Costs by an axis, and what burns now; everything up to this moment counts.

    Raises:
        UsageError: ``--since`` is no moment, or the limit no count.
    """
    now = ctx.clock()
    since = parse_when(params.since, now) if params.since else None
    if params.since and since is None:
        raise UsageError(f'"{params.since}" is no moment.', "Write 7d, today or 2025-06-01.")
    if params.limit < 0:
        raise UsageError(f'"{params.limit}" is not a limit.', "Give 0 or more.")
    return report(ctx, Axis(params.by), since, params.limit)


def report(ctx: Context, by: Axis, since: datetime | None = None, limit: int = 0) -> CostReport:
    """Costs by an axis since a moment, with what burns now."""
    now = ctx.clock()
    refresh(ctx)
    if not ctx.settings.read_only:
        settle_now(ctx, now)
    ledger = ctx.catalog.ledger
    unsettled = ledger.tail(now, ctx.settings.host, ctx.uptime())
    items = ledger.sums(by, since, unsettled)
    idle, total = ledger.totals(since, unsettled)
    machines = ledger.machines()
    shown = items[:limit] if limit else items
    return CostReport(
        by,
        shown,
        idle,
        total,
        since,
        burn_now(ctx, unsettled),
        unpriced=tuple(machine.host for machine in machines if machine.rate is None),
        more=len(shown) < len(items),
        machines_microusd=ledger.machine_time(unsettled) if since is None and total is not None else None,
        prices=tuple(HostPrice(machine.host, machine.rate) for machine in machines if machine.rate is not None),
    )


def burn_now(ctx: Context, unsettled: str | None = None) -> Burn | None:
    """What goes on now on every priced machine, and what the month comes to; None while no machine has a price."""
    now, ledger = ctx.clock(), ctx.catalog.ledger
    priced = [(machine, machine.rate) for machine in ledger.machines() if machine.rate is not None]
    if not priced:
        return None
    if unsettled is None:
        unsettled = ledger.tail(now, ctx.settings.host, ctx.uptime())
    per_h = sum(rate.microusd_per_h for _, rate in priced)
    used = 0
    for machine, rate in priced:
        gpus, leases = ledger.in_use(machine)
        used += share_per_h(rate, gpus, machine.count) if machine.count or leases else 0
    month = ledger.totals(month_of(now)[0], unsettled)[1] or 0
    today = ledger.totals(now.replace(hour=0, minute=0, second=0, microsecond=0), unsettled)[1] or 0
    return Burn(per_h, per_h - used, today, month, forecast(month, per_h, now))


@record
class EstimateParams:
    """Of what run."""

    gpus: int = param(0, help="how many GPUs it leases", metavar="N")
    time_limit: str | None = param(None, help="how long it may run, as in 90m or 2h", metavar="DURATION")


def estimate(ctx: Context, params: EstimateParams) -> Estimate:
    """What a run on this machine would cost.

    Raises:
        UsageError: the count or the time limit is none.
    """
    limit = parse_duration(params.time_limit) if params.time_limit else None
    if params.time_limit and (limit is None or not 0 < limit < 1e9):
        raise UsageError(f'"{params.time_limit}" is not a time limit.', "Write 90s, 15m or 2h30m.")
    if params.gpus < 0:
        raise UsageError(f'"{params.gpus}" is no count of GPUs.')
    found = estimated(ctx, params.gpus, limit)
    if found.microusd_per_h is not None or not params.gpus:
        return found
    return estimated(ctx, params.gpus, limit, len(ctx.gpus(ctx.settings.host).gpus))


def estimated(ctx: Context, gpus: int, limit_s: float | None, seen: int = 0) -> Estimate:
    """What a run with so many GPUs and such a time limit costs on this machine, as far as that is known.

    ``seen``: how many GPUs the machine was just seen to have, where somebody has looked.
    """
    rate, why = rate_now(ctx)
    if rate is None:
        return Estimate(gpus, None, limit_s, why=why)
    machine = machine_here(ctx)
    count = max(rate.gpus, machine.count if machine else 0, seen)
    if gpus and not count:
        why = "how many GPUs this machine has is not known; say it in the settings file: [machine] gpus = 8"
        return Estimate(gpus, None, limit_s, rate.source, why)
    if gpus > count:
        why = f"this machine has {count} GPU{'s' if count > 1 else ''}"
        return Estimate(gpus, None, limit_s, rate.source, why)
    return Estimate(gpus, share_per_h(rate, gpus, count), limit_s, rate.source)


SHOW = Action(
    "cost show",
    "Sum what was spent, by anything",
    ShowParams,
    Effect.READ,
    show,
    examples=("mlconsole cost show --by user --since 7d",),
)
ESTIMATE = Action("cost estimate", "Say what a run would cost here", EstimateParams, Effect.READ, estimate)
