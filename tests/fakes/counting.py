"""A backend that counts its jobs by token, and in which the process that submits can be killed at a point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fakes.backends import CalmBackend
from mlconsole.plugin_api import Handle, JobSpec, Observation, Outcome, State


class Killed(BaseException):
    """The process is gone: nobody catches this."""


class CountingBackend(CalmBackend):
    """Keeps every job that was submitted; ``dies`` says where the next submit kills its process."""

    def __init__(self) -> None:
        self.jobs: Counter[str] = Counter()
        self.dies = ""
        self.ended: dict[str, Outcome] = {}

    def submit(self, spec: JobSpec, token: str) -> Handle:
        if self.dies == "before":
            self.dies = ""
            raise Killed
        self.jobs[token] += 1
        if self.dies == "after":
            self.dies = ""
            raise Killed
        return Handle(self.name, token)

    def find(self, token: str, directory: str) -> Handle | None:
        return Handle(self.name, token) if self.jobs[token] else None

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        if self.dies == "observe":
            self.dies = ""
            raise Killed
        return [
            Observation(handle.token, State.ENDED, self.ended[handle.token])
            if handle.token in self.ended
            else Observation(handle.token, State.RUNNING)
            for handle in handles
        ]
