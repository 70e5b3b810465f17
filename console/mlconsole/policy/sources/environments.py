"""Environments where something else is live than is intended, or what is live is not well."""

from __future__ import annotations

from mlconsole.actions.context import Context
from mlconsole.domain.alerts import AlertRules, Severity, Signal, Verdict
from mlconsole.domain.environments import Environment

PREFIXES = ("environment:",)
RULES = AlertRules(k=2, n=3, m=2, cool_down_s=60.0)


def look(ctx: Context) -> list[Signal]:
    """How every environment was last seen; one that is being moved, or cannot be looked at, says nothing."""
    moving = {rollout.environment for rollout in ctx.catalog.rollouts.open()}
    return [_signal(each, each.number in moving) for each in ctx.catalog.environments.all()]


def _signal(environment: Environment, is_moving: bool) -> Signal:
    seen, subject = environment.observed, f"environment:{environment.name}"
    wrong = environment.drift or ("it is not well: " + seen.words if seen.healthy is False else "")
    verdict = Verdict.BAD if wrong else Verdict.CLEAN
    if is_moving or seen.at is None or seen.unreachable:
        verdict = Verdict.BETWEEN
    title = f'environment "{environment.name}": {wrong or "what is live is what is intended"}'
    severity = Severity.CRITICAL if environment.is_production else Severity.WARNING
    data = {"environment": environment.name, "generation": environment.pointer.generation}
    return Signal(subject, "environment", subject, verdict, title, severity, data=data, rules=RULES)
