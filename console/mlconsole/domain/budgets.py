"""Budgets: how much may be spent, by whom, in which time, and what happens when it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from mlconsole.domain.costs import month_of
from mlconsole.records import record

PERCENTS = (50, 80, 100)


class Scope(StrEnum):
    """Whose spending counts. ``ALL`` counts IDLE time too."""

    ALL = "all"
    USER = "user"
    EXPERIMENT = "experiment"


class Period(StrEnum):
    """How often a budget begins anew, in UTC; a week begins on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def around(self, now: datetime) -> tuple[datetime, datetime]:
        """The begin and the end of the period that ``now`` is in."""
        if self is Period.MONTH:
            return month_of(now)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Period.DAY:
            return midnight, midnight + timedelta(days=1)
        monday = midnight - timedelta(days=midnight.weekday())
        return monday, monday + timedelta(days=7)


@record
class Budget:
    """A budget. A hard one refuses what would go beyond it; any one tells when it is half, almost and all spent."""

    name: str
    microusd: int
    scope: Scope
    who: str
    period: Period
    is_hard: bool

    def counts(self, user: str, experiment: str) -> bool:
        """True when a run of that user in that experiment is paid from it."""
        return self.scope is Scope.ALL or self.who == (user if self.scope is Scope.USER else experiment)

    @property
    def words(self) -> str:
        """What it allows, as people read it."""
        whose = "everything" if self.scope is Scope.ALL else f'{self.scope} "{self.who}"'
        return f"{usd(self.microusd)} a {self.period} for {whose}"


@record
class BudgetState:
    """How a budget stands in the present period: spent, and bound to be spent by runs that live."""

    budget: Budget
    since: datetime
    until: datetime
    spent: int
    committed: int

    @property
    def percent(self) -> float:
        """How much of it is spent."""
        return 100 * self.spent / self.budget.microusd

    @property
    def level(self) -> int:
        """The highest of 50, 80 and 100 % that was reached; 0 below."""
        return max((level for level in PERCENTS if self.percent >= level), default=0)


@record
class Crossing:
    """A budget reached one of 50, 80 and 100 % of what it allows."""

    budget: Budget
    percent: int
    spent: int

    @property
    def words(self) -> str:
        """What is said, once a period."""
        return f'Budget "{self.budget.name}": {self.percent} % reached, {usd(self.spent)} of {self.budget.words} spent.'


@record
class Commitment:
    """What a live run is bound to cost still: micro-dollars an hour up to its time limit, or to the period's end."""

    user: str
    experiment: str
    microusd_per_h: int
    until: datetime | None


def committed(budget: Budget, runs: list[Commitment], now: datetime, end: datetime) -> int:
    """What live runs are bound to take from a budget before its period ends; one without a limit runs to that end."""
    total = 0
    for run in runs:
        if budget.counts(run.user, run.experiment):
            left = (min(run.until or end, end) - now).total_seconds()
            total += round(run.microusd_per_h * max(0.0, left) / 3600)
    return total


def refusal(state: BudgetState, this: int) -> str:
    """Why a launch that costs ``this`` goes beyond a hard budget, with the figures; empty when it does not."""
    wanted = state.spent + state.committed + this
    if not state.budget.is_hard or wanted <= state.budget.microusd:
        return ""
    return (
        f'budget "{state.budget.name}" allows {state.budget.words}: {usd(state.spent)} spent + {usd(state.committed)} '
        f"committed + {usd(this)} for this run = {usd(wanted)}"
    )


def usd(microusd: int) -> str:
    """Micro-dollars as people read them."""
    return f"${microusd / 1_000_000:,.2f}"
