"""Budgets: setting, listing and removing them, and the refusal of a launch that goes beyond a hard one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from sqlite3 import Connection

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.settling import settle_now
from mlconsole.actions.sync import refresh
from mlconsole.catalog.budgets import put_budget, remove_budget, states
from mlconsole.catalog.ledger import tail
from mlconsole.catalog.machines import MachineRow, put_rate
from mlconsole.domain.budgets import Budget, BudgetState, Period, Scope, refusal
from mlconsole.domain.costs import Estimate
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.prices import Rate, microusd
from mlconsole.domain.results import Done, Listing
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime
from mlconsole.errors import ActionFailed, NotFound, UsageError
from mlconsole.records import record


@record
class SetParams:
    """What may be spent."""

    name: str = param(help="name of the budget", positional=True, metavar="NAME")
    usd: str | None = param(None, help="dollars that may be spent in each period", metavar="USD")
    scope: str = param("all", help="whose spending counts: all, user:NAME, experiment:NAME", metavar="SCOPE")
    per: str = param("month", help="how often it begins anew", choices=("day", "week", "month"))
    hard: bool = param(False, help="refuse launches that would go beyond it")


def budget_of(params: SetParams) -> Budget:
    """The budget that these params say.

    Raises:
        UsageError: the sum or the scope is none.
    """
    if params.usd is None:
        raise UsageError(f'How much may "{params.name}" spend?', "Say it: --usd 500")
    try:
        usd = Decimal(params.usd.strip().removeprefix("$"))
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or not Decimal("0.01") <= usd <= Decimal(10**9):
        raise UsageError(f'"{params.usd}" is no sum of dollars.', "Write --usd 500.")
    if not params.name.strip():
        raise UsageError("A budget's name cannot be empty.")
    kind, colon, who = params.scope.partition(":")
    if kind not in list(Scope) or bool(colon and who) != (kind != Scope.ALL):
        raise UsageError(f'"{params.scope}" is no scope.', "Write all, user:NAME or experiment:NAME.")
    return Budget(params.name, microusd(usd), Scope(kind), who, Period(params.per), params.hard)


def plan_set(ctx: Context, params: SetParams) -> Plan:
    """What would hold."""
    budget = budget_of(params)
    what = "refuse launches beyond" if budget.is_hard else "tell at 50, 80 and 100 % of"
    words = ["budget", "set", params.name, f"--usd={params.usd}", f"--scope={params.scope}", f"--per={params.per}"]
    command = shlex.join(["mlconsole", *words, *(["--hard"] if params.hard else [])])
    return Plan("budget set", Effect.WRITE, (Step(f"{what} {budget.words}", budget.name),), command=command)


def set_budget(ctx: Context, params: SetParams) -> Done:
    """Set a budget, or change the one of that name."""
    budget = budget_of(params)
    now = ctx.clock()
    ctx.write(lambda db: put_budget(db, budget, now), durable=True)
    how = "Hard budget" if budget.is_hard else "Budget"
    return Done("budget", f'{how} "{budget.name}": {budget.words}.', fields={"name": budget.name})


@record
class ListParams:
    """All of them."""


def list_budgets(ctx: Context, params: ListParams) -> Listing[BudgetState]:
    """Every budget and how it stands now."""
    now = ctx.clock()
    refresh(ctx)
    if not ctx.settings.read_only:
        settle_now(ctx, now)
    return Listing("budget", ctx.catalog.ledger.budgets(now, ctx.settings.host, ctx.uptime()))


@record
class RemoveParams:
    """Which one."""

    name: str = param(help="name of the budget", positional=True, metavar="NAME")


def plan_remove(ctx: Context, params: RemoveParams) -> Plan:
    """What would hold no more."""
    step = Step(f'take the budget "{params.name}" away', params.name)
    command = shlex.join(["mlconsole", "budget", "remove", params.name])
    return Plan("budget remove", Effect.WRITE, (step,), command=command)


def remove(ctx: Context, params: RemoveParams) -> Done:
    """Take a budget away.

    Raises:
        NotFound: there is none of that name.
    """
    if not ctx.write(lambda db: remove_budget(db, params.name), durable=True):
        raise NotFound(f'No budget "{params.name}" in this catalog.', "List them: mlconsole budget list")
    return Done("budget", f'The budget "{params.name}" is gone.', fields={"name": params.name})


@record
class Spender:
    """A run about to be launched, as budgets see it."""

    user: str
    experiment: str
    estimate: Estimate
    rate: Rate | None
    host: str
    uptime: Uptime


def check_budgets(db: Connection, spender: Spender, machine: MachineRow, now: datetime) -> None:
    """Refuse a launch that goes beyond a hard budget; inside the transaction that records its intent.

    Raises:
        ActionFailed: it does, or what it costs cannot be said; the message has the figures.
    """
    if spender.rate is not None:
        put_rate(db, machine, spender.rate, to_us(now))
    refuse_beyond(states(db, now, tail(db, to_us(now), spender.host, spender.uptime)), spender)


def refuse_beyond(found: Sequence[BudgetState], spender: Spender) -> None:
    """Refuse a launch that goes beyond one of these budgets.

    Raises:
        ActionFailed: it does, or what it costs cannot be said; the message has the figures.
    """
    for state in found:
        budget, cost = state.budget, spender.estimate
        if not budget.is_hard or not budget.counts(spender.user, spender.experiment):
            continue
        if cost.microusd_per_h is None:
            raise ActionFailed(f'Budget "{budget.name}" is hard, and the cost of this run is not known: {cost.why}.')
        if cost.microusd is None and cost.microusd_per_h:
            hint = "Give --time-limit: a run without one has no cost that could be counted."
            raise ActionFailed(f'Budget "{budget.name}" is hard, and this run could go on for ever.', hint)
        if why := refusal(state, cost.microusd or 0):
            raise ActionFailed(f"Refused: {why}.", "See: mlconsole budget list")


SET = Action(
    "budget set",
    "Say how much may be spent",
    SetParams,
    Effect.WRITE,
    set_budget,
    plan_set,
    target=lambda p: p.name,
    examples=("mlconsole budget set team --usd 500 --per month --hard",),
)
LIST = Action("budget list", "List budgets and how they stand", ListParams, Effect.READ, list_budgets)
REMOVE = Action(
    "budget remove",
    "Take a budget away",
    RemoveParams,
    Effect.WRITE,
    remove,
    plan_remove,
    target=lambda p: p.name,
)
