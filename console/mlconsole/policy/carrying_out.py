"""Carries a firing out: plan, budget, claim, action, result. Killed at any point, it is done once all the same.

The claim names the process. The action's first change carries the mark that it was begun, in its own transaction:
without that mark nothing was changed and it may be done again; with it, it is never done again unless the backend is
certain that its run never started.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from typing import Any

from mlconsole import actions
from mlconsole.actions.base import Action
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute, plan
from mlconsole.actions.rates import rate_of_settings
from mlconsole.catalog.firings import Doing, holder_of, holder_text, move, spent_microusd
from mlconsole.catalog.watch_lease import is_gone, require
from mlconsole.domain.budgets import Period
from mlconsole.domain.plans import Effect
from mlconsole.domain.policies import Firing, FiringState, Policy, over_budget, ready
from mlconsole.domain.results import Done, Listing, Updates
from mlconsole.domain.runs import Outcome, Run, State
from mlconsole.domain.watching import Watcher
from mlconsole.errors import ConfigError, LeaseLost, MlconsoleError, NotFound
from mlconsole.policy.duties import words_of
from mlconsole.policy.params import params_of

COSTLY = ("launch", "run relaunch", "reproduce")
MOST_TRIES = 5
LONGEST_WORDS = 200
LAUNCHER_DIED = "the launcher ended before"


def carry_out(ctx: Context, firing: Firing, policy: Policy, me: Watcher, fence: int | None, who: str = "") -> Firing:
    """Do what a firing says, unless somebody else does or it goes beyond the policy's budget.

    Args:
        ctx: the session.
        firing: as it was seen, due or proposed.
        policy: the one that it is of, as it stands now.
        me: this process.
        fence: the watcher's lease; None where a person says yes.
        who: that person.
    """
    doing = Doing(firing, holder_text(me, os.urandom(8).hex()), fence)
    try:
        action = actions.named(firing.do)
        params = params_of(action, firing.given)
        cost = cost_of(ctx, action, params)
    except (MlconsoleError, KeyError) as error:
        _move(ctx, firing, FiringState.FAILED, f"it cannot be planned: {error}", fence, who)
        return ctx.catalog.firings.get(firing.number)
    if why := ctx.catalog.write(lambda db: _claim(db, ctx, doing, firing, policy, cost, who), durable=True):
        _move(ctx, firing, FiringState.HELD, why, fence, who)
    elif ctx.catalog.firings.get(firing.number).state is FiringState.STARTED:
        _do(ctx, doing, action, params, is_confirmed=policy.allow or bool(who))
    return ctx.catalog.firings.get(firing.number)


def cost_of(ctx: Context, action: Action[Any], params: Any) -> int | None:
    """What an action may cost at most, in micro-dollars; None where that is not known."""
    if action.effect is Effect.READ:
        return 0
    cost = plan(ctx, action, params).cost_microusd
    return cost if cost is not None or action.name in COSTLY else 0


def _claim(
    db: sqlite3.Connection, ctx: Context, doing: Doing, firing: Firing, policy: Policy, cost: int | None, who: str
) -> str:
    """Take the firing on; why not, where its budget forbids it."""
    now = ctx.clock()
    if policy.budget_microusd is not None:
        since, _ = Period(policy.budget_per).around(now)
        if why := over_budget(policy, spent_microusd(db, policy.name, since, firing.number), cost):
            return why
    doing.claim(db, now, cost, who, f"{who} said yes" if who else "it is allowed to act")
    return ""


def _move(ctx: Context, firing: Firing, state: FiringState, why: str, fence: int | None, who: str) -> None:
    def change(db: sqlite3.Connection) -> None:
        if fence is not None:
            require(db, fence)
        move(db, firing, state, why, ctx.clock(), who)

    ctx.catalog.write(change)


def _do(ctx: Context, doing: Doing, action: Action[Any], params: Any, *, is_confirmed: bool) -> None:
    state, run_id = FiringState.DONE, ""
    try:
        result = execute(ctx.caused_by(doing), action, params, confirmed=is_confirmed)
        why, run_id = _words(result, ctx), result.id if isinstance(result, Run) else ""
    except LeaseLost:
        return  # Whoever watches now finds out how far it came.
    except Exception as error:  # noqa: BLE001  the top of its thread; actions call strangers' plugins
        state, why = FiringState.FAILED, words_of(error)
    ctx.catalog.write(lambda db: doing.end(db, state, why, ctx.clock(), run_id), durable=True)


def _words(result: object, ctx: Context) -> str:
    if isinstance(result, Updates):
        result = result.items
    if isinstance(result, Iterator):
        result = list(result)
    if isinstance(result, Run):
        return f'run "{result.name}" {result.id}'
    if isinstance(result, Done):
        return result.message
    if isinstance(result, Listing):
        return f"{len(result.items)} {result.kind}" + (", something was found" if result.failed else "")
    from mlconsole.render.tables import lines  # 5 ms, where something was done

    try:
        return next(iter(lines(result, ctx.clock())), "done")[:LONGEST_WORDS]
    except TypeError:
        return "done"


def settle_begun(ctx: Context, fence: int, is_running: frozenset[int]) -> None:
    """Find out what became of firings whose process is gone or whose lease is over.

    Args:
        ctx: the watcher's session.
        fence: its lease.
        is_running: the firings that this process carries out.
    """
    for firing, its_fence, holder in ctx.catalog.firings.begun():
        if firing.number in is_running or its_fence == fence:
            continue
        process = holder_of(holder)
        gone = process is None or is_gone(process)
        if not firing.begun and (gone or its_fence is not None):
            # Its first change would be refused: the lease is another one's. So nothing was changed, nor will be.
            _again(ctx, firing, fence)
        elif firing.begun and gone:
            _settle(ctx, firing, fence)


def _again(ctx: Context, firing: Firing, fence: int) -> None:
    if firing.tries >= MOST_TRIES:
        _move(
            ctx,
            firing,
            FiringState.FAILED,
            f"it was begun {firing.tries} times and never came to its first change",
            fence,
            "",
        )
    else:
        _move(ctx, firing, FiringState.DUE, "who carried it out ended before the first change", fence, "")


def _settle(ctx: Context, firing: Firing, fence: int) -> None:
    try:
        run = ctx.catalog.runs.get(firing.run_id) if firing.run_id else None
    except NotFound:
        run = None
    if run is None:
        why = "who carried it out ended after its first change; it is not repeated: look at the audit log"
        _move(ctx, firing, FiringState.STUCK, why, fence, "")
    elif run.state is State.SUBMITTING:
        return
    elif run.outcome is Outcome.NEVER_STARTED and run.reason.startswith(LAUNCHER_DIED):
        _again(ctx, firing, fence)
    else:
        _move(ctx, firing, FiringState.DONE, f'run "{run.name}" {run.id}', fence, "")


def look_at_waiting(ctx: Context, fence: int) -> None:
    """Let go on what waited for its window or price, and drop what has waited for too long."""
    waiting = ctx.catalog.firings.in_state(FiringState.WAITING)
    proposed = ctx.catalog.firings.in_state(FiringState.PROPOSED)
    if not waiting and not proposed:
        return
    policies = {policy.name: policy for policy in ctx.catalog.policies.armed()}
    price = _price(ctx) if waiting else None
    for firing in [*waiting, *proposed]:
        policy = policies.get(firing.policy)
        if policy is None or (ctx.clock() - firing.at).total_seconds() > policy.expires_s:
            _move(ctx, firing, FiringState.EXPIRED, f"nothing came of it in time: {firing.why}", fence, "")
        elif firing.state is FiringState.WAITING:
            decision = ready(policy, ctx.clock(), price)
            if decision.state is not FiringState.WAITING or decision.why != firing.why:
                _move(ctx, firing, decision.state, decision.why, fence, "")


def _price(ctx: Context) -> int | None:
    try:
        rate = rate_of_settings(ctx)
    except ConfigError:
        return None
    return rate.microusd_per_h if rate else None
