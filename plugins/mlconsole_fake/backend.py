"""Real jobs of this machine behind answers that are late, lost or false, each in a way that a real engine has been.

Lies are named in the settings, and may change while it runs: the file ``lies`` in its folder, one a line, goes first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from mlconsole.plugin_api import (
    Ability,
    ActionFailed,
    BackendUnreachable,
    ConfigError,
    Handle,
    JobSpec,
    LogChunk,
    Observation,
    Outcome,
    Probe,
    State,
    backend_settings,
    replace,
)
from mlconsole_local import LocalBackend

NAME = "fake"
LATE_LOOKS = 3


class Lie(StrEnum):
    """What can be false of an answer.

    ``UNHEARD``: the first submit of a job does not arrive. ``LOST_REPLY``: it arrives, and its reply does not.
    ``LATE``: a job that was submitted cannot be found, nor seen, for some looks. ``UNREACHABLE``: nothing answers.
    ``REUSED``: jobs are answered for by their neighbour, under the neighbour's token. ``SAYS_ENDED``: a job that runs
    is said to have ended well. ``KEEPS_RUNNING``: a cancel is answered as done, and is not.
    """

    UNHEARD = "unheard"
    LOST_REPLY = "lost_reply"
    LATE = "late"
    UNREACHABLE = "unreachable"
    REUSED = "reused"
    SAYS_ENDED = "says_ended"
    KEEPS_RUNNING = "keeps_running"


#: Lies within the contract: the answer is missing, and says so. The others break it.
HONEST = (Lie.UNHEARD, Lie.LOST_REPLY, Lie.LATE, Lie.UNREACHABLE)


class FakeBackend:
    """A local backend behind a bad connection.

    Args:
        directory: where it notes what it has lied about; None reads the settings' ``[backends.fake] directory``.
        lies: what it lies about; None reads ``[backends.fake] lies``.
    """

    name = NAME

    def __init__(self, directory: str | None = None, lies: Sequence[str] | None = None) -> None:
        self._directory, self._given = directory, lies
        self._real = LocalBackend()

    def probe(self) -> Probe:
        """Whether it is set up, and what it lies about."""
        folder = self._folder()
        if folder is None:
            hint = "for tests; set up with [backends.fake] directory in the settings file"
            return Probe(False, "fake", detail=hint, is_set_up=False)
        lies = self._lies()
        if Lie.UNREACHABLE in lies:
            return Probe(False, "fake", detail="it does not answer, as it was told")
        abilities = (Ability.TIME_LIMIT, Ability.WARNING, Ability.OUTLIVES)
        return Probe(True, "fake", abilities, f"not a real engine; lies: {', '.join(sorted(lies)) or 'none'}")

    def submit(self, spec: JobSpec, token: str) -> Handle:
        """Start a job, or say that nobody knows.

        Raises:
            BackendUnreachable: it did not arrive, or its reply was lost.
        """
        self._answers()
        lies = self._lies()
        if Lie.UNHEARD in lies and self._first("unheard", token):
            raise BackendUnreachable("the submit did not arrive")
        handle = self._mine(self._real.submit(spec, token))
        if Lie.LOST_REPLY in lies and self._first("lost", token):
            raise BackendUnreachable("the reply was lost")
        return handle

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """The jobs as they are, or as it says that they are.

        Raises:
            BackendUnreachable: it was told not to answer.
        """
        self._answers()
        lies = self._lies()
        seen = self._real.observe([self._theirs(handle) for handle in handles])
        if Lie.SAYS_ENDED in lies:
            seen = [self._ended(each) if each.state is State.RUNNING else each for each in seen]
        if Lie.LATE in lies:
            seen = [self._late(each) if self._is_late("look", each.token) else each for each in seen]
        if Lie.REUSED in lies and len(seen) > 1:
            seen = [*seen[1:], seen[0]]
        return seen

    def _ended(self, seen: Observation) -> Observation:
        return replace(seen, state=State.ENDED, outcome=Outcome.SUCCEEDED, exit_code=0, evidence="it says so")

    def _late(self, seen: Observation) -> Observation:
        return Observation(seen.token, State.SUBMITTING, reason="not listed yet", reachable=False)

    def find(self, token: str, directory: str) -> Handle | None:
        """The job of a token.

        Raises:
            BackendUnreachable: it was told not to answer, or does not list it yet.
        """
        self._answers()
        if Lie.LATE in self._lies() and self._is_late("find", token):
            raise BackendUnreachable("the list of jobs is not up to date")
        found = self._real.find(token, directory)
        return None if found is None else self._mine(found)

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        """End a job, or say so.

        Raises:
            BackendUnreachable: it was told not to answer.
        """
        self._answers()
        if Lie.KEEPS_RUNNING in self._lies():
            (seen,) = self._real.observe([self._theirs(handle)])
            return replace(seen, state=State.ENDED, outcome=Outcome.CANCELLED, evidence="it says so")
        return self._real.cancel(self._theirs(handle), grace_s)

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """What the job wrote.

        Raises:
            BackendUnreachable: it was told not to answer.
        """
        self._answers()
        return self._real.logs(self._theirs(handle), stream, offset, limit)

    def release(self, handle: Handle) -> tuple[str, ...]:
        """Give back what the job holds.

        Raises:
            BackendUnreachable: it was told not to answer.
        """
        self._answers()
        return self._real.release(self._theirs(handle))

    def reconcile(self) -> list[Handle]:
        """Nothing is listed: its jobs lie in the folders of their runs."""
        self._answers()
        return []

    def _answers(self) -> None:
        if self._folder() is None:
            raise BackendUnreachable("The fake backend is not set up.", "It is for tests: [backends.fake] directory.")
        if Lie.UNREACHABLE in self._lies():
            raise BackendUnreachable("it does not answer, as it was told")

    def _folder(self) -> Path | None:
        named = self._directory or backend_settings(NAME).get("directory")
        if named is None:
            return None
        folder = Path(str(named))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _lies(self) -> frozenset[Lie]:
        folder = self._folder()
        given: Sequence[object] = self._given if self._given is not None else _words(backend_settings(NAME).get("lies"))
        try:
            given = (folder / "lies").read_text().split() if folder else given
        except FileNotFoundError:
            pass
        try:
            return frozenset(Lie(str(each)) for each in given)
        except ValueError as error:
            raise ConfigError(f"{error}.", f"The fake backend knows: {', '.join(Lie)}.") from error

    def _first(self, what: str, token: str) -> bool:
        """Whether this is the first time; noted in a file, so that any process knows."""
        return self._count(what, token) == 1

    def _is_late(self, what: str, token: str) -> bool:
        return self._count(what, token) <= LATE_LOOKS

    def _count(self, what: str, token: str) -> int:
        folder = self._folder()
        assert folder is not None
        path = folder / f"{what}-{hashlib.sha256(token.encode()).hexdigest()[:24]}"
        try:
            with open(path, "ab") as file:
                file.write(b".")
                file.flush()
                return os.fstat(file.fileno()).st_size
        except OSError as error:
            raise ActionFailed(f'Cannot note in "{folder}": {error.strerror}.') from error

    def _mine(self, handle: Handle) -> Handle:
        return Handle(NAME, handle.token, handle.data)

    def _theirs(self, handle: Handle) -> Handle:
        return Handle(self._real.name, handle.token, handle.data)


def _words(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()
