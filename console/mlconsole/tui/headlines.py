"""What stands over the runs of the overview: what fires, what is live, the GPUs, the money. One line each."""

from __future__ import annotations

from collections.abc import Sequence

from mlconsole.actions.context import Context
from mlconsole.actions.cost import burn_now
from mlconsole.actions.gpu_rows import wasted_microusd_per_h
from mlconsole.domain.costs import Burn
from mlconsole.domain.gpu import Source
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.idle import IdleClass
from mlconsole.render import numbers
from mlconsole.render.money_tables import per_hour
from mlconsole.render.sanitise import clean
from mlconsole.render.spark import bar
from mlconsole.render.width import middle
from mlconsole.tui.gpu_pages import TOKENS as CLASS_TOKENS
from mlconsole.tui.widgets.line import Span

BUDGET_CELLS = 6
NAME_CELLS = 14
ALERTS_READ = 500
FULL = 100
EACH_GPU = 8
"""With more GPUs they are counted instead."""
WORD_CELLS = 12
TROUBLE = (IdleClass.ZOMBIE, IdleClass.HELD, IdleClass.STALLED)
CALM = ("state.good", "state.idle", "dim")


def alert_spans(ctx: Context) -> list[Span]:
    """The worst of what fires, how much more does, and what waits for a person; nothing while nothing does."""
    from mlconsole.domain.alerts import AlertState  # 5 ms, in the reading thread

    found = ctx.catalog.alerts.listed((AlertState.FIRING,), ALERTS_READ)
    spans: list[Span] = []
    if found:
        worst = max(found, key=lambda alert: (alert.severity.rank, alert.number))
        token = "state.bad" if worst.severity.value == "critical" else "warn"
        more = f", 1 of {len(found)}" if len(found) > 1 else ""
        since = numbers.ago(worst.opened_at, ctx.clock())
        spans = [(":alerts ", "accent"), (f"{since}{more}  ", "dim"), (f"▲ {worst.title}", token)]
    if proposed := ctx.catalog.firings.proposed():
        spans = [(":policies ", "accent"), (f"? {proposed} to decide   ", "warn"), *spans]
    return spans


def live_spans(ctx: Context) -> list[Span]:
    """What is live in each environment and how that stands, the worst first; nothing where there is none."""
    found = ctx.catalog.environments.all()
    if not found:
        return []
    # 10 ms, where there is an environment.
    from mlconsole.domain.environments import Standing, standing_of
    from mlconsole.render.release_tables import MARKS
    from mlconsole.tui.environment_pages import TOKENS

    spans: list[Span] = [("live ", "label")]
    under_way = {one.number: ctx.catalog.rollouts.open_of(one.number) for one in found}
    stands = {one.number: standing_of(one, next(iter(under_way[one.number][-1:]), None)) for one in found}
    for one in sorted(found, key=lambda each: TOKENS[stands[each.number]] in CALM):
        standing = stands[one.number]
        name = one.release.label if one.release else ""
        spans += [(f" {clean(one.name)} ", "label"), (f"{clean(name)} ".lstrip(), "strong")]
        mark = MARKS[standing].split()[0] if standing is Standing.LIVE else MARKS[standing]
        spans.append((f"{mark}  ", TOKENS[standing]))
    return spans


def gpu_spans(report: GpuReport | None) -> list[Span]:
    """What GPUs waste an hour, then each of them in a few cells, or how many do what; nothing where there is none.

    What is held for nothing comes first: on a narrow screen the rest goes.
    """
    found = report.all_rows if report is not None else []
    if report is None or not found:
        return []
    spans: list[Span] = [("GPUs ", "label")]
    sources = {row.reading.source for row in found} - {Source.NVML}
    spans += [(f" {source.value}", "warn") for source in sorted(sources)]
    if wasted := wasted_microusd_per_h(report):
        spans.append((f" {per_hour(wasted)} wasted ", "warn"))
    rows = sorted(found, key=lambda row: (*TROUBLE, row.idle_class).index(row.idle_class))
    each = [span for row in rows for span in _gpu(row)]
    return spans + (_tally(found) if len(found) > EACH_GPU else each)


def _gpu(row: GpuRow) -> list[Span]:
    """Its number, its load or that it is held for nothing, and who holds it."""
    use = row.reading.utilization_percent.value
    token = CLASS_TOKENS.get(row.idle_class, "value") if row.idle_class else "value"
    figure = "?" if use is None else f"{use:.0f}%"
    if row.is_wasted and row.idle_class is not None:
        figure = row.idle_class.value.upper()
    word = f" {middle(clean(row.run_name or row.user), WORD_CELLS)}".rstrip()
    if row.away:
        figure, token = "?", "state.unknown"
    return [(f" {clean(row.label)} ", "dim"), (figure, token), (f"{word} ", "value")]


def _tally(rows: Sequence[GpuRow]) -> list[Span]:
    """How many GPUs do what, those that are held for nothing first."""
    spans: list[Span] = [(f" {len(rows)}:", "value")]
    for idle_class in (IdleClass.ZOMBIE, IdleClass.HELD, IdleClass.STALLED, IdleClass.EMPTY, IdleClass.BUSY):
        if count := sum(row.idle_class is idle_class and not row.away for row in rows):
            spans.append((f"  {count} {idle_class.value.upper()}", CLASS_TOKENS[idle_class]))
    if count := sum(bool(row.away) for row in rows):
        spans.append((f"  {count} unreachable", "state.unknown"))
    return spans


def money_spans(ctx: Context, *, is_ascii: bool = False) -> list[Span]:
    """What burns, was spent, and what the month comes to, then the fullest budget; nothing without a price."""
    burn = burn_now(ctx)
    if burn is None:
        return []
    return burn_spans(burn) + budget_spans(ctx, 1, is_ascii=is_ascii) + month_spans(burn)


def burn_spans(burn: Burn) -> list[Span]:
    """What burns, how much of it for nothing, and what today has come to."""
    spans: list[Span] = [("burn ", "label"), (per_hour(burn.microusd_per_h), "strong")]
    if burn.idle_microusd_per_h:
        spans.append((f"  {per_hour(burn.idle_microusd_per_h)} idle", "warn"))
    return [*spans, ("  today ", "label"), (numbers.money(burn.today_microusd), "value")]


def month_spans(burn: Burn) -> list[Span]:
    """What this month has come to, and what it comes to when the rest of it burns as now."""
    return [
        ("  month ", "label"),
        (numbers.money(burn.month_microusd), "value"),
        (f", {numbers.money(burn.forecast_microusd)}", "value"),
        (" by its end", "dim"),
    ]


def budget_spans(ctx: Context, most: int, *, is_ascii: bool = False, is_long: bool = False) -> list[Span]:
    """The fullest budgets, each with a bar of what is spent of it; a long one says it in dollars, too."""
    states = ctx.catalog.ledger.budgets(ctx.clock(), ctx.settings.host, ctx.uptime())
    spans: list[Span] = []
    for state in sorted(states, key=lambda each: -each.percent)[:most]:
        drawn = bar(min(1.0, state.percent / 100), BUDGET_CELLS, is_ascii=is_ascii, track="░")
        name = clean(state.budget.name)
        token = "state.bad" if state.level == FULL else "warn" if state.level else "value"
        spans += [
            (f"  budget {name if is_long else middle(name, NAME_CELLS)} ", "label"),
            (f"{drawn} {state.percent:.0f}%", token),
        ]
        spans += [(" hard", "dim")] if state.budget.is_hard else []
        if is_long:
            spans += [(f"  {numbers.money(state.spent)}", "value"), (f" of {state.budget.words}", "dim")]
    return spans
