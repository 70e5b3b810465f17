"""All that a plugin may import.

A backend is a class registered under the entry-point group ``mlconsole.backends``, a target one under
``mlconsole.targets``; see ``plugins/README.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from mlconsole.config import backend_settings
from mlconsole.domain.far_gpus import FarGpu, FarProcess, HostGpus
from mlconsole.domain.jobs import (
    Ability,
    Carriage,
    CodeCopy,
    Finaliser,
    FinaliserState,
    Handle,
    HostStatus,
    JobSpec,
    LimitWarning,
    LogChunk,
    Observation,
    Probe,
    Resources,
)
from mlconsole.domain.notices import Notice
from mlconsole.domain.runs import Outcome, State
from mlconsole.domain.targets import MemberRef, TargetObservation, TargetOrder
from mlconsole.errors import ActionFailed, BackendUnreachable, ConfigError, MlconsoleError, NotFound, UsageError
from mlconsole.records import record, replace

__all__ = [
    "Ability",
    "ActionFailed",
    "Backend",
    "BackendUnreachable",
    "Carriage",
    "Carries",
    "CodeCopy",
    "ConfigError",
    "FarGpu",
    "FarProcess",
    "Finaliser",
    "FinaliserState",
    "Finalises",
    "Handle",
    "HasGpus",
    "HasHosts",
    "HostGpus",
    "HostStatus",
    "JobSpec",
    "KeepsLogs",
    "LimitWarning",
    "LogChunk",
    "MemberRef",
    "MlconsoleError",
    "NotFound",
    "Notice",
    "Notifier",
    "Observation",
    "Outcome",
    "Probe",
    "Resources",
    "RunsHere",
    "State",
    "Target",
    "TargetObservation",
    "TargetOrder",
    "UsageError",
    "Withdraws",
    "backend_settings",
    "record",
    "replace",
]


@runtime_checkable
class Backend(Protocol):
    """Where runs execute.

    Every call may raise :class:`BackendUnreachable`; it then means only that no answer came. Calls are synchronous
    and may be slow: the caller gives them a deadline of its own. None of them may delete anything on observation.
    """

    name: str

    def probe(self) -> Probe:
        """Look whether the backend answers, and what it can do."""
        ...

    def submit(self, spec: JobSpec, token: str) -> Handle:
        """Start a job once. A lost reply is settled by :meth:`find`, never by a second submit."""
        ...

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """Look at many jobs in one call; the answer is in the order of ``handles``."""
        ...

    def find(self, token: str, directory: str) -> Handle | None:
        """The job submitted under ``token``, or None when the backend is certain that there is none.

        ``directory`` is the run's folder, for backends that keep their records there.
        """
        ...

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        """Ask the job to end, then make it end; returns what is left, survivors named."""
        ...

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """At most ``limit`` bytes of a stream (``output``: both standard streams as they came) from ``offset``."""
        ...

    def release(self, handle: Handle) -> tuple[str, ...]:
        """Give back what the job still holds; returns what could not be given back, named."""
        ...

    def reconcile(self) -> list[Handle]:
        """Every job of ours that the backend still holds, whether the catalog knows it or not."""
        ...


@runtime_checkable
class RunsHere(Protocol):
    """A backend whose jobs run on this machine: its GPUs are leased to them, and its time is charged to them."""

    def runs_here(self) -> bool:
        """True when they do."""
        ...


@runtime_checkable
class Finalises(Protocol):
    """A backend that runs a job's teardown commands when it has ended, whatever has become of its launcher."""

    def finalise(self, handle: Handle, commands: Sequence[Sequence[str]], cwd: str, env: Mapping[str, str]) -> None:
        """Begin the commands that are stuck again, because a person asked for it; returns at once.

        ``commands`` are all of the job's, in their order; one that is done or goes on is left alone.

        Raises:
            ActionFailed: the job has not ended, or it cannot be begun from here.
        """
        ...


@runtime_checkable
class KeepsLogs(Protocol):
    """A backend whose streams are files on this machine, so that a screen can search them in place."""

    def log_path(self, handle: Handle, stream: str) -> str | None:
        """The file that holds the stream, or None when there is none (yet)."""
        ...


@runtime_checkable
class HasHosts(Protocol):
    """A backend that can say which machines it runs jobs on, for :attr:`Ability.HOSTS`."""

    def hosts(self) -> list[HostStatus]:
        """Every machine, in one call; one that cannot be reached says so in its state."""
        ...


@runtime_checkable
class Carries(Protocol):
    """A backend whose jobs do not see the console's files: a copy of the code is sent to them."""

    def carriage(self, spec: JobSpec, names: Sequence[str]) -> Carriage | None:
        """What would be sent if this job were submitted now; None: its jobs see the copy where it is.

        Args:
            spec: the job; ``code.path`` may still be the folder that the copy is to be of.
            names: the files of the copy, as paths from ``code.path``.

        Raises:
            BackendUnreachable: what is there cannot be told.
            UsageError: an option is missing or unknown.
        """
        ...


@runtime_checkable
class HasGpus(Protocol):
    """A backend that can say what the GPUs of its machines do."""

    def gpus(self, hosts: Sequence[str]) -> list[HostGpus]:
        """What is known of the GPUs of every machine, in one call that nothing there can hold up for long.

        A machine that does not answer says so; what was known of it last stays, with its age.

        Args:
            hosts: machines whose GPUs were seen before, in another process; any that is none of ours is passed over.
        """
        ...


@runtime_checkable
class Target(Protocol):
    """Where releases are deployed.

    Every verb is idempotent under (environment, generation): asked again, after a crash at any point of it, it
    carries on or finds it done. Any may raise :class:`ActionFailed`, which means that what was live still is, or
    :class:`BackendUnreachable`, which says nothing.
    """

    def prepare(self, order: TargetOrder) -> None:
        """Bring the release's bytes there, each one verified, and change nothing that is live.

        Raises:
            ActionFailed: bytes are missing or are not those of the release.
            UsageError: a setting is missing or wrong.
        """
        ...

    def activate(self, order: TargetOrder) -> None:
        """Make a prepared generation the live one, at once or not at all; then nothing sees the old one any more.

        Raises:
            ActionFailed: it is not prepared, does not come up healthy, or a higher generation was seen: the fence.
        """
        ...

    def observe(self, environment: str, settings: Mapping[str, str], state_dir: Path) -> TargetObservation:
        """Look what is live; changes nothing."""
        ...

    def release(self, order: TargetOrder) -> None:
        """Give back what a generation that is not live holds there.

        Raises:
            ActionFailed: it is the live one, or something of it would not go.
        """
        ...


@runtime_checkable
class Withdraws(Protocol):
    """A target that holds something even when nobody deploys: it can be made to serve nothing at all."""

    def withdraw(self, environment: str, settings: Mapping[str, str], state_dir: Path) -> None:
        """Stop and give back everything of the environment; what was never there is no error.

        Raises:
            ActionFailed: something would not go.
        """
        ...


@runtime_checkable
class Notifier(Protocol):
    """Tells people elsewhere of alerts; ``kind`` of a ``[notify.NAME]`` in the settings names it."""

    def send(self, notice: Notice, options: Mapping[str, object]) -> None:
        """Tell of one change of an alert; returns when it was taken.

        A notice may come again with the same id, when nobody saw what became of it. The caller gives no deadline: take
        one, and keep it.

        Args:
            notice: what has changed; its texts come from outside.
            options: the settings' table, without ``kind`` and ``severity``. Secrets are named in it, never given.

        Raises:
            ActionFailed: it was not taken; it is tried again, with growing pauses.
            UsageError: an option is missing or wrong.
        """
        ...
