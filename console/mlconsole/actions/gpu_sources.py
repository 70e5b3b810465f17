"""Where readings of GPUs come from: the driver, or a recording or a simulation where somebody asked for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlconsole.actions.context import Context
from mlconsole.domain.gpu import GpuSnapshot
from mlconsole.domain.query import parse

if TYPE_CHECKING:
    from mlconsole.telemetry.sampler import GpuSource

SIMULATED = "simulated"
FIRST_LOOK_S = 20.0
LEFT_BEHIND = 6
"""The simulated GPU whose memory a run that has ended still holds."""


def readings(ctx: Context, interval_s: float, patience_s: float = FIRST_LOOK_S) -> GpuSource:
    """A source that has had its first look, or so long for it; what is not live says so in every reading.

    Raises:
        NotFound: the recording that the setting ``gpus`` names is not there.
        UsageError: it holds no readings.
    """
    chosen = ctx.settings.gpus
    if chosen == SIMULATED:
        from mlconsole.telemetry.simulation import Simulation

        return Simulation(ctx.settings.host, _simulated_runs(ctx))
    if chosen:
        from mlconsole.telemetry.replay import Replay

        return Replay(Path(chosen))
    from mlconsole.telemetry.hangs import Hangs
    from mlconsole.telemetry.sampler import Sampler, Timing  # 12 ms, for those who look at GPUs

    hangs = Hangs(ctx.settings.home, ctx.uptime)
    sampler = Sampler(ctx.settings.host, Timing(interval_s=interval_s), hangs=hangs).start()
    sampler.wait(patience_s)
    return sampler


def one_look(ctx: Context) -> GpuSnapshot:
    """What is known of this machine's GPUs now, or what the recording or the simulation shows in their place."""
    if not ctx.settings.gpus:
        return ctx.gpus(ctx.settings.host)
    source = readings(ctx, 1.0)
    try:
        return source.latest()
    finally:
        source.stop()


def _simulated_runs(ctx: Context) -> list[str]:
    """Runs for the simulated GPUs: the newest that live, two GPUs for the first of them, and one that has ended."""
    if not ctx.has_catalog:
        return []
    runs = ctx.catalog.runs
    live = [run.id for run in runs.load(runs.live()[-3:], metrics=())][::-1]
    held = [*live[:1], *live[:1], *live[1:3]]
    ended = ctx.catalog.search.page(parse("state:failed sort:-ended"), ctx.clock(), limit=1).numbers
    return [*held, *[""] * (LEFT_BEHIND - len(held)), *(run.id for run in runs.load(ended, metrics=()))]
