"""Ends what holds a GPU for nothing, where the settings say so: after the mark, the alert and the countdown.

What is proposed is decided in :mod:`mlconsole.domain.idle`, out of evidence, with unknown counted as at work. Here it
is carried out, by whoever holds the watcher's lease, and only with ``idle = "acting"`` in the settings file.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.run_stop import STOP, StopParams
from mlconsole.actions.teardown import TEARDOWN, TeardownParams
from mlconsole.catalog.watch_lease import require
from mlconsole.domain.evidence import Holder
from mlconsole.domain.gpu import Source
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.idle import Step
from mlconsole.errors import LeaseLost, MlconsoleError
from mlconsole.render.money_tables import per_hour

T = TypeVar("T")
ACTOR = "idle policy"
AGAIN_S = 60.0
ACTS = (Step.STOP, Step.TEARDOWN)
OURS = (Holder.RUN, Holder.ENDED_RUN)


class IdleRule:
    """The rule on whose behalf a run is ended; the audit log has its name, and the evidence.

    Args:
        fence: the watcher's lease, without which nothing is begun; what has begun is carried to its end.
        why: what was seen.
    """

    def __init__(self, fence: int, why: str) -> None:
        self._fence: int | None = fence
        self.actor = ACTOR
        self.why = why

    def wrap(self, change: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
        """The change; the first is made only while the lease is held."""

        def fenced(db: sqlite3.Connection) -> T:
            if self._fence is not None:
                require(db, self._fence)
            result, self._fence = change(db), None
            return result

        return fenced


class Idling:
    """What was done about idle GPUs so far.

    Args:
        ctx: the watcher's session.
        fence: its lease, asked for before anything is ended.
        end: ends the run of a row by the row's step; None: by the actions themselves.
        clock_s: seconds that never jump.
    """

    def __init__(
        self,
        ctx: Context,
        fence: int,
        end: Callable[[GpuRow], None] | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ctx = ctx
        self._fence = fence
        self._end = end or self._by_action
        self._clock_s = clock_s
        self._done: dict[tuple[str, str, Step], float | None] = {}

    def take(self, report: GpuReport) -> None:
        """Carry out what one look proposes; each step once, and again after a while where it failed."""
        if (
            self._ctx.settings.idle != "acting"
            or self._ctx.settings.read_only
            or not report.snapshot.state.has_readings
        ):
            return
        due = {_key(row): row for row in report.rows if is_due(row)}
        self._done = {key: when for key, when in self._done.items() if key[:2] in {each[:2] for each in due}}
        for key, row in due.items():
            again_s = self._done.get(key, 0.0)
            if again_s is not None and self._clock_s() >= again_s:
                self._done[key] = self._carry_out(row)

    def _carry_out(self, row: GpuRow) -> float | None:
        """None when it was done; else when to try again."""
        gpu = row.reading
        price = "" if row.price_microusd_per_h is None else f", {per_hour(row.price_microusd_per_h)}"
        what = f'{row.step.value} of "{row.run_name or row.run_id}", which holds GPU {gpu.index} for nothing{price}'
        try:
            self._end(row)
        except LeaseLost:
            raise
        except MlconsoleError as error:
            self._ctx.say(f"{what}: {error}")
            return self._clock_s() + AGAIN_S
        self._ctx.say(f"{what}: done. {row.why}.")
        return None

    def _by_action(self, row: GpuRow) -> None:
        ctx = self._ctx.caused_by(IdleRule(self._fence, why_words(row)))
        if row.step is Step.STOP:
            execute(ctx, STOP, StopParams(runs=(row.run_id,)), confirmed=True)
        else:
            execute(ctx, TEARDOWN, TeardownParams(targets=(row.run_id,)), confirmed=True)


def why_words(row: GpuRow) -> str:
    """Why a run is ended: which GPU it holds, as what, what that costs, and what was seen."""
    shown = row.idle_class.value.upper() if row.idle_class else "held for nothing"
    price = "" if row.price_microusd_per_h is None else f", {per_hour(row.price_microusd_per_h)}"
    return f"GPU {row.reading.index} is {shown}{price}: {row.why}"


def is_due(row: GpuRow) -> bool:
    """True for a live GPU that a run of this catalog holds for nothing, its countdown over and nobody keeping it."""
    is_ours = bool(row.run_id) and row.holder in OURS
    return row.step in ACTS and row.reading.source is Source.NVML and is_ours


def _key(row: GpuRow) -> tuple[str, str, Step]:
    return row.reading.uuid, row.run_id, row.step
