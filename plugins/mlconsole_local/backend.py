"""Jobs on this machine, as the console's backend contract asks for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlconsole.plugin_api import (
    Ability,
    ActionFailed,
    BackendUnreachable,
    FinaliserState,
    Handle,
    JobSpec,
    LogChunk,
    Observation,
    Probe,
    State,
    UsageError,
)
from mlconsole_local import finals
from mlconsole_local.ending import Ending
from mlconsole_local.records import BACKEND_NAME, JobFolder
from mlconsole_local.sight import Sight
from mlconsole_local.submission import Submission


class LocalBackend:
    """Runs jobs on this machine under a supervisor each; needs no root and no service.

    Args:
        root: the folder whose subfolders are run folders, for :meth:`reconcile`; None finds nothing.
        proc: where the process table is mounted.
        boot_id: this boot of the machine; None reads it.
        grace_s: seconds between SIGTERM and SIGKILL where the caller names none: at a time limit.
        release_grace_s: the same for what an ended job left behind.
    """

    name = BACKEND_NAME

    def __init__(
        self,
        root: str | None = None,
        *,
        proc: str = "/proc",
        boot_id: str | None = None,
        grace_s: float = 30.0,
        release_grace_s: float = 5.0,
    ) -> None:
        self._root, self._proc, self._boot_id = root, proc, boot_id
        self._grace_s, self._release_grace_s = grace_s, release_grace_s

    def probe(self) -> Probe:
        """Look whether this is a machine whose processes can be supervised."""
        system = os.uname()
        version = f"{system.sysname} {system.release}"
        if sys.platform != "linux" or not Path(self._proc, "self", "stat").exists():
            return Probe(False, version, detail="local jobs need Linux with /proc mounted")
        abilities = (Ability.TIME_LIMIT, Ability.WARNING, Ability.OUTLIVES)
        return Probe(True, version, abilities, detail=f"host {system.nodename}, {os.cpu_count()} CPUs")

    def submit(self, spec: JobSpec, token: str) -> Handle:
        """Start a job once; a second submit under the same token finds the first.

        Raises:
            ActionFailed: nothing was started and nothing will be.
            UsageError: the spec cannot be run by any machine.
        """
        folder = JobFolder(str(Path(spec.directory).absolute()))
        Submission(folder, spec, token, self._sight().here, self._grace_s).carry_out()
        return folder.handle(token)

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """Look at many jobs; a few small files each."""
        sight = self._sight()
        return [sight.of(handle) for handle in handles]

    def find(self, token: str, directory: str) -> Handle | None:
        """The job of this token in this run folder; a launch cut short before its start is made void."""
        folder = JobFolder(str(Path(directory).absolute()))
        try:
            claim = folder.read("claim")
            if claim is None or claim["token"] != token:
                return None
            handle = folder.handle(token)
            self._sight().of(handle)  # Settles a claim whose launcher is gone.
            start = folder.read("start")
        except (OSError, ValueError, KeyError) as error:
            raise BackendUnreachable(f'The records in "{folder.path}" cannot be read: {error!r}.') from error
        return None if start and start.get("void") else handle

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        """SIGTERM to every process of the job, SIGKILL after the grace; survivors are named."""
        return Ending(handle, self._sight()).cancel(grace_s)

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """Bytes of the job's output from an offset.

        Raises:
            UsageError: there is no such stream.
            ActionFailed: the output cannot be read.
        """
        if stream != "output":
            raise UsageError(f'The local backend has no stream "{stream}".', 'Its one stream is "output".')
        seen = self._sight().of(handle)
        try:
            data = _read(JobFolder.of(handle).output, offset, limit)
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise ActionFailed(f"The output cannot be read: {error.strerror}.") from error
        return LogChunk(data, offset + len(data), seen.state is State.ENDED and len(data) < limit)

    def log_path(self, handle: Handle, stream: str) -> str | None:
        """The file that both standard streams go to."""
        return str(JobFolder.of(handle).output) if stream == "output" else None

    def runs_here(self) -> bool:
        """Local jobs do."""
        return True

    def release(self, handle: Handle) -> tuple[str, ...]:
        """End what an ended job left running; returns what would not end, named."""
        return Ending(handle, self._sight()).release(self._release_grace_s)

    def finalise(self, handle: Handle, commands: Sequence[Sequence[str]], cwd: str, env: Mapping[str, str]) -> None:
        """Begin the teardown commands that are stuck again, from this process's environment and what is added to it.

        Raises:
            ActionFailed: the job has not ended, or no finaliser could be started.
        """
        sight, folder = self._sight(), JobFolder.of(handle)
        seen = sight.of(handle)
        if seen.state is not State.ENDED:
            raise ActionFailed("The job has not ended, so its teardown is not due.", "Stop it first.")
        if any(each.state is FinaliserState.STUCK for each in seen.finalisers):
            finals.begin_again(folder, handle.token, commands, cwd, env)

    def reconcile(self) -> list[Handle]:
        """Every job below the root that has not ended."""
        if self._root is None or not Path(self._root).is_dir():
            return []
        folders = [JobFolder(entry.path) for entry in os.scandir(self._root)]
        claims = [(folder, folder.read("claim")) for folder in folders]
        handles = [folder.handle(claim["token"]) for folder, claim in claims if claim]
        seen = self.observe(handles)
        return [handle for handle, each in zip(handles, seen, strict=True) if each.state is not State.ENDED]

    def _sight(self) -> Sight:
        return Sight(self._proc, self._boot_id)


def _read(path: str, offset: int, limit: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # The room for the answer is taken before the read: a follower that asks for much must not pay for it.
        there = os.fstat(descriptor).st_size - offset
        return os.pread(descriptor, min(limit, there), offset) if there > 0 else b""
    finally:
        os.close(descriptor)
