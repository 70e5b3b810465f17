"""Takes down what is live in an environment; its history stays, and the next rollout brings it back."""

from __future__ import annotations

import shlex

from mlconsole.actions.base import Action
from mlconsole.actions.context import Context
from mlconsole.actions.environments import NameParams
from mlconsole.actions.looking import look
from mlconsole.actions.orders import order_of, state_dir
from mlconsole.actions.preflight import refusal
from mlconsole.actions.sync import refresh
from mlconsole.catalog.environments import note_released, put_withdrawal
from mlconsole.domain.environments import Environment
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done
from mlconsole.errors import ActionFailed
from mlconsole.plugin_api import Withdraws


def plan(ctx: Context, params: NameParams) -> Plan:
    """What would answer no more."""
    refresh(ctx)
    environment = _environment(ctx, params.name)
    release = environment.release
    live = f"{release.label}, generation {environment.pointer.generation}" if release else "nothing"
    endpoint = environment.observed.endpoint
    steps = (
        Step(f'take down what is live in "{environment.name}": {live}', environment.host),
        *((Step(f"whoever asks {endpoint} gets no answer from then on", environment.host),) if endpoint else ()),
        Step("the releases, their bytes and the history stay; the next rollout makes it live again"),
    )
    return Plan(
        "env withdraw",
        Effect.DESTROY,
        steps,
        irreversible=("Requests that come meanwhile are lost.",),
        confirm=environment.name if environment.is_production else "",
        command=shlex.join(["mlconsole", "env", "withdraw", params.name, "--yes"]),
    )


def _environment(ctx: Context, name: str) -> Environment:
    """The environment, where it may be taken down.

    Raises:
        ActionFailed: a rollout is under way, or the person may not.
    """
    environment = ctx.catalog.environments.get(name)
    if why := refusal(ctx, environment):
        raise ActionFailed(f"{why}.")
    if ctx.catalog.rollouts.open_of(environment.number):
        raise ActionFailed(f'A rollout of "{name}" is under way.', f"Abort it first: mlconsole env abort {name}")
    return environment


def withdraw(ctx: Context, params: NameParams) -> Done:
    """Take down what is live, and see that it is gone.

    Raises:
        ActionFailed: a rollout is under way or came between, or something is still live.
    """
    refresh(ctx)
    environment = _environment(ctx, params.name)
    words = f"by {ctx.settings.user} at {ctx.clock():%Y-%m-%d %H:%M} UTC"
    # Marked first: killed after this, nobody takes what is half gone for a drift, and saying it again finishes it.
    if not ctx.write(lambda db: put_withdrawal(db, environment, words), durable=True):
        raise ActionFailed(f'"{params.name}" was moved meanwhile.', f"See: mlconsole env show {params.name}")
    target = ctx.target(environment.target)
    if isinstance(target, Withdraws):
        target.withdraw(environment.name, environment.settings, state_dir(ctx, environment))
    seen = look(ctx, environment).observed
    if seen.release_id is not None or seen.unreachable:
        what = seen.unreachable or seen.words
        raise ActionFailed(f'"{params.name}" may still be live: {what or "its target cannot take it down"}.')
    for generation, release_id in ctx.catalog.environments.deployed(environment.number):
        target.release(order_of(ctx, environment, ctx.catalog.releases.by_id(release_id), generation))
        ctx.write(lambda db, generation=generation: note_released(db, environment.number, generation))  # type: ignore[misc]
    return Done(
        "environment", f'"{params.name}" is withdrawn; nothing of it is live.', fields={"environment": params.name}
    )


WITHDRAW = Action(
    "env withdraw",
    "Take down what is live in an environment",
    NameParams,
    Effect.DESTROY,
    withdraw,
    plan,
    target=lambda p: p.name,
)
