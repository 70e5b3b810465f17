"""Budgets that are almost or all spent."""

from __future__ import annotations

from mlconsole.actions.context import Context
from mlconsole.domain.alerts import Severity, Signal, Verdict
from mlconsole.domain.budgets import BudgetState, usd

PREFIXES = ("budget:",)
NEAR, SPENT = 80, 100


def look(ctx: Context) -> list[Signal]:
    """How every budget stands."""
    return [_signal(state) for state in ctx.catalog.ledger.budgets(ctx.clock(), ctx.settings.host, ctx.uptime())]


def _signal(state: BudgetState) -> Signal:
    name = state.budget.name
    verdict = Verdict.BAD if state.level >= NEAR else Verdict.CLEAN
    severity = Severity.CRITICAL if state.level >= SPENT else Severity.WARNING
    title = f'budget "{name}" is past {state.level} %: {usd(state.spent)} of {state.budget.words}'
    data = {"budget": name, "percent": state.level, "spent_usd": state.spent / 1e6}
    return Signal(f"budget:{name}", "budget", f"budget:{name}", verdict, title, severity, data=data)
