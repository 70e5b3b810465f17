"""Jobs: what a backend is asked to run and what it says about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from mlconsole.domain.runs import Outcome, State
from mlconsole.records import field, record


class Ability(StrEnum):
    """What a backend can do beyond the core contract; what is missing is greyed out with the reason.

    ``OUTLIVES``: its jobs go on when the process that submitted them is gone, and any other process finds them.
    """

    ARRAYS = "arrays"
    PRIORITIES = "priorities"
    QUEUES = "queues"
    MULTI_NODE = "multi_node"
    PREEMPTION = "preemption"
    PRICE = "price"
    CONTAINERS = "containers"
    EXEC = "exec"
    TIME_LIMIT = "time_limit"
    WARNING = "warning"
    OPTIONS = "options"
    HOSTS = "hosts"
    OUTLIVES = "outlives"


@record
class Resources:
    """What a job asks for. None means: not asked, the backend's default."""

    gpus: int = 0
    cpus: int | None = None
    memory_mib: int | None = None
    nodes: int = 1


@record
class LimitWarning:
    """A signal that the program itself gets before its time limit, so that it can save its state.

    ``signal`` is a number, ``lead_s`` the seconds between it and the limit.
    """

    signal: int
    lead_s: float


@record
class CodeCopy:
    """A copy of the code that a job runs from: a folder on the console's machine whose content never changes.

    ``digest`` names the content: two copies of the same digest are the same. ``JobSpec.cwd`` lies in ``path``.
    """

    path: str
    digest: str
    size_bytes: int


@record
class Carriage:
    """What of a copy of the code has to be sent before a job can run: to where, how many files, how many bytes."""

    where: str
    files: int
    size_bytes: int


@record
class JobSpec:
    """A program to run, exactly.

    ``argv`` reaches the child unchanged and never passes through a shell. ``env`` is added to the backend's own
    environment; ``directory`` is the attempt's folder in the catalog, where streams and records go. ``teardown`` are
    commands that run when the program has ended, however it ended; see :class:`Finaliser`.

    Attributes:
        base: the environment to start from, for a backend that would start from that of the calling process; None:
            that one. A job that waited for its turn is started by a process that has nothing to do with it.
        warning: a signal before the time limit; where :attr:`Ability.WARNING` is declared.
        attempt: which try of the run this is, from 1; each has a token and a directory of its own.
        priority: higher goes first; where :attr:`Ability.PRIORITIES` is declared.
        options: what only this backend understands (``partition``, ``qos``, ``host``); an unknown one is a usage error.
        code: the copy of the code to run from; None: ``cwd`` is taken as it is.
        wake: a command to start, detached, on the console's machine once the job's end is recorded: a hint that
            something may be due. It may be lost, and it may be ignored.
        wake_if: a file that must be there then for it to be started; empty: it is started in any case.
    """

    run_id: str
    name: str
    argv: tuple[str, ...]
    cwd: str
    directory: str
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    time_limit_s: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    teardown: tuple[tuple[str, ...], ...] = ()
    base: Mapping[str, str] | None = None
    warning: LimitWarning | None = None
    attempt: int = 1
    priority: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    code: CodeCopy | None = None
    wake: tuple[str, ...] = ()
    wake_if: str = ""


@record
class Handle:
    """A backend's own name for a job, with the token it was submitted under. ``data`` is JSON-able."""

    backend: str
    token: str
    data: Mapping[str, str | int | float | None] = field(default_factory=dict)


class FinaliserState(StrEnum):
    """Where a teardown command is. ``STUCK``: nobody tries it again by itself, or nobody saw how it ended."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILING = "failing"
    STUCK = "stuck"
    DONE = "done"


@record
class Finaliser:
    """One teardown command of a job: it runs to success exactly once, after the program has ended, however it ended.

    ``number`` is its place among the job's commands; ``message`` says what its last try came to.
    """

    number: int
    state: FinaliserState
    tries: int = 0
    message: str = ""


@record
class Observation:
    """What one look at one job showed, and the evidence for it.

    ``reachable`` False means the look itself failed: state and outcome then say nothing.
    ``survivors`` names processes of the job that are still alive after its end, as ``pid command``.
    ``pid`` is the program's own process on its host, where the backend knows it.
    """

    token: str
    state: State
    outcome: Outcome | None = None
    exit_code: int | None = None
    reason: str = ""
    evidence: str = ""
    reachable: bool = True
    host: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    survivors: tuple[str, ...] = ()
    finalisers: tuple[Finaliser, ...] = ()
    pid: int | None = None


@record
class Probe:
    """Whether a backend answers, its version and its abilities; ``detail`` says what it found, in words.

    ``is_set_up`` False means that nobody has said where it should look; that is no fault.
    """

    reachable: bool
    version: str
    abilities: tuple[Ability, ...] = ()
    detail: str = ""
    is_set_up: bool = True


@record
class LogChunk:
    """Bytes of one stream from an offset; ``next_offset`` is where to read on. ``done`` when the job has ended."""

    data: bytes
    next_offset: int
    done: bool


@record
class HostStatus:
    """One machine (or node) that a backend runs jobs on, as it was last seen; None: not known.

    Attributes:
        backend: whose it is.
        name: its name there.
        state: in the backend's own words: ``up``, ``drained``, ``down``, ``unreachable``, ...
        takes_jobs: whether a job could start there.
        cpus: slots in all, and ``cpus_free`` of them.
        gpus: GPUs in all, and ``gpus_free`` of them.
        memory_mib: memory in all.
        jobs: how many jobs of anybody run there.
        reason: why it takes none, in words.
        age_s: seconds since it was seen.
    """

    backend: str
    name: str
    state: str
    takes_jobs: bool
    cpus: int | None = None
    cpus_free: int | None = None
    gpus: int | None = None
    gpus_free: int | None = None
    memory_mib: int | None = None
    jobs: int | None = None
    reason: str = ""
    age_s: float = 0.0


@record
class BackendStatus:
    """One installed backend and the answer of its last probe."""

    name: str
    reachable: bool
    version: str
    abilities: tuple[Ability, ...]
    detail: str
    is_set_up: bool = True
