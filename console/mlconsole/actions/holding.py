"""One process at a time carries a rollout on; a process that was killed holds nothing any more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlconsole.actions.context import Context
from mlconsole.catalog import rollouts
from mlconsole.catalog.markers import Liveness, Marker
from mlconsole.recorder.process import identity, pid_namespace


@contextmanager
def holding(ctx: Context, number: int) -> Iterator[bool]:
    """True inside the block for the one who may carry a rollout on."""
    seen = ctx.catalog.rollouts.holder(number)
    if seen is None or (seen and not _is_gone(seen)):
        yield False
        return
    mine = json.dumps({**identity(), "pid_ns": pid_namespace(), "nonce": os.urandom(8).hex()}, sort_keys=True)
    is_mine = ctx.catalog.write(lambda db: rollouts.hold(db, number, seen, mine), durable=True)
    try:
        yield is_mine
    finally:
        if is_mine:
            ctx.catalog.write(lambda db: rollouts.let_go(db, number, mine))


def _is_gone(holder: str) -> bool:
    """Whether the process that holds a rollout is gone for certain."""
    try:
        found = json.loads(holder)
        marker = Marker(
            Path(), "", "", int(found["pid"]), int(found["start_ticks"]), str(found["boot_id"]), str(found["host"]),
            str(found["pid_ns"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return True
    return Liveness().why_gone(marker) is not None
