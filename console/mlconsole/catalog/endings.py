"""Ends a run by what its own processes left behind, for runs that no backend answers for."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mlconsole.catalog.events import OUTCOMES
from mlconsole.catalog.rows import moment
from mlconsole.catalog.run_changes import note_change, set_columns
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.times import to_us

SELECT_STATE = "SELECT state, token IS NOT NULL FROM run WHERE n = :n"
SELECT_WRITERS = """
SELECT rank, pid, is_main, outcome, exit_code, ended_us, closed
FROM writer
WHERE run = :run
ORDER BY n
"""


class _Process:
    """One process of a run, with what its files say of its end: any one end record speaks for all of them."""

    __slots__ = ("ended_us", "exit_code", "is_main", "is_over", "outcome", "rank")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.is_main = False
        self.is_over = True
        self.outcome: str | None = None
        self.exit_code: int | None = None
        self.ended_us: int | None = None


def settle(db: sqlite3.Connection, run: int, now: datetime, gone: str) -> None:
    """End a run once none of its main processes can add anything; the newest process of each rank says how.

    A run that was launched ends by its backend's evidence alone. A forked child has no say: it began no run.

    Args:
        db: inside a write transaction.
        run: the run's number.
        now: taken for the end where no record tells it.
        gone: why a process is known to be gone that left no end record.
    """
    state, launched = db.execute(SELECT_STATE, {"n": run}).fetchone()
    if launched or state == State.ENDED.value:
        return
    processes = _processes(db, run)
    main = [process for process in processes if process.is_main] or processes
    told = all(process.outcome is not None for process in main)
    if not main or not (told or all(process.is_over for process in processes)):
        return
    _end(db, run, list({process.rank: process for process in main}.values()), now, gone)


def _processes(db: sqlite3.Connection, run: int) -> list[_Process]:
    """The processes of a run, the one that began last at the end."""
    found: dict[tuple[int, int], _Process] = {}
    for rank, pid, is_main, outcome, exit_code, ended, closed in db.execute(SELECT_WRITERS, {"run": run}):
        process = found.setdefault((rank, pid), _Process(rank))
        process.is_main |= bool(is_main)
        process.is_over &= outcome is not None or bool(closed)
        process.ended_us = max((at for at in (process.ended_us, ended) if at is not None), default=None)
        if outcome is not None:
            process.outcome, process.exit_code = outcome, exit_code
    return list(found.values())


def _end(db: sqlite3.Connection, run: int, last: list[_Process], now: datetime, gone: str) -> None:
    words = [process.outcome for process in last if process.outcome is not None]
    worst = max(words, key=OUTCOMES.index, default=None)
    outcome = Outcome.UNKNOWN
    if worst is not None and (len(words) == len(last) or worst == Outcome.FAILED.value):
        outcome = Outcome(worst)
    ended = max((process.ended_us for process in last if process.ended_us is not None), default=to_us(now))
    reason = "" if outcome is not Outcome.UNKNOWN else gone or "a process of it left no end record"
    set_columns(
        db,
        run,
        state=State.ENDED.value,
        outcome=outcome.value,
        ended_us=ended,
        exit_code=max((process.exit_code for process in last if process.exit_code is not None), default=None),
        reason=reason,
    )
    note_change(db, run, moment(ended) or now, State.ENDED, outcome, reason or "its run log's end record")
