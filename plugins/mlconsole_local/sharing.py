"""What backends share whose engine runs our supervisor as a job of its own, with the records in a shared folder."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from mlconsole.plugin_api import Carriage, Handle, JobSpec, LogChunk, MlconsoleError, Observation, State
from mlconsole_local import shim
from mlconsole_local.afar import Record, observation_of
from mlconsole_local.shared import Shared

Row = TypeVar("Row")


class Since:
    """For how long something has been so of a job, as this process has seen it."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def seconds(self, token: str) -> float:
        """Seconds since this was asked first."""
        return time.monotonic() - self._at.setdefault(token, time.monotonic())

    def is_over(self, token: str) -> None:
        """It is no longer so."""
        self._at.pop(token, None)


class SharedBackend(ABC, Generic[Row]):
    """The verbs of the contract, made from what the engine says of a job and from the job's own records.

    Args:
        folder: the folder that the nodes see too; empty: the catalog's own.
    """

    name: ClassVar[str]

    def __init__(self, folder: str) -> None:
        self._shared = Shared(self.name, folder)

    @abstractmethod
    def _rows(self, handles: Sequence[Handle], here: Record) -> Mapping[str, Row]:
        """What the engine says of these jobs, in one question, by their tokens.

        Raises:
            BackendUnreachable: it does not answer.
        """

    @abstractmethod
    def _seen(self, handle: Handle, row: Row | None, here: Record) -> Observation:
        """What row and records of a job come to."""

    @abstractmethod
    def _end(self, job: str) -> None:
        """Have the engine end a job, or take it out of its queue."""

    def _nudge(self, job: str) -> None:
        """Have the supervisor look at once for the request beside its records, where there is a way."""

    def _is_certain(self, handle: Handle, end: Record) -> bool:
        """Whether the record of an end is the last word, whatever the engine would say."""
        return True

    def carriage(self, spec: JobSpec, names: Sequence[str]) -> Carriage | None:
        """What of a copy of the code is not where the nodes see it."""
        return self._shared.carriage(spec, names)

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """Look at many jobs: one question to the engine, and the records of each."""
        if not handles:
            return []
        here = shim.place()
        try:
            rows = self._rows(handles, here)
        except MlconsoleError as error:
            return [self._without_engine(each, here, error.message) for each in handles]
        self._shared.bring(handles)
        return [self._seen(each, rows.get(each.token), here) for each in handles]

    def _without_engine(self, handle: Handle, here: Record, trouble: str) -> Observation:
        """A job while the engine is silent: what has ended by its own record has ended."""
        _, end = self._shared.facts(handle, here)
        if end is not None and self._is_certain(handle, end):
            return observation_of(handle.token, end)
        return away(handle.token, trouble)

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        """Ask through the supervisor, which names survivors; take a waiting job out of the queue; at last, end it."""
        job = str(handle.data["job"])
        return self._shared.cancel(
            handle,
            grace_s,
            look=lambda: self.observe([handle])[0],
            end=lambda: self._end(job),
            nudge=lambda: self._nudge(job),
        )

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """Bytes of what every try of the job printed, from an offset."""
        end = self._shared.facts(handle, shim.place())[1]
        ended = end is not None or self.observe([handle])[0].state is State.ENDED
        return self._shared.logs(handle, stream, offset, limit, ended=ended)

    def log_path(self, handle: Handle, stream: str) -> str | None:
        """The file that both streams go to."""
        return self._shared.output(handle) if stream == "output" else None

    def release(self, handle: Handle) -> tuple[str, ...]:
        """Nothing is held once a job has ended.

        Raises:
            ActionFailed: it has not ended.
        """
        return self._shared.release(handle, self.observe([handle])[0])


def away(token: str, trouble: str) -> Observation:
    """A job of which nothing can be told now."""
    return Observation(token, State.RUNNING, reason=trouble, reachable=False)
