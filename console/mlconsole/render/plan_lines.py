"""A plan as lines, for the command line and for the console's dialogs."""

from __future__ import annotations

from mlconsole.domain.plans import Effect, Plan
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean


def plan_lines(plan: Plan) -> list[str]:
    """A plan as a person reads it."""
    out = [f"Plan: {plan.action} ({plan.effect.value})"]
    out += [
        f"  {i}. {'▲ ' * step.warns}{clean(step.text, 1000)}"
        + (f"  [{clean(step.touches, 300)}]" if step.touches else "")
        for i, step in enumerate(plan.steps, 1)
    ]
    if plan.cost_microusd is not None:
        out.append(f"  cost: {numbers.money(plan.cost_microusd)}")
    out += [f"  cannot be undone: {clean(text, 1000)}" for text in plan.irreversible]
    if plan.effect is not Effect.DESTROY:
        out.append("  nothing here is lost")
    return out + ([f"  as a command: {clean(plan.command, 2000)}"] if plan.command else [])
