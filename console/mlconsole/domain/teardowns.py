"""Teardowns: what was asked to be given back, and whether it was seen to be gone."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from mlconsole.domain.jobs import Finaliser, FinaliserState
from mlconsole.records import record


class TeardownState(StrEnum):
    """Asked for, or seen to be done. There is nothing in between."""

    PENDING = "pending"
    DONE = "done"


@record
class Teardown:
    """One run's teardown.

    Attributes:
        number: the catalog's number of it.
        run: the run's number.
        run_id: the run's id.
        name: what the run was called.
        target: what was asked for: the run, or the GPU or host that it was on.
        asked_by: who asked.
        asked_at: when.
        grace_s: time between asking the program to end and making it end.
        state: pending until nothing of it was seen any more.
        tries: how often it was pressed.
        message: what is left, or what came of it.
        saved_microusd_per_h: what its GPUs cost an hour; None: not known.
        done_at: when it was seen gone.
    """

    number: int
    run: int
    run_id: str
    name: str
    target: str
    asked_by: str
    asked_at: datetime
    grace_s: float
    state: TeardownState = TeardownState.PENDING
    tries: int = 0
    message: str = ""
    saved_microusd_per_h: int | None = None
    done_at: datetime | None = None

    @property
    def words(self) -> str:
        """A pending one, as it is said loudly."""
        left = self.message or "nobody has looked yet"
        since = f"{self.asked_at:%Y-%m-%d %H:%M}"
        return f'The teardown of run "{self.name}" ({self.run_id}) is pending since {since}: {left}.'


@record
class TeardownCommand:
    """One of a run's own teardown commands: as it was given with secrets taken out, and what became of it."""

    command: tuple[str, ...]
    state: FinaliserState
    tries: int = 0
    message: str = ""

    @property
    def is_loud(self) -> bool:
        """True when somebody has to know: it fails, or nobody runs it."""
        return self.state in (FinaliserState.FAILING, FinaliserState.STUCK)

    def after(self, seen: Finaliser) -> TeardownCommand:
        """The same command as it was just seen."""
        return TeardownCommand(self.command, seen.state, seen.tries, seen.message)
