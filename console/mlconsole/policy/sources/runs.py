"""Live runs that make no headway, or whose loss is no number any more."""

from __future__ import annotations

from collections.abc import Iterator

from mlconsole.actions.context import Context
from mlconsole.catalog.activity import Headway, live_headway, sick_losses
from mlconsole.domain.alerts import Severity, Signal, Verdict

PREFIXES = ("stalled:", "nan:")
STALLED_S = 1200.0
STALLED_GAPS = 10.0


def look(ctx: Context) -> list[Signal]:
    """What can be said of every live run that logs metrics."""
    store = ctx.catalog.store
    return [*(_stalled(each) for each in live_headway(store, ctx.clock())), *_sick(ctx)]


def _stalled(run: Headway) -> Signal:
    """Stalled is a run that has logged nothing for 20 minutes, and for ten times its usual pause between two points."""
    patience_s = max(STALLED_S, STALLED_GAPS * run.gap_s)
    verdict = Verdict.BAD if run.age_s >= patience_s else Verdict.CLEAN
    if not run.is_reachable:
        verdict = Verdict.BETWEEN
    title = f'run "{run.name}" has logged nothing for {run.age_s / 60:.0f} min; it did every {max(run.gap_s, 1):.0f} s'
    data = {"run": run.id, "name": run.name, "age_s": run.age_s}
    return Signal(f"stalled:{run.id}", "run", f"run:{run.id}", verdict, title, data=data)


def _sick(ctx: Context) -> Iterator[Signal]:
    for id_, name, metric, step in sick_losses(ctx.catalog.store):
        title = f'"{metric}" of run "{name}" is no number since step {step} or before'
        data = {"run": id_, "name": name, "metric": metric, "step": step}
        yield Signal(f"nan:{id_}", "run", f"run:{id_}", Verdict.BAD, title, Severity.CRITICAL, data=data)
