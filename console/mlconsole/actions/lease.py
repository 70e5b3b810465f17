"""A launched run's hold on this machine: its GPUs, its account, and the budgets that it must fit into.

All of it is decided in the transaction that records the run's intent: of two launchers that want the last GPU, or the
last dollars, one gets them and the other is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import TYPE_CHECKING

from mlconsole.actions.context import Context
from mlconsole.catalog.due import any_hard_budget
from mlconsole.catalog.leases import Tenant, insert_leases, leases_of_gpus
from mlconsole.catalog.machines import ensure_machine, machine_of
from mlconsole.catalog.run_changes import NewRun
from mlconsole.domain.jobs import JobSpec
from mlconsole.domain.plans import Step
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime
from mlconsole.errors import ActionFailed
from mlconsole.plugin_api import RunsHere
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.actions.budget import Spender
    from mlconsole.domain.gpu import GpuSnapshot


@record
class Tenancy:
    """What a run is about to hold on this machine.

    Attributes:
        new: the run.
        gpus: how many GPUs it wants.
        snapshot: the GPUs as they were just seen; None where nobody has looked.
        until: when its time limit ends it.
        now: the present moment.
        uptime: which boot of the machine this is.
        spender: the run as budgets see it; None while no budget is hard.
    """

    new: NewRun
    gpus: int
    snapshot: GpuSnapshot | None
    until: datetime | None
    now: datetime
    uptime: Uptime
    spender: Spender | None

    def move_in(self, db: Connection, number: int, attempt: int = 1) -> Mapping[str, str]:
        """Lease what is wanted to the run of that number; returns what that adds to its environment.

        Raises:
            ActionFailed: too few GPUs are free, or a hard budget does not allow it.
        """
        seen = len(self.snapshot.gpus) if self.snapshot else 0
        machine = ensure_machine(db, self.new.host, seen, to_us(self.now), self.uptime)
        if self.spender is not None:
            from mlconsole.actions.budget import check_budgets  # 15 ms, where a budget is hard

            check_budgets(db, self.spender, machine, self.now)
        until_us = to_us(self.until) if self.until else None
        new = self.new
        tenant = Tenant(number, new.id, new.name, new.experiment, new.user, attempt, until_us)
        if self.snapshot is None or not self.gpus:
            insert_leases(db, machine, tenant, (), self.now)
            return {}
        from mlconsole.domain.leases import choose, visible_devices  # 5 ms, for runs that want GPUs

        chosen = choose(self.snapshot, leases_of_gpus(db, machine), self.gpus)
        insert_leases(db, machine, tenant, chosen, self.now)
        return {"CUDA_VISIBLE_DEVICES": visible_devices(chosen)}


def prepare(ctx: Context, spec: JobSpec, new: NewRun, snapshot: GpuSnapshot | None = None) -> Tenancy | None:
    """What a run is about to hold here; None when its backend runs it elsewhere.

    ``snapshot``: the GPUs as they were just seen; None looks at them if the run wants some, and once if nobody knows
    how many there are to share the machine's price.
    """
    backend = ctx.backend(new.backend or "")
    if not (isinstance(backend, RunsHere) and backend.runs_here()):
        return None
    gpus, now = spec.resources.gpus, ctx.clock()
    if snapshot is None and (gpus or _is_uncounted(ctx, new.host)):
        snapshot = ctx.gpus(new.host)
    seen = len(snapshot.gpus) if snapshot else 0
    is_limited = ctx.has_catalog and any_hard_budget(ctx.catalog.store)
    return Tenancy(
        new=new,
        gpus=gpus,
        snapshot=snapshot,
        until=now + timedelta(seconds=spec.time_limit_s) if spec.time_limit_s else None,
        now=now,
        uptime=ctx.uptime(),
        spender=_spender(ctx, spec, new, seen) if is_limited else None,
    )


def _is_uncounted(ctx: Context, host: str) -> bool:
    """Whether a price was said for this machine, but neither how many GPUs it has nor did a run ever begin on it."""
    machine = ctx.settings.machine
    if machine is None or machine.usd_per_h is None or machine.gpus is not None:
        return False
    return not ctx.has_catalog or machine_of(ctx.catalog.store.connection(), host) is None


def _spender(ctx: Context, spec: JobSpec, new: NewRun, seen: int) -> Spender:
    from mlconsole.actions.budget import Spender
    from mlconsole.actions.cost import estimated
    from mlconsole.actions.rates import rate_now

    estimate = estimated(ctx, spec.resources.gpus, spec.time_limit_s, seen)
    return Spender(new.user, new.experiment, estimate, rate_now(ctx)[0], new.host, ctx.uptime())


def planned(ctx: Context, spec: JobSpec, new: NewRun) -> tuple[tuple[Step, ...], int | None]:
    """The steps that a lease adds to a launch's plan, and what the run costs in all, None where that is not known.

    Raises:
        ActionFailed: too few GPUs are free.
    """
    tenancy = prepare(ctx, spec, new)
    if tenancy is None:
        return (), None
    from mlconsole.actions.cost import estimated
    from mlconsole.render.money_tables import estimate_words

    steps = []
    if tenancy.snapshot is not None and tenancy.gpus:
        from mlconsole.domain.leases import choose

        known = ctx.catalog.leases.open() if ctx.has_catalog else []
        held = {lease.gpu_uuid: lease for lease in known if lease.host == new.host}
        for gpu in choose(tenancy.snapshot, held, tenancy.gpus):
            steps.append(Step(f"lease GPU {gpu.index}, {gpu.name}", gpu.uuid))
    seen = len(tenancy.snapshot.gpus) if tenancy.snapshot else 0
    estimate = estimated(ctx, spec.resources.gpus, spec.time_limit_s, seen)
    steps.append(Step(estimate_words(estimate), new.host))
    if tenancy.spender is not None:
        steps += _refused(ctx, tenancy.spender)
    return tuple(steps), estimate.microusd


def _refused(ctx: Context, spender: Spender) -> list[Step]:
    """What a hard budget would say to it now."""
    from mlconsole.actions.budget import refuse_beyond

    try:
        refuse_beyond(ctx.catalog.ledger.budgets(ctx.clock(), ctx.settings.host, ctx.uptime()), spender)
    except ActionFailed as error:
        return [Step(f"as things stand it will be refused: {error.message.removeprefix('Refused: ')}", spender.host)]
    return []
