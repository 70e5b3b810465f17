"""Backends for tests of the front ends: one that answers at once and runs nothing, one that never answers."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from mlconsole.plugin_api import Ability, Handle, JobSpec, LogChunk, Observation, Outcome, Probe, State


class CalmBackend:
    """Says that every job runs."""

    name = "local"

    def probe(self) -> Probe:
        return Probe(True, "1.0", (Ability.EXEC,), "a backend of the tests")

    def submit(self, spec: JobSpec, token: str) -> Handle:
        return Handle(self.name, token)

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        return [Observation(handle.token, State.RUNNING, evidence="the test says so") for handle in handles]

    def find(self, token: str, directory: str) -> Handle | None:
        return None

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        return Observation(handle.token, State.ENDED, Outcome.CANCELLED)

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        return LogChunk(b"", offset, True)

    def release(self, handle: Handle) -> tuple[str, ...]:
        return ()

    def reconcile(self) -> list[Handle]:
        return []


class HangingBackend(CalmBackend):
    """Never answers, until :meth:`let_go`."""

    def __init__(self) -> None:
        self._answers = threading.Event()
        self.asked = threading.Event()

    def let_go(self) -> None:
        """Answer everything, so that a test may end."""
        self._answers.set()

    def _hang(self) -> None:
        self.asked.set()
        self._answers.wait()

    def probe(self) -> Probe:
        self._hang()
        return super().probe()

    def submit(self, spec: JobSpec, token: str) -> Handle:
        self._hang()
        return super().submit(spec, token)

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        self._hang()
        return super().observe(handles)

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        self._hang()
        return super().cancel(handle, grace_s)
