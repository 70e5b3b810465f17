"""The one way to change anything: checks, plan, confirmation, the action itself, and its audit rows."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from mlconsole.actions.base import Action, option_of
from mlconsole.actions.context import Context, Journal
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.errors import ActionFailed, ConfirmationNeeded, MlconsoleError, ReadOnlyMode
from mlconsole.records import fields

P = TypeVar("P")


def plan(ctx: Context, action: Action[P], params: P) -> Plan:
    """What the action would do; changes nothing."""
    if action.plan is not None:
        return action.plan(ctx, params)
    path = action.file(params)
    if path is None:
        return Plan(action.name, action.effect, ())
    replaced = (f'What is in "{path}" now is replaced.',) if os.path.exists(path) else ()
    step = Step(f'write "{path}"', os.path.abspath(path))
    return Plan(action.name, action.effect, (step,), irreversible=replaced)


def execute(ctx: Context, action: Action[P], params: P, *, confirmed: bool = False) -> object:
    """Carry out an action.

    Args:
        ctx: the session.
        action: what to do.
        params: with what.
        confirmed: the person has seen the plan and said yes, or a script said ``--yes``.

    Raises:
        ReadOnlyMode: it changes something and the session is read-only.
        ConfirmationNeeded: it destroys something and nobody confirmed.
        ActionFailed: it cannot be done now; the message says why.
    """
    if action.effect is Effect.READ:
        return action.run(ctx, params)
    if ctx.settings.read_only:
        raise ReadOnlyMode(
            f'"{action.name}" changes something and this session is read-only.', "Start without --read-only."
        )
    if action.disabled is not None and (reason := action.disabled(ctx, params)):
        raise ActionFailed(f'"{action.name}" cannot be done: {reason}.')
    if action.effect is Effect.DESTROY and not confirmed:
        hint = "See the plan with --dry-run; confirm with --yes."
        raise ConfirmationNeeded(f'"{action.name}" needs a confirmation.', hint)
    if action.settings is None:
        return _run(ctx, action, params)
    own = ctx.on(action.settings(ctx.settings, params))
    try:
        return _run(own, action, params)
    finally:
        own.close()


def _run(ctx: Context, action: Action[P], params: P) -> object:
    journal = Journal(action.name, action.effect.value, action.target(params), recorded_params(params))
    mine = ctx.for_action(journal)
    try:
        result = action.run(mine, params)
    except BaseException as error:
        # What failed before its first change has changed nothing, and may not even have a catalog to say so in.
        if journal.begun:
            text = str(error) if isinstance(error, MlconsoleError) else type(error).__name__
            _close(mine, journal, f"failed: {text}")
        raise
    _close(mine, journal, f"done: {journal.note}" if journal.note else "done")
    return result


def _close(ctx: Context, journal: Journal, result: str) -> None:
    from mlconsole.catalog import audit as audit_log  # 1 ms, where something changes

    ctx.write(lambda db: audit_log.append(db, ctx.entry(journal, "end", result)), durable=True)


def recorded_params(params: object) -> dict[str, object]:
    """The params of an action as the audit log keeps them: defaults left out, secrets redacted."""
    from mlconsole.actions.redaction import (
        values_without_secrets,
        words_without_secrets,
    )  # 3 ms, where something changes

    out: dict[str, Any] = {}
    for field in fields(params):
        value = getattr(params, field.name)
        if value == field.default:
            continue
        if option_of(field).private:
            out[field.name] = [_key_alone(text) for text in value]
        else:
            out[field.name] = words_without_secrets(list(value)) if isinstance(value, tuple) else value
    return dict(values_without_secrets(out))


def _key_alone(text: str) -> str:
    key, equals, _ = text.partition("=")
    return f"{key}=[redacted]" if equals and key.isidentifier() else "[redacted]"
