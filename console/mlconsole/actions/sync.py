"""Brings the catalog up to date: new run-log bytes, and a look at every live job."""

from __future__ import annotations

from datetime import datetime

from mlconsole.actions.context import Context
from mlconsole.errors import CatalogError, MlconsoleError


def refresh(ctx: Context) -> None:
    """Ingest run logs and observe live jobs.

    A catalog that cannot be written just now (locked, full, read-only) is no reason to show nothing: what is known
    is shown, and the reason is said. One that cannot even be opened is an error.
    """
    if ctx.settings.read_only:
        return
    _ = ctx.catalog
    try:
        ingest(ctx)
        observe_live(ctx)
    except CatalogError as error:
        ctx.say(f"Showing what is known: {error}")


def follow_up(ctx: Context, began: datetime) -> None:
    """Do what the look at the live runs, which began at that moment, has made due.

    Ended runs that left something behind are looked at, pending teardowns are tried again, rollouts are carried on,
    runs whose turn has come are started, and this machine's time is charged.
    """
    due = ctx.catalog.due(began, ctx.settings.host, ctx.settings.user, is_priced=ctx.settings.machine is not None)
    if due.endings or due.teardowns:
        from mlconsole.actions import endings  # 8 ms, where something is left to be done

        if due.teardowns:
            endings.retry_teardowns(ctx)
        if due.endings:
            endings.look_after_ends(ctx)
    if due.rollouts:
        from mlconsole.actions.rollouts import carry_on_due  # 15 ms, where something is under way or was not looked at

        carry_on_due(ctx)
    if due.turns:
        from mlconsole.actions.turns import start_due  # 6 ms, where runs wait for their turn

        start_due(ctx)
    if due.ledger:
        from mlconsole.actions.settling import settle_now  # 9 ms, once an hour or when a run has ended

        settle_now(ctx, began)


def ingest(ctx: Context) -> bool:
    """Bring new run-log bytes in; True when there were any."""
    return ctx.catalog.ingest.run(ctx.clock()) > 0


def observe_live(ctx: Context) -> bool:
    """Look at every live job, and do what that makes due; True when something was seen to change."""
    began = ctx.clock()
    jobs = ctx.catalog.runs.live_jobs()
    changed = False
    if jobs:
        from mlconsole.actions.jobs import observe  # 6 ms, where something is running

        changed = observe(ctx, jobs)
        if any(_is_elsewhere(ctx, name) for name in {job.backend for job in jobs}):
            changed |= ingest(ctx)  # The look has brought what is new of their logs.
    follow_up(ctx, began)
    return changed


def _is_elsewhere(ctx: Context, name: str) -> bool:
    from mlconsole.plugin_api import RunsHere  # 4 ms, where something is running

    try:
        backend = ctx.backend(name)
    except MlconsoleError:
        return False
    return not (isinstance(backend, RunsHere) and backend.runs_here())
