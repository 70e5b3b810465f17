"""Looking at backends."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlconsole import backends
from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.domain.jobs import BackendStatus
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Listing
from mlconsole.errors import BackendUnreachable, MlconsoleError, NotFound, UsageError
from mlconsole.records import record

if TYPE_CHECKING:
    from mlconsole.plugin_api import Backend

ANSWERS_WITHIN_S = 30.0
"""Seconds that all backends together have; ours give up earlier by themselves."""


def list_backends(ctx: Context, params: NoParams) -> Listing[BackendStatus]:
    """Every installed backend and whether it answers."""
    return Listing("backend", _statuses(ctx, backends.names()))


def _statuses(ctx: Context, names: Sequence[str]) -> list[BackendStatus]:
    """All of them asked at once; one that hangs is left to itself."""
    found: dict[str, BackendStatus] = {}
    asked = []
    for name in names:
        try:
            backend = ctx.backend(name)
        except MlconsoleError as error:
            found[name] = BackendStatus(name, False, "", (), str(error))
            continue
        asked.append(threading.Thread(target=lambda b=backend, n=name: found.update({n: _status(n, b)}), daemon=True))
        asked[-1].start()
    until_s = time.monotonic() + ANSWERS_WITHIN_S
    for thread in asked:
        thread.join(max(0.0, until_s - time.monotonic()))
    silent = f"no answer within {ANSWERS_WITHIN_S:g} s"
    return [found.get(name) or BackendStatus(name, False, "", (), silent) for name in names]


def _status(name: str, backend: Backend) -> BackendStatus:
    try:
        probe = backend.probe()
    except Exception as error:  # noqa: BLE001  a stranger's code may raise anything
        words = str(error) if isinstance(error, MlconsoleError) else f"{type(error).__name__}: {error}"
        return BackendStatus(name, False, "", (), words)
    return BackendStatus(name, probe.reachable, probe.version, probe.abilities, probe.detail, probe.is_set_up)


@record
class CheckParams:
    """Which backends."""

    name: str | None = param(None, help="a backend; all when left out", positional=True, metavar="NAME")
    conformance: bool = param(False, help="run real jobs on it, and see that it keeps every promise of a backend")


def check(ctx: Context, params: CheckParams) -> Listing[Any]:
    """Probe backends, or hold one to the contract.

    Raises:
        NotFound: no such backend is installed.
        BackendUnreachable: one does not answer; the message says which and why.
    """
    if params.name is not None and params.name not in backends.names():
        raise NotFound(
            f'No backend "{params.name}" is installed.',
            f"Installed: {', '.join(backends.names()) or 'none'}.",
        )
    found = _statuses(ctx, [params.name] if params.name else backends.names())
    if bad := [status for status in found if not status.reachable and (params.name or status.is_set_up)]:
        raise BackendUnreachable(
            f'Backend "{bad[0].name}" does not answer: {bad[0].detail}', "Its runs may well be alive."
        )
    return _hold(ctx, params.name) if params.conformance else Listing("backend", found)


def _hold(ctx: Context, name: str | None) -> Listing[Any]:
    """Every promise of a backend, and whether this one keeps it; its jobs leave nothing behind."""
    import shutil
    import tempfile

    from mlconsole.conformance import hold_to

    if name is None:
        raise UsageError("Say which backend.", "mlconsole backend check NAME --conformance")
    ctx.settings.home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="conformance-", dir=ctx.settings.home))
    found = []
    try:
        for each in hold_to(ctx.backend(name), folder):
            ctx.say(f"{each.verdict:12}  {each.took_s:5.1f} s  {each.name}")
            found.append(each)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Listing("promise", found, failed=any(each.verdict == "broken" for each in found))


LIST = Action("backend list", "List installed backends", NoParams, Effect.READ, list_backends)
CHECK = Action("backend check", "Ask backends whether they answer", CheckParams, Effect.READ, check)
