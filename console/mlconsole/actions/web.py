"""Showing the console in a browser on this machine, through textual-serve (an extra)."""

from __future__ import annotations

import shlex

from mlconsole import config
from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.domain.plans import Effect
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record

LOOPBACK = "127.0.0.1"


@record
class WebParams:
    """Where it listens, and what its visitors may do."""

    port: int = param(8417, help="port on the loopback address", metavar="PORT")
    writable: bool = param(False, help="let whoever reaches the port act as you; read-only without it")


def command(ctx: Context, params: WebParams) -> str:
    """The console that each browser window gets, quoted for the shell that textual-serve starts it with."""
    words = [config.python(), "-P", "-m", "mlconsole", "--catalog", str(ctx.settings.home)]
    return shlex.join(words if params.writable and not ctx.settings.read_only else [*words, "--read-only"])


def serve(ctx: Context, params: WebParams) -> None:
    """Serve until interrupted, on the loopback address alone.

    Every user of this machine can reach a loopback port, so that visitors may only look unless it is said otherwise.

    Raises:
        ActionFailed: textual-serve is not installed, or the port is taken.
    """
    if not 0 < params.port < 65_536:
        raise UsageError(f'"{params.port}" is not a port.', "Give one from 1 to 65535.")
    try:
        from textual_serve.server import Server  # 300 ms, and only here
    except ImportError as error:
        raise ActionFailed("textual-serve is not installed.", "Install it: pip install 'mlconsole[web]'") from error
    ctx.say(f"http://{LOOPBACK}:{params.port}  {'writable' if params.writable else 'read-only'}; Ctrl-C ends it")
    try:
        Server(command(ctx, params), host=LOOPBACK, port=params.port, title="mlconsole").serve()
    except OSError as error:
        hint = "Choose another: --port PORT."
        raise ActionFailed(f"Cannot listen on {LOOPBACK}:{params.port}: {error.strerror}.", hint) from error


WEB = Action("web", "Show the console in a browser on this machine", WebParams, Effect.READ, serve)
