"""Writes the ledger of this machine up to now, and tells of budgets that were crossed."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

from mlconsole.actions.context import Context
from mlconsole.actions.rates import rate_of_settings
from mlconsole.catalog.budgets import crossed
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.catalog.leases import unreachable_since
from mlconsole.catalog.ledger import Energy, settle, tail
from mlconsole.catalog.machines import machine_of, put_rate
from mlconsole.domain.budgets import Crossing
from mlconsole.domain.gpu import Source
from mlconsole.domain.prices import MICRO, Rate
from mlconsole.domain.runs import Run
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime
from mlconsole.errors import ConfigError
from mlconsole.records import replace


def settle_now(ctx: Context, at: datetime) -> None:
    """Charge this machine's time up to ``at``, a moment before the live runs were last looked at.

    A run that cannot be looked at may have ended: beyond the moment when it was lost from sight nothing is charged yet.
    """
    try:
        rate = rate_of_settings(ctx)
    except ConfigError as error:
        ctx.say(f"Costs are not charged: {error}")
        return
    past = GpuHistory(ctx.settings.home, read_only=True)
    try:
        energy = energy_of(past)
        crossings = ctx.catalog.write(lambda db: _settle(db, ctx.settings.host, at, ctx.uptime(), rate, energy))
    finally:
        past.close()
    for crossing in crossings:
        ctx.say(crossing.words)


def energy_of(past: GpuHistory) -> Energy | None:
    """What real GPUs used by their own counters, from their history; None when that is empty.

    A bucket of ten seconds belongs to the interval that it begins in, so that none counts twice.
    """
    gpus = {gpu.uuid: gpu for gpu in past.gpus() if gpu.source is Source.NVML}
    if not gpus:
        return None

    def used(uuid: str, from_us: int, to_us: int) -> float | None:
        gpu = gpus.get(uuid)
        return past.energy_j(gpu, -(-from_us // MICRO), -(-to_us // MICRO)) if gpu else None

    return used


def _settle(
    db: Connection, host: str, at: datetime, now: Uptime, rate: Rate | None, energy: Energy | None
) -> list[Crossing]:
    machine, at_us = machine_of(db, host), to_us(at)
    if machine is None:
        return []
    if rate is not None:
        machine = put_rate(db, machine, rate, at_us)
    lost_us = unreachable_since(db, machine)
    until_us = at_us if lost_us is None else min(at_us, lost_us)
    settle(db, machine, until_us, Uptime(now.boot_id, max(0, now.awake_us - (at_us - until_us))), energy)
    return crossed(db, at, tail(db, at_us, host, now))


def with_live_costs(ctx: Context, runs: list[Run]) -> list[Run]:
    """The runs, those that live with what they have cost and used up to this moment."""
    found = ctx.catalog.ledger.live_costs(ctx.clock(), ctx.settings.host, ctx.uptime())
    return [_live(run, *found[run.number]) if run.number in found else run for run in runs]


def _live(run: Run, microusd: int | None, gpu_us: int) -> Run:
    cost = None if microusd is None else (run.cost_microusd or 0) + microusd
    return replace(run, cost_microusd=cost, gpu_s=gpu_us / 1_000_000)
