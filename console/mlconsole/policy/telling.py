"""Tells notifiers of alerts, out of the outbox: each in a thread of its own, so that one that hangs blocks nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from mlconsole.actions.context import Context
from mlconsole.catalog.outbox import claim_notice, enqueue, not_sent, sent
from mlconsole.catalog.watch_lease import require
from mlconsole.domain.alerts import Severity
from mlconsole.domain.notices import Notice
from mlconsole.plugin_api import Notifier
from mlconsole.policy.duties import Duty, words_of

EVERY_S = 1.0
MOST_AT_ONCE = 20


def duties(ctx: Context, fence: int, load: Callable[[str], Notifier]) -> list[Duty]:
    """A duty for each notifier of the settings."""
    return [
        Duty(f"notify {name}", lambda name=name, options=options: tell(ctx, fence, name, options, load), EVERY_S)  # type: ignore[misc]
        for name, options in ctx.settings.notify.items()
    ]


def tell(ctx: Context, fence: int, name: str, options: Mapping[str, Any], load: Callable[[str], Notifier]) -> None:
    """Put in what has changed, and try what is due.

    Raises:
        MlconsoleError: the notifier cannot be loaded, or did not take a notice; it is tried again.
    """
    if ctx.catalog.outbox.is_idle(name, ctx.clock()):
        return
    least = Severity(options.get("severity", Severity.WARNING.value))

    def take(db: sqlite3.Connection) -> tuple[int, Notice] | None:
        require(db, fence)
        enqueue(db, name, least, ctx.clock())
        return claim_notice(db, name, ctx.clock())

    given = {key: value for key, value in options.items() if key not in ("kind", "severity")}
    for _ in range(MOST_AT_ONCE):
        found = ctx.catalog.write(take)
        if found is None:
            return
        number, notice = found
        try:
            load(str(options["kind"])).send(notice, given)
        except Exception as error:
            words = words_of(error)
            ctx.catalog.write(lambda db, number=number, words=words: not_sent(db, number, words))  # type: ignore[misc]
            raise
        ctx.catalog.write(lambda db, number=number: sent(db, number))  # type: ignore[misc]
