"""Runs one command and ends with its exit code."""

from __future__ import annotations

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from mlconsole import config
from mlconsole.actions.base import Action
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute, plan
from mlconsole.cli.output import Output, survive_any_encoding
from mlconsole.cli.parser import build, params_of, takes_remainder, wanted, with_values_joined
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Updates
from mlconsole.errors import CheckFailed, ConfirmationNeeded, Interrupted, MlconsoleError, UsageError


def run(argv: Sequence[str]) -> int:
    """Carry out the command of ``argv``; returns the exit code."""
    survive_any_encoding()
    output = Output(json="--json" in _own_part(argv), color=True)
    try:
        code = _run(list(argv), output)
        output.told()
        return code
    except MlconsoleError as error:
        output.error(error)
        return error.exit_code
    except FileNotFoundError:
        if _is_somewhere():
            raise
        output.error(UsageError("The folder that you are in is gone.", "Go to another one: cd"))
        return UsageError.exit_code
    except KeyboardInterrupt:
        output.error(Interrupted("Interrupted."))
        return Interrupted.exit_code
    except BrokenPipeError:
        # The reader went away, as in "mlconsole run list | head": nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _is_somewhere() -> bool:
    """Whether the working directory still has a name: no relative path means anything without."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _own_part(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    return words[: words.index("--")] if "--" in words else words


def _run(argv: list[str], output: Output) -> int:
    own = _own_part(argv)
    if "--version" in own:
        from mlconsole.version import __version__

        output.line(f"mlconsole {__version__}")
        return 0
    known = wanted(own)
    remainder = argv[len(own) + 1 :] if takes_remainder(known) else []
    namespace, unknown = build(known).parse_known_args(with_values_joined(own if remainder else argv, known))
    if unknown:
        command = f"mlconsole {namespace.action.name}" if namespace.noun else "mlconsole"
        dashes = f"The program stands behind two dashes: {command} -- CMD. " if takes_remainder(known) else ""
        hint = f"{dashes if own == argv else ''}See: {command} --help"
        raise UsageError(f"Unrecognized arguments: {' '.join(unknown)}.", hint)
    if namespace.noun is None:
        raise UsageError("No command was given.", "See: mlconsole --help")
    action: Action[Any] = namespace.action
    settings = config.load(
        catalog=namespace.catalog,
        read_only=namespace.read_only,
        no_color=namespace.no_color,
        plain=namespace.plain,
    )
    output.color = settings.color
    ctx = Context(settings, say=output.say)
    try:
        return _carry_out(ctx, action, params_of(action, namespace, remainder), namespace, output)
    finally:
        ctx.close()


def _carry_out(ctx: Context, action: Action[Any], params: object, flags: Namespace, output: Output) -> int:
    if flags.dry_run and (action.effect is not Effect.READ or action.file(params) is not None):
        output.result(plan(ctx, action, params), ctx.clock())
        return 0
    if action.effect is Effect.DESTROY and not flags.yes and not ctx.settings.read_only:
        return _ask(ctx, action, params, output)
    result = execute(ctx, action, params, confirmed=flags.yes)
    if action.streams:
        output.stream(result, ctx.clock)
    elif isinstance(result, Updates):
        output.updates(result, ctx.clock)
    elif result is not None:
        output.result(result, ctx.clock())
    return CheckFailed.exit_code if getattr(result, "failed", False) is True else 0


def _ask(ctx: Context, action: Action[Any], params: object, output: Output) -> int:
    """Show the plan of what would be destroyed, and refuse: only ``--yes`` confirms on a command line."""
    output.plan_as_talk(plan(ctx, action, params))
    raise ConfirmationNeeded(f'"{action.name}" needs a confirmation; nothing was changed.', "Say --yes to do it.")
