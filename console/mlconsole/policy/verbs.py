"""``watch``: do what is due and evaluate, in the foreground, until told to stop."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Iterator

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.domain.events import Event
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done, Updates
from mlconsole.errors import ActionFailed
from mlconsole.policy.unit_file import unit_path, unit_text
from mlconsole.policy.watcher import Watch
from mlconsole.records import record

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@record
class WatchParams:
    """In the foreground, or as a service."""

    install_user_service: bool = param(False, help="write a systemd user unit that watches, and watch not now")


def plan_watch(ctx: Context, params: WatchParams) -> Plan:
    """What watching means."""
    command = shlex.join(["mlconsole", "watch"])
    if params.install_user_service:
        unit = Step("write a systemd user unit that watches", str(unit_path()))
        return Plan("watch", Effect.WRITE, (unit,), command=f"{command} --install-user-service")
    steps = (
        Step("take the watcher's lease, or wait until it is free", str(ctx.settings.home)),
        Step("bring run logs in, look at live runs, do what is due: teardowns, ends, costs", ctx.settings.host),
        Step("evaluate what has happened until told to stop", str(ctx.settings.home)),
    )
    return Plan("watch", Effect.WRITE, steps, command=command)


def watch(ctx: Context, params: WatchParams) -> Updates | Done:
    """Watch until told to stop, every event a line; or write the unit of a service that does.

    Raises:
        ActionFailed: the unit cannot be written.
    """
    if params.install_user_service:
        return _install(ctx)
    if ctx.journal is not None:
        ctx.journal.note = "it began to watch"
    return Updates(_events(ctx))


def _install(ctx: Context) -> Done:
    path = unit_path()
    ctx.write(lambda db: None, durable=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit_text(ctx.settings.home), encoding="utf-8")
    except OSError as error:
        raise ActionFailed(f'Cannot write "{path}": {error.strerror}.') from error
    how = f"systemctl --user daemon-reload && systemctl --user enable --now {path.stem}"
    return Done("watch", f'Wrote "{path}". Begin: {how}', fields={"path": str(path), "begin": how})


def _events(ctx: Context) -> Iterator[Event]:
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            signal.signal(number, lambda *_: ctx.cancelled.set())
    yield from Watch(ctx, "watch").run(ctx.cancelled)


WATCH = Action("watch", "Do what is due and evaluate, until told to stop", WatchParams, Effect.WRITE, watch, plan_watch)
