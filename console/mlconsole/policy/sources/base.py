"""Looks of a source, and how they get into the catalog."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mlconsole.actions.context import Context
from mlconsole.catalog.alerts import tell
from mlconsole.catalog.watch_lease import require
from mlconsole.domain.alerts import Signal, Verdict

QUIET = (Verdict.CLEAN, Verdict.BETWEEN)


def take_in(ctx: Context, fence: int, prefixes: Sequence[str], signals: Sequence[Signal]) -> None:
    """Take one look of a source in.

    Args:
        ctx: the watcher's session.
        fence: its lease.
        prefixes: how the causes begin that this source owns: one that it does not tell of any more is over.
        signals: what it saw.
    """
    standing = ctx.catalog.alerts.standing()
    seen = {signal.cause for signal in signals}
    todo = [signal for signal in signals if signal.verdict not in QUIET or signal.cause in standing]
    todo += [
        Signal(cause, source, "", Verdict.CLEAN, "it is so no more")
        for cause, (source, _) in standing.items()
        if cause not in seen and cause.startswith(tuple(prefixes))
    ]
    if not todo:
        return

    def change(db: sqlite3.Connection) -> None:
        require(db, fence)
        for signal in todo:
            tell(db, signal, ctx.clock())

    ctx.catalog.write(change)
