"""Budgets: periods, whose spending counts, what is committed, and the refusal with its figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlconsole.domain.budgets import Budget, BudgetState, Commitment, Period, Scope, committed, refusal

NOW = datetime(2025, 6, 18, 15, 30, tzinfo=UTC)  # A Wednesday.


def budget(scope: Scope = Scope.ALL, who: str = "", hard: bool = True, usd: int = 100) -> Budget:
    return Budget("lab", usd * 1_000_000, scope, who, Period.MONTH, hard)


def state(spent: int, committed_usd: int = 0, **options: object) -> BudgetState:
    since, until = Period.MONTH.around(NOW)
    return BudgetState(budget(**options), since, until, spent * 1_000_000, committed_usd * 1_000_000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [
        (Period.DAY, "2025-06-18", "2025-06-19"),
        (Period.WEEK, "2025-06-16", "2025-06-23"),
        (Period.MONTH, "2025-06-01", "2025-07-01"),
    ],
)
def test_a_period_begins_and_ends_at_midnight_utc(period: Period, begin: str, end: str) -> None:
    assert [moment.isoformat() for moment in period.around(NOW)] == [f"{begin}T00:00:00+00:00", f"{end}T00:00:00+00:00"]


def test_the_month_after_december_is_january() -> None:
    assert Period.MONTH.around(datetime(2025, 12, 31, tzinfo=UTC))[1] == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scope", "who", "counts"),
    [
        (Scope.ALL, "", True),
        (Scope.USER, "ann", True),
        (Scope.USER, "bob", False),
        (Scope.EXPERIMENT, "vision", True),
        (Scope.EXPERIMENT, "ann", False),
    ],
)
def test_a_budget_counts_what_is_in_its_scope(scope: Scope, who: str, counts: bool) -> None:
    assert budget(scope, who).counts("ann", "vision") is counts


@pytest.mark.parametrize(("spent", "level"), [(0, 0), (49, 0), (50, 50), (79, 50), (80, 80), (100, 100), (500, 100)])
def test_a_budget_tells_at_50_80_and_100_percent(spent: int, level: int) -> None:
    assert state(spent).level == level


def test_a_run_is_committed_up_to_its_time_limit_and_never_beyond_the_period() -> None:
    end = NOW + timedelta(hours=10)
    runs = [
        Commitment("ann", "vision", 2_000_000, NOW + timedelta(hours=3)),
        Commitment("ann", "vision", 1_000_000, NOW + timedelta(hours=99)),
        Commitment("ann", "vision", 1_000_000, None),
        Commitment("ann", "vision", 1_000_000, NOW - timedelta(hours=1)),
        Commitment("bob", "vision", 9_000_000, None),
    ]

    assert committed(budget(Scope.USER, "ann"), runs, NOW, end) == 26_000_000


def test_a_refusal_has_the_figures() -> None:
    why = refusal(state(60, 30), 20_000_000)

    assert "$60.00 spent + $30.00 committed + $20.00 for this run = $110.00" in why
    assert "$100.00 a month for everything" in why


def test_what_just_fits_is_not_refused() -> None:
    assert refusal(state(60, 30), 10_000_000) == ""


def test_a_soft_budget_refuses_nothing() -> None:
    assert refusal(state(600, hard=False), 10_000_000) == ""
