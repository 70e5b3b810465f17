"""The least that a backend can be: it keeps its jobs in memory, so they end with the process that submitted them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mlconsole.plugin_api import (
    ActionFailed,
    Handle,
    JobSpec,
    LogChunk,
    NotFound,
    Observation,
    Outcome,
    Probe,
    State,
    UsageError,
)


@dataclass
class Job:
    """One program that was started, or the reason why not."""

    handle: Handle
    directory: str
    started_at: datetime
    process: subprocess.Popen[bytes] | None = None
    reason: str = ""
    asked: Outcome | None = None
    ended_at: datetime | None = None
    timer: threading.Timer | None = field(default=None, repr=False)

    def end(self, outcome: Outcome, grace_s: float) -> None:
        """SIGTERM to the child and to what it has started, and SIGKILL to what is left after the grace."""
        assert self.process is not None
        self.asked = outcome
        pid, deadline = self.process.pid, time.monotonic() + grace_s
        with suppress(ChildProcessError, ProcessLookupError):
            os.killpg(pid, signal.SIGTERM)
            # It is not collected yet, so that nobody else can be given the number of its group.
            while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(pid, signal.SIGKILL)
        self.process.wait()


class StrangerBackend:
    """Runs programs as children of this process."""

    name = "stranger"

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def probe(self) -> Probe:
        """It is always there."""
        return Probe(True, "1", detail="in memory")

    def submit(self, spec: JobSpec, token: str) -> Handle:
        """Start a program once."""
        if token in self._jobs:
            return self._jobs[token].handle
        if any(job.directory == spec.directory for job in self._jobs.values()):
            raise ActionFailed(f'"{spec.directory}" already holds another job.')
        job = Job(Handle(self.name, token), spec.directory, datetime.now(UTC))
        job.process, job.reason = self._start(spec)
        self._jobs[token] = job
        if spec.time_limit_s is not None:
            job.timer = threading.Timer(spec.time_limit_s, job.end, (Outcome.TIMED_OUT, 5.0))
            job.timer.daemon = True
            job.timer.start()
        return job.handle

    def _start(self, spec: JobSpec) -> tuple[subprocess.Popen[bytes] | None, str]:
        if not spec.argv:
            raise UsageError("There is no command to run.")
        for option in spec.options:
            raise UsageError(f'There is no option "{option}" here.')
        if any(not name or "=" in name for name in spec.env):
            raise UsageError("A variable's name is empty or holds an equals sign.")
        Path(spec.directory).mkdir(parents=True, exist_ok=True)
        with Path(spec.directory, "output").open("ab") as output:
            try:
                process = subprocess.Popen(
                    spec.argv,
                    cwd=spec.cwd,
                    env={**os.environ, **spec.env},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                return None, f'cannot start "{spec.argv[0]}": {error.strerror}'
            except ValueError as error:
                raise UsageError(f"No program can receive this: {error}.") from error
        return process, ""

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """Look at every child."""
        return [self._look(self._job(handle)) for handle in handles]

    def _job(self, handle: Handle) -> Job:
        if handle.token not in self._jobs:
            raise NotFound(f'No job "{handle.token}" was submitted here.')
        return self._jobs[handle.token]

    def _look(self, job: Job) -> Observation:
        token, host = job.handle.token, socket.gethostname()
        if job.process is None:
            return Observation(token, State.ENDED, Outcome.NEVER_STARTED, reason=job.reason, host=host)
        code = job.process.poll()
        if code is None:
            return Observation(token, State.RUNNING, host=host, started_at=job.started_at)
        job.ended_at = job.ended_at or datetime.now(UTC)
        reason = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        if job.asked is Outcome.TIMED_OUT:
            reason = f"time limit; {reason}"
        return Observation(
            token,
            State.ENDED,
            job.asked or (Outcome.FAILED if code else Outcome.SUCCEEDED),
            exit_code=code if code >= 0 else 128 - code,
            reason=reason,
            host=host,
            started_at=job.started_at,
            ended_at=job.ended_at,
        )

    def find(self, token: str, directory: str) -> Handle | None:
        """The job under this token, if this process started it."""
        job = self._jobs.get(token)
        return job.handle if job else None

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        """End the child."""
        job = self._job(handle)
        if job.process is not None and job.process.poll() is None:
            job.end(Outcome.CANCELLED, grace_s)
        return self._look(job)

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """Read the file that the child writes."""
        if stream != "output":
            raise UsageError(f'There is no stream "{stream}".')
        job = self._job(handle)
        ended = self._look(job).state is State.ENDED
        with Path(job.directory, "output").open("rb") as file:
            file.seek(offset)
            data = file.read(limit)
        return LogChunk(data, offset + len(data), ended and len(data) < limit)

    def release(self, handle: Handle) -> tuple[str, ...]:
        """A child leaves nothing that is known here."""
        if self._look(self._job(handle)).state is not State.ENDED:
            raise ActionFailed("The job has not ended.")
        return ()

    def reconcile(self) -> list[Handle]:
        """Every child that still runs."""
        return [job.handle for job in self._jobs.values() if self._look(job).state is not State.ENDED]
